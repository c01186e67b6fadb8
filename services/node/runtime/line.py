"""The node's end of the spawner's socket; it must not assume that the spawner outlives a question."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from services.node.runtime import wire
from services.node.runtime.paths import dial

Message = dict[str, Any]


class SpawnerGone(ConnectionError):
    """The spawner ended while it was asked; whether it did what it was told shows on disk."""


class Refused(RuntimeError):
    """The spawner will not do it: its words."""


class Line:
    """Questions with answers by id, and events in between."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, on_event: Callable[[Message], None]
    ) -> None:
        self._reader, self._writer, self._on_event = reader, writer, on_event
        self._ids = itertools.count(1)
        self._asked: dict[int, asyncio.Future[Message]] = {}
        self.gone = asyncio.Event()
        self._task = asyncio.create_task(self._read())

    @classmethod
    async def open(cls, path: Path, on_event: Callable[[Message], None]) -> Line:
        """Raises OSError when nobody listens."""
        reader, writer = await asyncio.open_unix_connection(sock=dial(path))
        return cls(reader, writer, on_event)

    async def ask(self, message: Message) -> Message:
        """Raises SpawnerGone or Refused."""
        if self.gone.is_set():
            raise SpawnerGone("the spawner is gone")
        number = next(self._ids)
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        self._writer.write(wire.pack({**message, "id": number}))
        found = await answer
        if "error" in found:
            raise Refused(found["error"])
        return found

    async def _read(self) -> None:
        frames = wire.Frames()
        try:
            while data := await self._reader.read(65536):
                for message in frames.feed(data):
                    self._take(message)
        except OSError:
            pass
        finally:
            self.gone.set()
            for answer in self._asked.values():
                if not answer.done():
                    answer.set_exception(SpawnerGone("the spawner ended"))
            self._asked.clear()
            self._writer.close()

    def _take(self, message: Message) -> None:
        if "event" in message:
            self._on_event(message)
            return
        answer = self._asked.pop(message["id"], None)
        if answer is not None and not answer.done():
            answer.set_result(message)

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
