"""Keys and passwords of a running platform are changed in three steps; between two of them everybody is understood."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import nats.errors
import pytest
from millstream.cluster import derived, ledger
from millstream.cluster.options import Options
from millstream.cluster.rotation import STEPS, rotated
from millstream.errors import ClientError
from millstream.laptop import manifests

from libs.base import SystemClock, Unauthorized
from libs.base.ids import SystemIds
from libs.base.settings import Settings
from libs.blobs import BlobError, S3Blobs
from libs.bus import Bus, Tuning
from libs.service.identity import Signer, User, Verifier
from libs.testing.bus_server import free_port
from tests.engines import engine_pods
from tests.engines.ground import Ground, Secrets
from tests.engines.nats_cluster import NatsCluster
from tests.engines.test_bootstrap import opened

ADA = User("ada")
SAID = "millstream.training.trainjob.created.v1.default"


def test_the_steps_have_an_order_and_each_may_be_repeated() -> None:
    states = [ledger.completed({}, manifests())]
    with pytest.raises(ClientError, match="announce it first"):
        rotated(states[0], "nats", "switch")
    for step in STEPS:
        states.append(rotated(states[-1], "nats", step))
        assert rotated(states[-1], "nats", step) == states[-1]
    with pytest.raises(ClientError, match="switch first"):
        rotated(states[1], "nats", "retire")
    with pytest.raises(ClientError, match="retire it first"):
        rotated(states[2], "nats", "announce")
    before, after = states[0], states[-1]
    assert before.keys() == after.keys()
    assert {entry for entry in before if before[entry] != after[entry]} == {e for e in before if e.startswith("nats.")}


def test_a_login_alternates_between_two_names_so_that_both_can_be_known_at_once() -> None:
    state: dict[str, str] = ledger.completed({}, manifests())
    names = []
    for _ in range(3):
        for step in STEPS:
            state = rotated(state, "nats", step)
        names.append(ledger.login(state["nats.trainer"])[0])
    assert names == ["trainer_b", "trainer", "trainer_b"]


def test_identities_are_believed_by_services_that_have_not_been_restarted_yet() -> None:
    clock, before = SystemClock(), ledger.completed({}, manifests())
    announced = rotated(before, "identity", "announce")
    switched = rotated(announced, "identity", "switch")
    retired = rotated(switched, "identity", "retire")

    def believes(service: dict[str, str], gateway: dict[str, str]) -> bool:
        token = Signer(gateway["identity"], clock).sign(ADA)
        try:
            return Verifier(ledger.public_keys(service), clock).verify(token) == ADA
        except Unauthorized:
            return False

    # While services are restarted to announce, while the gateway is to switch, while services are to retire.
    assert all(believes(service, before) for service in (before, announced))
    assert all(believes(announced, gateway) for gateway in (before, announced, switched))
    assert all(believes(service, switched) for service in (switched, retired))
    assert not believes(retired, before)


async def test_the_broker_takes_both_passwords_until_the_former_is_retired(tmp_path: Path) -> None:
    known = manifests()
    state: dict[str, str] = ledger.completed({}, known)
    cluster = NatsCluster(tmp_path / "nats", known)
    opened: list[Bus] = []

    async def connect(state: dict[str, str]) -> Bus:
        user, password = ledger.login(state["nats.trainer"])
        url = ",".join(f"tls://{user}:{password}@{host}:4222" for host in cluster.hosts)
        tuning = Tuning(replicas=3, durability="ignore", publish_s=20)
        trust = str(cluster.ca_file)
        bus = await Bus.connect(
            url, service="trainer", clock=SystemClock(), ids=SystemIds(), tuning=tuning, ca_file=trust
        )
        opened.append(bus)
        return bus

    async def take(step: str | None) -> None:
        nonlocal state
        state = rotated(state, "nats", step) if step else state
        cluster.logins = {user: ledger.logins(state, ledger.nats(user)) for user in cluster.logins if user != "gateway"}
        cluster.logins = {user: logins for user, logins in cluster.logins.items() if logins}
        cluster.write()
        cluster.stop()
        await cluster.start()

    try:
        await take(None)
        first = await connect(state)
        await first.ensure("trainer", ["scheduling.workload.admitted.v1"])
        await first.publish(SAID, b"1", headers={}, msg_id="1")
        await take("announce")
        await first.publish(SAID, b"2", headers={}, msg_id="2")
        former = dict(state)
        await take("switch")
        second = await connect(state)
        await second.ensure("trainer", ["scheduling.workload.admitted.v1"])
        for number, bus in enumerate((first, second), 3):
            await bus.publish(SAID, b"", headers={}, msg_id=str(number))
        await take("retire")
        assert (await second.publish(SAID, b"", headers={}, msg_id="5")).seq == 5
        with pytest.raises(nats.errors.Error, match="Authorization Violation"):
            await asyncio.wait_for(connect(former), 30)
    finally:
        cluster.stop()
        await asyncio.gather(*(bus.close() for bus in opened))


async def test_databases_let_both_users_in_and_what_the_former_made_belongs_to_the_next(ground: Ground) -> None:
    async def step(name: str) -> Secrets:
        if name:
            await asyncio.to_thread(ground.rotate, "postgres", name)
        await asyncio.to_thread(ground.run)
        return ground.secrets()

    before = await step("")
    first = await opened(ground, "trainer")
    await first.execute("CREATE TABLE jobs (name text)")
    assert await step("announce") != before and (await opened(ground, "trainer")) is not None
    after = await step("switch")
    second = await opened(ground, "trainer")
    assert user(after) == "trainer_b" and user(before) == "trainer"
    await second.execute("ALTER TABLE jobs ADD size int")
    await first.execute("INSERT INTO jobs VALUES ('a', 1)")
    await step("retire")
    await (await opened(ground, "trainer")).fetch("SELECT * FROM jobs")
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
        url = urlsplit(before["millstream-trainer"]["MILLSTREAM_STORE_URL"])
        await asyncpg.connect(host=ground.socket, user=url.username, password=url.password, database="trainer")


def user(secrets: Secrets) -> str | None:
    return urlsplit(secrets["millstream-trainer"]["MILLSTREAM_STORE_URL"]).username


async def test_the_object_store_takes_both_keys_until_the_former_is_retired(tmp_path: Path) -> None:
    known = manifests()
    state: dict[str, str] = ledger.completed({}, known)
    former = dict(state)
    for step in ("announce", "switch"):
        state = rotated(state, "s3", step)
    with serving_s3(tmp_path, state) as endpoint:
        for keys in (former, state):
            await blobs(keys, endpoint).put(f"from-{len(keys)}", b"model")
    with serving_s3(tmp_path, rotated(state, "s3", "retire")) as endpoint:
        assert await blobs(state, endpoint).read(f"from-{len(former)}") == b"model"
        with pytest.raises(BlobError):
            await blobs(former, endpoint).put("late", b"model")


def blobs(state: dict[str, str], endpoint: str) -> S3Blobs:
    """As a service's environment tells it."""
    [trainer] = [m for m in manifests() if m.name == "trainer"]
    return S3Blobs.from_settings(
        Settings.from_env(
            {k: v for k, v in derived.service(state, trainer, Options()).items() if "_S3_" in k},
            service="trainer",
            s3_endpoint=endpoint,
        )
    )


@contextmanager
def serving_s3(folder: Path, state: dict[str, str]) -> Iterator[str]:
    """The server of deploy/engines/s3, with the keys of its Secret."""
    (folder / "data" / "millstream").mkdir(parents=True, exist_ok=True)
    keys = dict(derived.secrets(state, manifests(), Options()))["s3-credentials"]
    at = f"127.0.0.1:{free_port()}"
    instead = {":9000": at, "/data": folder / "data", "/tmp": folder / "cache"}
    command = engine_pods.command(engine_pods.container("s3")["command"], instead)
    process = subprocess.Popen(command, env={**os.environ, **keys}, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            if listens(at):
                break
            time.sleep(0.05)
        yield f"http://{at}"
    finally:
        process.kill()
        process.wait()


def listens(at: str) -> bool:
    host, _, port = at.partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def test_a_rotation_before_its_turn_changes_nothing_and_says_so(ground: Ground) -> None:
    assert "has not been bootstrapped" in ground.rotate("identity", "announce", code=1)
    ground.run("--postgres", "external")
    versions = ground.versions()
    assert "announce it first" in ground.rotate("identity", "switch", code=1)
    assert "announce it first" in ground.rotate("authority", "switch", code=1)
    assert ground.versions() == versions


def test_after_each_step_it_tells_what_to_restart(ground: Ground) -> None:
    ground.run("--postgres", "external")
    said = ground.rotate("identity", "announce")
    assert "create job rotate-identity-announce --from=cronjob/bootstrap" in said
    assert "rollout restart deployment\n" in said and said.rstrip().endswith("rotate identity switch")
    before = ground.secrets()
    ground.run("--postgres", "external")
    after = ground.secrets()
    assert {name for name in after if after[name] != before[name]} == {
        f"millstream-{name}"
        for name in ("gateway", "pipelines", "registry", "scheduler", "serving", "trainer", "tuner")
    }
    assert after["millstream-trainer"]["MILLSTREAM_IDENTITY_PUBLIC_KEY"].count("BEGIN") == 2


def test_a_new_authority_is_trusted_first_signs_then_and_stands_alone_at_last(ground: Ground) -> None:
    ground.run("--postgres", "external")
    trusted = []
    for step in STEPS:
        ground.rotate("authority", step)
        ground.run("--postgres", "external")
        pair = ground.secrets()["millstream-trainer-tls"]
        trusted.append((pair["ca.crt"].count("BEGIN"), pair["tls.crt"]))
    assert [number for number, _ in trusted] == [2, 2, 1]
    assert trusted[0][1] != trusted[1][1] == trusted[2][1]
