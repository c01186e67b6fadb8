"""Production's broker on real servers: the rendered configuration, TLS everywhere, three copies, a user per service."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import nats
import nats.errors
import pytest
from millstream.brokerconf import PERSON
from millstream.cluster import authority
from millstream.laptop import manifests

from libs.base.clock import SystemClock
from libs.base.ids import SystemIds
from libs.bus import Bus, BusUnavailable, Delivery, Tuning
from tests.engines import engine_pods
from tests.engines.nats_cluster import SERVERS, NatsCluster

TUNING = Tuning(replicas=SERVERS, durability="refuse", ack_wait_s=1.0, watch_s=0.5)
HEARD = "training.trainjob.created.v1"
SAID = f"millstream.{HEARD}.default"
Connect = Callable[[str], Awaitable[Bus]]


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[NatsCluster]:
    cluster = NatsCluster(tmp_path / "nats", manifests())
    try:
        await cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
async def connect(cluster: NatsCluster) -> AsyncIterator[Connect]:
    opened: list[Bus] = []

    async def connect(service: str) -> Bus:
        bus = await Bus.connect(
            cluster.url(service),
            service=service,
            clock=SystemClock(),
            ids=SystemIds(),
            tuning=TUNING,
            monitor_url=cluster.monitor_url,
            ca_file=str(cluster.ca_file),
        )
        opened.append(bus)
        return bus

    yield connect
    await asyncio.gather(*(bus.close() for bus in opened))


class Ear:
    """Remembers the bodies it was brought, whichever replica of the service they came to."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []

    async def __call__(self, delivery: Delivery) -> None:
        self.heard.append(delivery.data)

    async def until(self, wanted: int, timeout_s: float) -> None:
        for _ in range(int(timeout_s / 0.05)):
            if len(set(self.heard)) >= wanted:
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"{len(set(self.heard))} of {wanted} came within {timeout_s} s")


async def say(bus: Bus, body: str) -> None:
    """As a service's relay does: again until the broker has acknowledged it."""
    while True:
        with suppress(BusUnavailable):
            await bus.publish(SAID, body.encode(), headers={}, msg_id=body)
            return


async def test_one_server_of_three_is_killed_in_mid_flow_and_nothing_is_lost(
    cluster: NatsCluster, connect: Connect
) -> None:
    trainer, scheduler, ear = await connect("trainer"), await connect("scheduler"), Ear()
    await scheduler.ensure("scheduler", [HEARD])
    await scheduler.subscribe(ear)
    number, killed_at = 300, 100
    for each in range(number):
        if each == killed_at:
            cluster.kill(await leader(cluster))
        await say(trainer, f"m{each}")
    await ear.until(number, timeout_s=40)
    assert set(ear.heard) == {f"m{each}".encode() for each in range(number)}
    copies = await asked(cluster, "stream_info", "millstream")
    assert copies.config.num_replicas == SERVERS and copies.state.messages == number
    assert (await asked(cluster, "consumer_info", "millstream", "scheduler")).config.num_replicas == SERVERS


async def test_a_rolling_update_of_the_broker_loses_nothing_and_no_server_waits_for_ever(
    cluster: NatsCluster, connect: Connect
) -> None:
    trainer, scheduler, ear = await connect("trainer"), await connect("scheduler"), Ear()
    await scheduler.ensure("scheduler", [HEARD])
    await scheduler.subscribe(ear)
    over, said = asyncio.Event(), 0

    async def talk() -> int:
        nonlocal said
        while not over.is_set():
            await say(trainer, f"m{said}")
            said += 1
            await asyncio.sleep(0.02)
        return said

    talking = asyncio.create_task(talk())
    for server in range(SERVERS):
        await cluster.replace(server)
    over.set()
    number = await talking
    await ear.until(number, timeout_s=40)
    assert number > 50 and set(ear.heard) == {f"m{each}".encode() for each in range(number)}


async def test_a_service_may_not_say_what_its_manifest_does_not(cluster: NatsCluster) -> None:
    refused: list[str] = []

    async def note(error: Exception) -> None:
        refused.append(str(error))

    registry = await nats.connect(cluster.url("registry").split(","), tls=trusting(cluster), error_cb=note)
    try:
        for subject in (SAID, "$JS.API.STREAM.DELETE.millstream", "$JS.API.CONSUMER.DELETE.millstream.trainer"):
            await registry.publish(subject, b"{}")
        await registry.flush()
        await asyncio.sleep(0.1)
    finally:
        await registry.close()
    assert len(refused) == 3 and all("permissions violation" in each.lower() for each in refused)


async def test_who_shows_no_password_or_a_wrong_one_is_refused(cluster: NatsCluster) -> None:
    for stranger in ("", "registry:guessed@"):
        with pytest.raises(nats.errors.Error):
            await nats.connect(
                f"tls://{stranger}{cluster.hosts[0]}:4222",
                tls=trusting(cluster),
                allow_reconnect=False,
                connect_timeout=2,
                max_reconnect_attempts=1,
            )


async def test_a_broker_that_another_authority_signed_is_told_nothing(
    cluster: NatsCluster, tmp_path: Path, connect: Connect
) -> None:
    foreign = tmp_path / "foreign.crt"
    foreign.write_text(authority.founded(dt.datetime.now(dt.UTC)).bundle)
    attempt = Bus.connect(
        cluster.url("trainer"), service="trainer", clock=SystemClock(), ids=SystemIds(), ca_file=str(foreign)
    )
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(attempt, 2)


async def test_a_renewed_authority_is_followed_without_a_restart_of_the_service(
    cluster: NatsCluster, connect: Connect
) -> None:
    trainer = await connect("trainer")
    await trainer.ensure("trainer", ["scheduling.workload.admitted.v1"])
    await say(trainer, "before")
    now = dt.datetime.now(dt.UTC)
    announced = authority.advanced(cluster.authority, now, force=True)
    signing = authority.advanced(announced, now + authority.ANNOUNCED)
    assert signing.next is None and signing.current != cluster.authority.current
    for step in (announced, signing, replace(signing, trusted=signing.trusted[-1:])):
        cluster.authority = step
        cluster.write()
        cluster.stop()
        await cluster.start()
        await say(trainer, f"with {len(step.trusted)} trusted and {step.next} next")
    assert (await asked(cluster, "stream_info", "millstream")).state.messages == 4


async def test_a_server_is_well_for_each_of_its_probes(cluster: NatsCluster) -> None:
    for path in engine_pods.probe_paths("nats-cluster"):
        assert all(cluster.healthy(server, path.removeprefix("/healthz")) for server in range(SERVERS))


async def leader(cluster: NatsCluster) -> int:
    """The server that holds the stream's first copy: to kill it hurts most."""
    name = (await asked(cluster, "stream_info", "millstream")).cluster.leader
    return int(name.rpartition("-")[2])


async def asked(cluster: NatsCluster, call: str, *names: str):  # type: ignore[no-untyped-def]
    """One question to JetStream as the platform's owner."""
    owner = await nats.connect(cluster.url(PERSON).split(","), tls=trusting(cluster))
    try:
        return await getattr(owner.jetstream(), call)(*names)
    finally:
        await owner.close()


def trusting(cluster: NatsCluster) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(cluster.ca_file))
