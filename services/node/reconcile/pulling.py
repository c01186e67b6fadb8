"""Gets what images stand for, away from the pods that wait for it; it must not assume that it can be had.

One task for each image. A failure is told at once and tried again, later each time, for as long as a pod waits.
"""

import asyncio
from collections.abc import Callable

from libs.base.clock import Clock
from services.node.domain.attempts import Backoff
from services.node.domain.pods import Waiting
from services.node.ports import PodRuntime, PullFailed

Wake = Callable[[], None]
PULLING, FAILED = "Pulling", "ErrImagePull"


class Pulls:
    """What pods ask before they start a container."""

    def __init__(self, runtime: PodRuntime, clock: Clock, backoff: Backoff) -> None:
        self._runtime, self._clock, self._backoff = runtime, clock, backoff
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._failed: dict[str, Waiting] = {}
        self._waiting: dict[str, list[Wake]] = {}

    def missing(self, image: str, wake: Wake) -> Waiting | None:
        """Why a container of `image` cannot start yet, None when it can; `wake` is called once when that may change."""
        lack = self._runtime.lacks(image)
        if lack is None:
            return None
        self._waiting.setdefault(image, []).append(wake)
        if image not in self._tasks:
            self._tasks[image] = asyncio.create_task(self._pull(image))
        return self._failed.get(image) or Waiting(PULLING, lack)

    async def _pull(self, image: str) -> None:
        pause = self._backoff.first_s
        try:
            while True:
                try:
                    await self._runtime.pull(image)
                    return
                except (PullFailed, OSError) as error:
                    self._failed[image] = Waiting(FAILED, str(error))
                self._wake(image)
                await self._clock.sleep(pause)
                pause = min(2 * pause, self._backoff.most_s)
                if not self._waiting.get(image):
                    return
        finally:
            self._failed.pop(image, None)
            del self._tasks[image]
            self._wake(image)

    def _wake(self, image: str) -> None:
        for wake in self._waiting.pop(image, []):
            wake()

    def stop(self) -> None:
        for task in self._tasks.values():
            task.cancel()
