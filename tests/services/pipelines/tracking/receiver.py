"""A real HTTP server that keeps what is posted to it, and can be away or refuse."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class Receiver:
    """`answers` are the statuses of the next requests; then 200."""

    url: str = ""
    got: list[tuple[str, Any]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    says: bytes = b""
    """The body of each answer."""

    async def take(self, request: web.Request) -> web.Response:
        status = self.answers.pop(0) if self.answers else 200
        self.keys.add(request.headers.get("Authorization", ""))
        if status == 200:
            self.got.append((request.path, await request.json()))
        return web.Response(status=status, body=self.says)


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    app = web.Application()
    app.router.add_post("/{path:.*}", made.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield made
    finally:
        await runner.cleanup()
