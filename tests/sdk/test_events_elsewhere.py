"""`millstream events` where there is no home: in a pod of a cluster, which is told of its broker by variables."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.base import SystemClock, SystemIds
from libs.bus import Bus, Delivery, Poison
from libs.testing.bus_server import NatsServer

APPLY = "training.trainjob.apply.v1"
FIRE = "scheduling.trigger.fire.v1"


@pytest.fixture
async def nats(tmp_path: Path) -> AsyncIterator[NatsServer]:
    server = NatsServer(tmp_path / "nats", sync_always=False)
    await server.start()
    yield server
    server.kill()


async def events(nats: NatsServer, folder: Path, *words: str) -> str:
    known = {"PATH": os.environ["PATH"], "HOME": str(folder), "MILLSTREAM_NATS_URL": nats.url}
    command = [sys.executable, "-m", "millstream.cli", "events", *words]
    done = await asyncio.to_thread(subprocess.run, command, env=known, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


async def test_a_command_that_nobody_answers_is_said_and_not_waited_for(nats: NatsServer, tmp_path: Path) -> None:
    clock = SystemClock()
    bus = await Bus.connect(nats.url, service="hearer", clock=clock, ids=SystemIds(clock))
    await bus.ensure("hearer", [FIRE])
    await bus.close()
    told = await events(nats, tmp_path, "publish", FIRE, '{"name": "nightly", "key": "by hand"}')
    assert told.startswith("published ")


async def refuse(delivery: Delivery) -> None:
    raise Poison("no such runtime")


async def test_dead_letters_are_listed_and_replayed_from_a_pod(nats: NatsServer, tmp_path: Path) -> None:
    clock = SystemClock()
    bus = await Bus.connect(nats.url, service="hearer", clock=clock, ids=SystemIds(clock))
    await bus.ensure("hearer", [APPLY])
    subscription = await bus.subscribe(refuse)
    await bus.publish(f"millstream.{APPLY}.team", b"{}", headers={}, msg_id="1")
    for _ in range(200):
        if await bus.dead_letters():
            break
        await asyncio.sleep(0.05)
    await subscription.stop()
    assert "no such runtime" in await events(nats, tmp_path, "dead-letters", "list")
    await events(nats, tmp_path, "dead-letters", "replay", "1")
    assert "no dead letters" in await events(nats, tmp_path, "dead-letters", "list")
    await bus.close()
