"""What was promised is said, in order and once, through a broker that loses everything; on a clock that tests move."""

import asyncio
from pathlib import Path

import pytest

from libs.base import SeededIds, SystemClock, SystemIds
from libs.bus import Bus
from libs.service.app import Given
from libs.service.shell import serve
from libs.store import Store
from libs.testing.bus import MemoryBus
from libs.testing.bus_broker import MemoryBroker
from libs.testing.bus_server import NatsServer
from libs.testing.clock import VirtualClock
from tests.service.toy import HASTY, created, hearing, letter, say, settings, toy_app

CREATED = "training.trainjob.created.v1"
ADMITTED = "scheduling.workload.admitted.v1"


async def connect(nats: NatsServer) -> Bus:
    clock = SystemClock()
    bus = await Bus.connect(nats.url, service="test", clock=clock, ids=SystemIds(clock), tuning=HASTY)
    await bus.ensure("test", [])
    return bus


async def promise(store: Store, *names: str) -> None:
    async with store.write() as uow:
        for name in names:
            uow.say(letter(created(name), f"promise-{name}").to_dict(), f"millstream.{CREATED}.team")


async def test_letters_leave_in_the_order_of_their_commits(nats: NatsServer, tmp_path: Path) -> None:
    names = [f"job-{number:03}" for number in range(300)]
    async with serve(toy_app(), settings(tmp_path, nats.url), Given(tuning=HASTY)) as toy:
        await promise(toy.ports.store, *names)
        bus = await connect(nats)
        async with hearing(bus) as heard:
            await heard.wait(CREATED, 300)
            assert [each["data"]["name"] for each in heard.of(CREATED)] == names
        await bus.close()


async def test_a_broker_that_lost_its_directory_hears_all_again_and_effects_stay_single(
    nats: NatsServer, tmp_path: Path
) -> None:
    async with serve(toy_app(), settings(tmp_path, nats.url), Given(tuning=HASTY)) as toy:
        bus = await connect(nats)
        await say(bus, created("digits"), "letter-1")
        async with hearing(bus) as heard:
            await heard.wait(ADMITTED)
        await nats.wipe()
        async with hearing(bus) as heard:
            await heard.wait(ADMITTED, timeout_s=30)
            await say(bus, created("digits"), "letter-1")
            await say(bus, created("later"), "letter-2")
            again = await heard.wait(ADMITTED, 2, timeout_s=30)
            assert [each["data"]["name"] for each in again] == ["digits", "later"]
        await bus.close()
        async with toy.ports.store.read() as reader:
            assert len(await reader.list("admissions.example.org")) == 2


async def test_a_service_runs_on_a_simulated_clock_without_a_socket(tmp_path: Path) -> None:
    clock = VirtualClock()
    broker = MemoryBroker(clock)
    bus = MemoryBus(broker, "toy")
    given = Given(clock=clock, ids=SeededIds(7, clock), bus=bus)
    async with serve(toy_app(), settings(tmp_path), given) as toy:
        await say(MemoryBus(broker, "test"), created("digits"), "letter-1")
        for _ in range(200):
            await clock.advance(0.1)
            await asyncio.sleep(0.002)
            if any(ADMITTED in message.subject for message in broker.stream.messages):
                break
        said = [message.subject for message in broker.stream.messages]
        assert said == [f"millstream.{CREATED}.team", f"millstream.{ADMITTED}.team"]
        async with toy.ports.store.read() as reader:
            assert len(await reader.list("admissions.example.org")) == 1


async def test_a_letter_that_the_broker_will_never_take_holds_up_no_other(
    nats: NatsServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serve(toy_app(), settings(tmp_path, nats.url), Given(tuning=HASTY)) as toy:
        bus = await connect(nats)
        async with hearing(bus) as heard:
            async with toy.ports.store.write() as uow:
                huge = letter(created("huge"), "promise-huge").to_dict()
                huge["data"]["labels"] = {"text": "x" * (9 << 20)}
                uow.say(huge, f"millstream.{CREATED}.team")
            await promise(toy.ports.store, "small")
            assert [each["data"]["name"] for each in await heard.wait(CREATED)] == ["small"]
        await bus.close()
        async with asyncio.timeout(30):
            while await toy.ports.store.outbox.unsaid():  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    told = capsys.readouterr().err
    assert "letter promise-huge" in told and "can never be said" in told
