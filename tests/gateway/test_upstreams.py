"""The gateway's calls of services whose processes come and go."""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest

from libs.base import SystemClock
from libs.base.errors import Unavailable
from libs.service.identity import Signer, User
from services.gateway.adapters.upstreams import HttpUpstreams
from tests.gateway.world import PRIVATE

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: closing resets the connection."""


class Restarting:
    """A service that cuts its first connections as a process does that ends."""

    def __init__(self, cuts: int, *, hard: bool) -> None:
        self.left, self.hard = cuts, hard

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.left:
            self.left -= 1
            if self.hard:
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.close()
            return
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWER)
        await writer.drain()
        writer.close()


async def _document(cuts: int, *, hard: bool) -> dict[str, object] | None:
    server = await asyncio.start_server(Restarting(cuts, hard=hard).handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    upstreams = HttpUpstreams(lambda service: f"http://127.0.0.1:{port}", Signer(PRIVATE, SystemClock()), SystemClock())
    try:
        return await upstreams.document("trains", "/apis", "application/json", User("somebody", ()))
    finally:
        await upstreams.close()
        server.close()


@pytest.mark.parametrize("hard", [False, True])
async def test_what_describes_a_service_is_asked_again_when_its_process_ended_meanwhile(hard: bool) -> None:
    assert await _document(1, hard=hard) == {}


async def test_a_service_that_stays_away_is_told_as_such() -> None:
    with pytest.raises(Unavailable, match="trains does not answer"):
        await _document(9, hard=True)
