"""Questions to the bucket about kept results, asked beside the conductor's transactions; it decides nothing.

The answers are in the run's own memory when `told` is called: the conductor looks there when it answers for the step.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

from services.pipelines.adapters.presence import Presence
from services.pipelines.adapters.settling import Look

AT_ONCE = 16
"""Questions under way at a time, of all runs: the bucket's client has few threads, and a question that waits long for
one of them would pass for a bucket that does not answer."""


class Looking:
    """`told` is called with a step's uid and attempt when the bucket has said all of it, or does not answer."""

    def __init__(self, told: Callable[[str, int], None]) -> None:
        self._told = told
        self._tasks: dict[str, set[asyncio.Task[None]]] = {}
        self._places = asyncio.Semaphore(AT_ONCE)

    def start(self, run_id: str, presence: Presence, looks: list[Look]) -> None:
        left, tasks = iter(looks), self._tasks.setdefault(run_id, set())
        for _ in range(min(AT_ONCE, len(looks))):
            tasks.add(task := asyncio.ensure_future(self._work(presence, left)))
            task.add_done_callback(tasks.discard)

    def forget(self, run_id: str) -> None:
        for task in self._tasks.pop(run_id, ()):
            task.cancel()

    def forget_all(self) -> None:
        for run_id in list(self._tasks):
            self.forget(run_id)

    async def _work(self, presence: Presence, left: Iterator[Look]) -> None:
        for look in left:
            async with self._places:
                await presence.look(look.outputs)
            self._told(look.record.uid, look.record.attempt)
