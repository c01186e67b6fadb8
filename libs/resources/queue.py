"""A work queue of keys: each key is with one worker at a time, repeated wishes merge, failures back off with jitter."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from libs.base import Clock

K = TypeVar("K", bound=Hashable)
FIRST_DELAY_S = 0.2
LAST_DELAY_S = 60.0


class WorkQueue(Generic[K]):
    """After the work queue of client-go. `jitter` gives numbers from 0 to 1; a test gives a constant."""

    def __init__(self, clock: Clock, jitter: Callable[[], float]) -> None:
        self._clock, self._jitter = clock, jitter
        self._ready: asyncio.Queue[K] = asyncio.Queue()
        self._wanted: set[K] = set()
        self._busy: set[K] = set()
        self._failures: dict[K, int] = {}
        self._later: dict[K, tuple[float, asyncio.Task[None]]] = {}

    def add(self, key: K) -> None:
        """Wants `key` worked on. While it is with a worker it is only noted, and comes again afterwards."""
        if key in self._wanted:
            return
        self._wanted.add(key)
        if key not in self._busy:
            self._ready.put_nowait(key)

    def add_after(self, key: K, delay_s: float) -> None:
        """Wants `key` in `delay_s` seconds; the earliest of several such wishes counts."""
        if delay_s <= 0:
            self.add(key)
            return
        due = self._clock.monotonic() + delay_s
        if key in self._later:
            if self._later[key][0] <= due:
                return
            self._later.pop(key)[1].cancel()
        self._later[key] = (due, asyncio.create_task(self._wait(key, delay_s)))

    async def _wait(self, key: K, delay_s: float) -> None:
        await self._clock.sleep(delay_s)
        self._later.pop(key, None)
        self.add(key)

    def retry(self, key: K, least_s: float = 0.0) -> float:
        """Wants a key that failed again: after 0.2 s, doubled by each failure in a row, at most 60 s; returns that.

        `least_s` is what a server asked for; no wait is shorter.
        """
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay: float = min(FIRST_DELAY_S * 2.0 ** min(failures, 20), LAST_DELAY_S) * (0.5 + self._jitter() / 2)
        delay = max(delay, min(least_s, LAST_DELAY_S))
        self.add_after(key, delay)
        return delay

    def forget(self, key: K) -> None:
        """The key went well: its next failure is its first."""
        self._failures.pop(key, None)

    async def take(self) -> K:
        """The next key; it is with the caller until `done`."""
        key = await self._ready.get()
        self._wanted.discard(key)
        self._busy.add(key)
        return key

    def done(self, key: K) -> None:
        """The caller of `take` is through with the key, well or not."""
        self._busy.discard(key)
        if key in self._wanted:
            self._ready.put_nowait(key)

    def waiting(self) -> list[K]:
        """Keys that want a worker now."""
        return list(self._wanted)

    def failing(self) -> list[K]:
        """Keys whose last work failed."""
        return list(self._failures)

    def clear(self) -> None:
        """Forgets all that waits; what is with workers stays with them."""
        for _, task in self._later.values():
            task.cancel()
        self._later.clear()
        while not self._ready.empty():
            self._ready.get_nowait()
        self._wanted.clear()
        self._failures.clear()
