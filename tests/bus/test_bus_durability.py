"""A broker that acknowledges before its disk has the message is told apart, and refused where the settings say so."""

import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from libs.base.clock import SystemClock
from libs.base.ids import SystemIds
from libs.bus import Bus, Tuning, Unsafe
from libs.testing.bus_server import NatsServer

REFUSE = Tuning(durability="refuse")


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Callable[[bool], object]]:
    started: list[NatsServer] = []

    async def start(sync_always: bool) -> NatsServer:
        server = NatsServer(tmp_path / f"{sync_always}", sync_always=sync_always)
        await server.start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.kill()


async def connect(server: NatsServer, tuning: Tuning, monitor_url: str | None) -> None:
    bus = await Bus.connect(
        server.url, service="t", clock=SystemClock(), ids=SystemIds(), tuning=tuning, monitor_url=monitor_url
    )
    await bus.close()


async def test_a_broker_that_always_syncs_is_welcome(start: Callable, caplog: pytest.LogCaptureFixture) -> None:
    server = await start(True)
    with caplog.at_level(logging.WARNING, "libs.bus"):
        await connect(server, REFUSE, server.monitor_url)
    assert caplog.text == ""


async def test_one_that_does_not_is_refused_with_advice(start: Callable) -> None:
    server = await start(False)
    with pytest.raises(Unsafe, match="sync_interval: always"):
        await connect(server, REFUSE, server.monitor_url)


async def test_or_only_warned_of(start: Callable, caplog: pytest.LogCaptureFixture) -> None:
    server = await start(False)
    with caplog.at_level(logging.WARNING, "libs.bus"):
        await connect(server, replace(REFUSE, durability="warn"), server.monitor_url)
    assert "acknowledges before its disk has the message" in caplog.text


async def test_a_short_errand_may_leave_the_question_to_others(
    start: Callable, caplog: pytest.LogCaptureFixture
) -> None:
    server = await start(False)
    with caplog.at_level(logging.WARNING, "libs.bus"):
        await connect(server, Tuning(durability="ignore"), None)
    assert caplog.text == ""


@pytest.mark.parametrize("monitor_url", [None, "http://127.0.0.1:1"], ids=["no monitor", "nobody listens"])
async def test_what_cannot_be_verified_is_not_taken_for_granted(start: Callable, monitor_url: str | None) -> None:
    server = await start(True)
    with pytest.raises(Unsafe, match="cannot tell"):
        await connect(server, REFUSE, monitor_url)
