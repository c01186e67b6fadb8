"""Time that passes only when a test says so; nothing here looks at the machine's clock."""

import asyncio
import heapq
from datetime import UTC, datetime, timedelta
from itertools import count

START = datetime(2026, 1, 1, tzinfo=UTC)
SETTLE_ROUNDS = 30


class VirtualClock:
    """A :class:`libs.base.clock.Clock` moved by :meth:`advance`. Sleepers wake in order of time, then of arrival."""

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self._elapsed = 0.0
        self._order = count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            return await asyncio.sleep(0)
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed + seconds, next(self._order), woken))
        await woken

    def next_at(self) -> float | None:
        """When, by `monotonic`, the next sleeper wakes; None when nobody sleeps."""
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        return self._sleepers[0][0] if self._sleepers else None

    async def advance(self, seconds: float) -> None:
        """Lets `seconds` pass: each sleeper wakes at its own time and does what it can before the next one does."""
        until = self._elapsed + seconds
        await settle()
        while (at := self.next_at()) is not None and at <= until:
            self._elapsed = max(self._elapsed, at)
            heapq.heappop(self._sleepers)[2].set_result(None)
            await settle()
        self._elapsed = until


async def settle() -> None:
    """Lets every task run until all of them wait for time to pass (or have taken many turns)."""
    for _ in range(SETTLE_ROUNDS):
        await asyncio.sleep(0)
