"""Answers that are asked for often and may be a little old: bounded, each good for some seconds, asked for once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from libs.base.clock import Clock

K = TypeVar("K")
V = TypeVar("V")


class Remembered(Generic[K, V]):
    """Keeps at most `most` answers for `good_s` seconds each. Who asks while an answer is on its way gets that one.

    An error is told to all who wait and not kept.
    """

    def __init__(self, clock: Clock, good_s: float, most: int = 4096) -> None:
        self._clock, self._good_s, self._most = clock, good_s, most
        self._known: OrderedDict[K, tuple[V, float]] = OrderedDict()
        self._asking: dict[K, asyncio.Task[V]] = {}

    async def get(self, key: K, ask: Callable[[], Awaitable[V]]) -> V:
        """The answer for `key`, from `ask` when none is fresh."""
        known = self._known.get(key)
        if known and self._clock.monotonic() - known[1] < self._good_s:
            return known[0]
        task = self._asking.get(key)
        if task is None:
            task = self._asking[key] = asyncio.ensure_future(self._ask(key, ask))
            task.add_done_callback(lambda done: self._over(key, done))
        return await asyncio.shield(task)

    async def _ask(self, key: K, ask: Callable[[], Awaitable[V]]) -> V:
        began = self._clock.monotonic()
        answer = await ask()
        self._known[key] = (answer, began)
        self._known.move_to_end(key)
        while len(self._known) > self._most:
            self._known.popitem(last=False)
        return answer

    def _over(self, key: K, task: asyncio.Task[V]) -> None:
        self._asking.pop(key, None)
        if not task.cancelled():
            task.exception()  # taken note of, should nobody wait any more
