"""Lines kept open between transactions: one writer, served first come first served, and a few readers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from sqlalchemy.ext.asyncio import AsyncEngine

from libs.store.engines import Database
from libs.store.lines import Line


class Pool:
    """At most `size` lines, opened when first needed; a line that failed to end its transaction is thrown away."""

    def __init__(self, database: Database, *, size: int, read_only: bool) -> None:
        self._database = database
        self._engine: AsyncEngine = database.engine(read_only=read_only)
        self._free: list[Line] = []
        self._turns = asyncio.Semaphore(size)
        self._closed = False

    @asynccontextmanager
    async def line(self) -> AsyncIterator["Held"]:
        """A line for one transaction; waiters are served in order."""
        async with self._turns:
            held = Held(await self._take())
            try:
                yield held
            finally:
                if held.broken or self._closed:
                    await self._throw_away(held.line)
                else:
                    self._free.append(held.line)

    async def _take(self) -> Line:
        while self._free:
            line = self._free.pop()
            if not line.closed:
                return line
            await self._throw_away(line)
        return await self._connect()

    async def _connect(self) -> Line:
        """Waits for a connection that is on its way even when cancelled: left alone, it would outlive the store."""
        connecting = asyncio.ensure_future(self._database.connect(self._engine))
        try:
            return await asyncio.shield(connecting)
        except asyncio.CancelledError:
            await asyncio.wait([connecting])
            if connecting.exception() is None:
                self._free.append(connecting.result())
            raise

    async def close(self) -> None:
        """Closes the free lines now, and those in use when they are given back."""
        self._closed = True
        while self._free:
            await self._throw_away(self._free.pop())
        await self._engine.dispose()

    async def _throw_away(self, line: Line) -> None:
        with suppress(Exception):
            await line.connection.invalidate()
        with suppress(Exception):
            await line.connection.close()


class Held:
    """A line while somebody uses it; `broken` once nobody can say what state its transaction is in."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.broken = False
