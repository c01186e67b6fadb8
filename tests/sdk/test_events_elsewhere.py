"""`millstream events` where there is no home: in a pod of a cluster, which is told of its broker by variables."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from millstream import messages
from millstream.errors import ClientError

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


async def test_another_systems_event_is_said_as_it_is(nats: NatsServer, tmp_path: Path) -> None:
    clock = SystemClock()
    bus = await Bus.connect(nats.url, service="hearer", clock=clock, ids=SystemIds(clock))
    await bus.ensure("hearer", ["shop.order.paid.v1"])
    told = await events(nats, tmp_path, "publish", "shop.order.paid.v1", '{"order": 7}', "-n", "team")
    assert "an event of another system" in told
    async with aclosing(bus.tail("shop.>", since=datetime.fromtimestamp(0, UTC))) as heard:
        letter = json.loads((await anext(heard)).data)
    await bus.close()
    assert (letter["type"], letter["namespace"], letter["data"]) == ("shop.order.paid.v1", "team", {"order": 7})


@pytest.mark.parametrize(
    ("type", "data", "told"),
    [
        ("trainig.trainjob.apply.v1", {}, "did you mean training.trainjob.apply.v1"),
        ("training.penguin.waddled.v1", {}, "there are training.legacyjob.applied.v1"),
        ("order", {}, "is not <domain>.<noun>.<verb>.v<N>, such as training.trainjob.apply.v1"),
        (APPLY, [1], "data must be a JSON object"),
        (APPLY, {}, f"data does not fit {APPLY}: manifest: Field required$"),
    ],
)
def test_what_cannot_be_said_is_told_in_one_line(type: str, data: Any, told: str) -> None:
    with pytest.raises(ClientError, match=told) as error:
        messages.compose(type, data, "team")
    assert "\n" not in str(error.value)


async def refuse(delivery: Delivery) -> None:
    raise Poison("no such runtime")


async def test_dead_letters_are_listed_and_replayed_from_a_pod(nats: NatsServer, tmp_path: Path) -> None:
    clock = SystemClock()
    bus = await Bus.connect(nats.url, service="hearer", clock=clock, ids=SystemIds(clock))
    await bus.ensure("hearer", [APPLY])
    subscription = await bus.subscribe(refuse)
    await bus.publish(f"millstream.{APPLY}.team", b"{}", headers={}, msg_id="1")
    for _ in range(600):
        if await bus.dead_letters():
            break
        await asyncio.sleep(0.05)
    await subscription.stop()
    assert "no such runtime" in await events(nats, tmp_path, "dead-letters", "list")
    await events(nats, tmp_path, "dead-letters", "replay", "1")
    assert "no dead letters" in await events(nats, tmp_path, "dead-letters", "list")
    await bus.close()
