"""Everything said on the bus since a moment, read in the background: to wait for a fact, or to draw a timeline."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, Self

from millstream.errors import ClientError

Letter = dict[str, Any]


class Story:
    """Letters in the order of the stream. Use as a context manager; `url` holds the broker's user and password."""

    def __init__(self, url: str, since: datetime) -> None:
        self.letters: list[Letter] = []
        self._url, self._since = url, since
        self._news = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="story", daemon=True)
        self._error: Exception | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(timeout=5)

    def wait(self, fits: Callable[[Letter], bool], timeout_s: float, what: str) -> Letter:
        """The first letter that fits, now or later. Raises ClientError naming `what` after `timeout_s` seconds."""
        end = time.monotonic() + timeout_s
        with self._news:
            while True:
                if found := next((letter for letter in self.letters if fits(letter)), None):
                    return found
                if self._error:
                    raise ClientError(f"reading events failed: {self._error}") from self._error
                if not self._news.wait(max(0.0, end - time.monotonic())) and time.monotonic() >= end:
                    raise ClientError(f"{what}: nothing was said within {timeout_s:.0f} s")

    def _run(self) -> None:
        self._task = self._loop.create_task(self._read())
        try:
            self._loop.run_until_complete(self._task)
        except asyncio.CancelledError:
            pass
        except Exception as error:
            with self._news:
                self._error = error
                self._news.notify_all()

    async def _read(self) -> None:
        from millstream.messages import connect, letters

        bus = await connect(self._url)
        try:
            async for letter in letters(bus, ">", self._since):
                with self._news:
                    self.letters.append(letter)
                    self._news.notify_all()
        finally:
            await bus.close()
