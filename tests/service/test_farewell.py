"""A service that must end serves on until no caller can hold an idle connection to it."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from libs.base.clock import SystemClock
from libs.service.asgi import Message, Receive, Scope, Send, send_json
from libs.service.farewell import CALLER_IDLE_S, Farewell
from libs.service.runner import inside_the_pod


async def well(scope: Scope, receive: Receive, send: Send) -> None:
    await send_json(send, 200, b"{}")


async def ask(app: Farewell, path: str, query: bytes = b"") -> tuple[int, dict[bytes, bytes]]:
    told: list[Message] = []

    async def send(message: Message) -> None:
        told.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope: dict[str, Any] = {"type": "http", "path": path, "query_string": query, "headers": []}
    await app(scope, receive, send)
    return told[0]["status"], dict(told[0]["headers"])


async def test_after_the_signal_it_is_unready_and_still_answers_and_each_answer_is_the_last_of_its_connection():
    app = Farewell(well, SystemClock())
    before = await ask(app, "/apis")
    assert before[0] == 200 and b"connection" not in before[1]
    leaving = asyncio.create_task(app.say(2.0))
    await asyncio.sleep(0)
    assert (await ask(app, "/readyz"))[0] == 503
    assert (await ask(app, "/livez"))[0] == 200
    code, headers = await ask(app, "/apis")
    assert (code, headers[b"connection"]) == (200, b"close")
    leaving.cancel()


async def test_it_waits_out_the_idle_connections_of_its_last_caller_and_no_longer():
    app, clock = Farewell(well, SystemClock()), SystemClock()
    await ask(app, "/apis")
    began = clock.monotonic()
    await app.say(20.0 * CALLER_IDLE_S / 5)
    assert CALLER_IDLE_S < clock.monotonic() - began < 3 * CALLER_IDLE_S


async def test_a_service_that_nobody_asks_ends_after_a_quarter_of_the_time():
    app, clock = Farewell(well, SystemClock()), SystemClock()
    began = clock.monotonic()
    await app.say(0.8)
    assert 0.2 <= clock.monotonic() - began < 0.6


async def test_a_stream_is_always_the_last_answer_of_its_connection():
    app = Farewell(well, SystemClock())
    assert (await ask(app, "/apis", b"watch=true"))[1][b"connection"] == b"close"


def test_a_pods_service_listens_on_its_loopback_too_where_port_forwards_come_from():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    [beside] = inside_the_pod(("10.1.2.3", port))
    assert beside.getsockname() == ("127.0.0.1", port)
    beside.listen()
    assert inside_the_pod(("10.1.2.3", port)) == [], "a taken port is no reason not to serve"
    beside.close()
    assert inside_the_pod(("127.1.2.3", port)) == inside_the_pod(("0.0.0.0", port)) == []
