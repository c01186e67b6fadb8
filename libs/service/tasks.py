"""Keeps a service's loops running: starts one again, ever later, when it ends; knows nothing of what they do."""

from __future__ import annotations

import asyncio
import logging

from libs.base.clock import Clock
from libs.service.app import Work

log = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S, STEADY_S = 0.2, 30.0, 60.0


class Tasks:
    """Named loops under watch; `failing` tells of those that wait to be started again."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tasks: list[asyncio.Task[None]] = []
        self._failing: dict[str, str] = {}

    def start(self, name: str, work: Work) -> None:
        self._tasks.append(asyncio.create_task(self._keep(name, work), name=name))

    @property
    def failing(self) -> dict[str, str]:
        return dict(self._failing)

    async def check(self) -> str:
        return "; ".join(f"{name}: {why}" for name, why in self._failing.items()) or "ok"

    async def stop(self) -> None:
        """Cancels all and waits until they are gone."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    async def _keep(self, name: str, work: Work) -> None:
        pause = FIRST_PAUSE_S
        while True:
            started = self._clock.monotonic()
            try:
                await work()
                why = "ended"
                log.warning("%s ended; starting it again", name)
            except Exception as error:
                why = f"{type(error).__name__}: {error}"
                log.exception("%s failed; starting it again in %.1f s", name, pause)
            if self._clock.monotonic() - started > STEADY_S:
                pause = FIRST_PAUSE_S
            self._failing[name] = why
            await self._clock.sleep(pause)
            self._failing.pop(name, None)
            pause = min(pause * 2, LONGEST_PAUSE_S)
