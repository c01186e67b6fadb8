"""A userspace proxy for cluster addresses: each new connection goes to the next ready target; open ones stay."""

import asyncio
import contextlib
import sys

Where = tuple[str, int]
CHUNK = 256 * 1024


class TcpProxies:
    """Listeners are opened and closed as services come and go; a change of targets touches no connection."""

    def __init__(self) -> None:
        self._targets: dict[Where, list[Where]] = {}
        self._servers: dict[Where, asyncio.Server] = {}
        self._next: dict[Where, int] = {}

    async def serve(self, wanted: dict[Where, list[Where]]) -> None:
        """Listens on exactly these (address, port) pairs; one that cannot be bound is tried at the next change."""
        self._targets = dict(wanted)
        for gone in [where for where in self._servers if where not in wanted]:
            self._servers.pop(gone).close()
        for where in wanted:
            if where not in self._servers:
                await self._listen(where)

    async def close(self) -> None:
        for server in self._servers.values():
            server.close()
        self._servers.clear()

    async def _listen(self, where: Where) -> None:
        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._pass_on(where, reader, writer)

        try:
            self._servers[where] = await asyncio.start_server(accept, *where, limit=CHUNK)
        except OSError as error:
            print(f"cannot listen on {where[0]}:{where[1]}: {error}", file=sys.stderr)

    async def _pass_on(self, where: Where, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found = await self._connect(where)
        if found is None:
            writer.transport.abort()
            return
        there_reader, there_writer = found
        try:
            await asyncio.gather(_pump(reader, there_writer), _pump(there_reader, writer))
        finally:
            for one in (writer, there_writer):
                one.close()

    async def _connect(self, where: Where) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """The next target that accepts."""
        for _ in range(len(self._targets.get(where, ()))):
            targets = self._targets.get(where) or []
            if not targets:
                return None
            turn = self._next[where] = (self._next.get(where, -1) + 1) % len(targets)
            with contextlib.suppress(OSError):
                return await asyncio.open_connection(*targets[turn], limit=CHUNK)
        return None


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
        return
    writer.transport.abort()
