"""The loop that starts the runs of recurring runs; it keeps no time of its own, so a leader that follows goes on."""

from __future__ import annotations

from libs.base.clock import Clock
from services.pipelines.handlers.clockwork import Clockwork


class RecurringLoop:
    """Runs on the replica that leads."""

    def __init__(self, clockwork: Clockwork, clock: Clock) -> None:
        self._clockwork, self._clock = clockwork, clock

    async def run(self) -> None:
        while True:
            if not await self._clockwork.tick():
                await self._clock.sleep(await self._clockwork.rest_s())
