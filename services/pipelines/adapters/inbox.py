"""What the conductor was told and has not taken yet; who waits for it is woken by what is urgent."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from libs.base import Clock
from libs.base.errors import Unavailable
from services.pipelines.adapters.told import Told

TAKEN_MAX = 256
"""Results in one transaction."""
LAZY_S = 0.5
"""How long that a step runs may wait to be recorded: most that are short have ended by then."""


class Inbox:
    """In memory alone: what is lost with the process is told again, or found in the store."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._told: deque[Told] = deque()
        self._bell = asyncio.Event()
        self._lazy_at: float | None = None

    def __len__(self) -> int:
        return len(self._told)

    def __iter__(self) -> Iterator[Told]:
        return iter(self._told)

    def put(self, told: Told) -> None:
        self._told.append(told)
        if told.is_urgent:
            self._bell.set()
        else:
            self._lazy_at = self._lazy_at or self._clock.monotonic() + LAZY_S

    def ring(self) -> None:
        """There is something to do though nothing was told."""
        self._bell.set()

    def hush(self) -> None:
        """From now on it rings anew."""
        self._bell.clear()

    async def rings(self) -> None:
        await self._bell.wait()

    def left_s(self) -> float:
        """How long what is not urgent may wait still."""
        return float("inf") if self._lazy_at is None else self._lazy_at - self._clock.monotonic()

    def take(self, is_meant: Callable[[Told], bool] | None = None) -> list[Told]:
        """In their order: as many as one transaction takes, or all that are meant."""
        if is_meant is None:
            taken = [self._told.popleft() for _ in range(min(len(self._told), TAKEN_MAX))]
        else:
            taken = [one for one in self._told if is_meant(one)]
            self._told = deque(one for one in self._told if not is_meant(one))
        if not self._told:
            self._lazy_at = None
        return taken

    def close(self, error: Exception) -> None:
        """Nobody takes what is left."""
        left, self._lazy_at = list(self._told), None
        self._told.clear()
        refuse(left, error)


def answer(told: Sequence[Told], counted: Sequence[bool]) -> None:
    """To who waits: whether it counts."""
    for one, counts in zip(told, counted, strict=True):
        if one.heard is not None and not one.heard.done():
            one.heard.set_result(counts)


def refuse(told: Sequence[Told], error: BaseException) -> None:
    for one in told:
        if one.heard is not None and not one.heard.done():
            one.heard.set_exception(Unavailable(f"the result could not be stored; send it again: {error!r}"))
