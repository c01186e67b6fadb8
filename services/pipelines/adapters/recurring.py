"""The loop that starts the runs of recurring runs; it keeps no time of its own, so a leader that follows goes on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from libs.base.clock import Clock

EVERY_S = 1.0
"""The finest step of a cron expression; one look at an index where nothing is due."""


class RecurringLoop:
    """`tick` starts what is due and says how many runs that were."""

    def __init__(self, tick: Callable[[], Awaitable[int]], clock: Clock) -> None:
        self._tick, self._clock = tick, clock

    async def run(self) -> None:
        while True:
            if not await self._tick():
                await self._clock.sleep(EVERY_S)
