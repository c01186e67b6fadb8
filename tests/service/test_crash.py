"""A service killed with -9 at any step between command and ack ends with one effect and one event on the stream."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.base import SystemClock, SystemIds
from libs.bus import Bus
from libs.service.app import Given
from libs.service.shell import serve
from libs.store import Store
from libs.testing.bus_server import NatsServer
from tests.service.toy import HASTY, Heard, created, hearing, say, settings, toy_app

ADMITTED = "scheduling.workload.admitted.v1"
STEPS = {
    "received": "before the transaction",
    "handled": "before the commit",
    "committed": "after the commit, before the ack of what was heard",
    "publishing": "after the commit, before publishing",
    "published": "after the broker's ack, before the mark",
    "marked": "after the mark",
}


@pytest.fixture
async def heard(nats: NatsServer) -> AsyncIterator[Heard]:
    clock = SystemClock()
    bus = await Bus.connect(nats.url, service="test", clock=clock, ids=SystemIds(clock))
    await bus.ensure("test", [])
    async with hearing(bus) as found:
        yield found
    await bus.close()


async def start(step: str, nats: NatsServer, folder: Path) -> asyncio.subprocess.Process:
    """The toy service, to die once at `step`."""
    environ = {
        "PATH": os.environ["PATH"],
        "MILLSTREAM_STORE_URL": f"sqlite:///{folder}/toy.db",
        "MILLSTREAM_NATS_URL": nats.url,
        "MILLSTREAM_INSECURE": "true",
        "MILLSTREAM_PORT": "0",
        "MILLSTREAM_LOG_LEVEL": "error",
    }
    program = Path(__file__).with_name("toy_main.py")
    return await asyncio.create_subprocess_exec(sys.executable, program, step, folder / "died", env=environ)


@pytest.mark.parametrize("step", STEPS, ids=list(STEPS.values()))
async def test_a_killed_service_ends_with_one_effect_and_one_event(
    step: str, nats: NatsServer, heard: Heard, tmp_path: Path
) -> None:
    first = await start(step, nats, tmp_path)
    await say(heard._bus, created("digits"), "letter-1")
    assert await asyncio.wait_for(first.wait(), 30) == -9
    async with serve(toy_app(), settings(tmp_path, nats.url), Given(tuning=HASTY)):
        await say(heard._bus, created("last"), "letter-2")
        names = {each["data"]["name"] for each in await heard.wait(ADMITTED, 2, timeout_s=60)}
    assert names == {"digits", "last"}
    assert len(heard.of(ADMITTED)) == 2
    assert await admitted_names(tmp_path) == ["digits", "last"]


async def admitted_names(folder: Path) -> list[str]:
    clock = SystemClock()
    store = await Store.open(f"sqlite:///{folder}/toy.db", clock=clock, ids=SystemIds(clock))
    async with store.read() as reader:
        found = [each["metadata"]["name"] for each in await reader.list("admissions.example.org")]
    assert await store.outbox.unsaid() == []
    await store.close()
    return found


async def test_sigterm_ends_a_process_well(nats: NatsServer, tmp_path: Path) -> None:
    process = await start("never", nats, tmp_path)
    clock = SystemClock()
    bus = await Bus.connect(nats.url, service="test", clock=clock, ids=SystemIds(clock))
    async with hearing(bus) as heard:
        await bus.ensure("test", [])
        await say(bus, created("digits"), "letter-1")
        await heard.wait(ADMITTED, timeout_s=30)
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 30) == 0
    await bus.close()
    assert await admitted_names(tmp_path) == ["digits"]
