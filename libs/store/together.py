"""One transaction for all who want to write at the same time: a savepoint for each, one commit for all of them.

A commit that survives a power cut costs much the same for one change and for fifty. Nobody waits for others to come:
who is alone is committed at once, and who comes meanwhile shares the next transaction.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from libs.base import Clock, MillstreamError, Unavailable
from libs.store.engines import Database
from libs.store.part import Part
from libs.store.pool import Held
from libs.store.unit import UnitOfWork

MOST, LONGEST_S = 64, 0.05
"""So many share a transaction, and after so long it takes nobody in: other writers wait for their turn meanwhile."""

Lines = Callable[[], AbstractAsyncContextManager[Held]]
Commit = Callable[[Sequence[Part]], Awaitable[None]]


class FellApart(MillstreamError):
    """A transaction of several could not be committed, for which this one need not be the reason: do it again alone."""


def _future() -> "asyncio.Future[Any]":
    return asyncio.get_running_loop().create_future()


@dataclass(eq=False)
class Place:
    """One who wants to write: `turn` brings the part, `left` tells whether its work is good, `end` comes with the
    commit."""

    task: asyncio.Task[Any] | None
    asked: float
    turn: "asyncio.Future[Part]" = field(default_factory=_future)
    left: "asyncio.Future[bool]" = field(default_factory=_future)
    end: "asyncio.Future[None]" = field(default_factory=_future)

    def fail(self, error: BaseException) -> None:
        waits = self.turn if not self.turn.done() else self.end
        if not waits.done():
            waits.set_exception(error)
            waits.exception()  # taken note of, should nobody wait for it any more


class Together:
    """Those who wait for a shared transaction, and the one task that carries them through it."""

    def __init__(
        self, where: Database, lines: Lines, commit: Commit, turn: Callable[[Place | None], None], clock: Clock
    ) -> None:
        self._begin_with, self._lines, self._commit, self._turn = where.begin_write, lines, commit, turn
        self._clock = clock
        self._waiting: deque[Place] = deque()
        self._driver: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def write(self) -> AsyncIterator[UnitOfWork]:
        """See :meth:`Store.write_together`."""
        place = Place(asyncio.current_task(), self._clock.monotonic())
        self._waiting.append(place)
        if self._driver is None or self._driver.done():
            self._driver = asyncio.create_task(self._drive(), name="store-together")
        try:
            yield await place.turn
        except BaseException:
            place.left.set_result(False)
            raise
        place.left.set_result(True)
        await place.end

    async def close(self) -> None:
        """Waits for those who have begun."""
        if self._driver is not None:
            await asyncio.wait([self._driver])

    async def _drive(self) -> None:
        while self._waiting:
            try:
                async with self._lines() as held:
                    await self._share(held)
            except Exception as error:  # no line to the database: the next in turn is told, and the others try again
                if place := self._next():
                    place.fail(error)

    def _next(self) -> Place | None:
        """Who waits the longest, and has not given up."""
        while self._waiting:
            place = self._waiting.popleft()
            if not place.turn.done():
                return place
        return None

    async def _share(self, held: Held) -> None:
        shared: list[tuple[Place, Part]] = []
        try:
            await self._gather(held, shared)
            if shared:
                await self._commit([part for _, part in shared])
        except BaseException as error:
            for place, _ in shared:
                alone = len(shared) == 1 or isinstance(error, Unavailable)
                place.fail(error if alone else FellApart(f"{len(shared)} writes were not committed: {error}"))
            await _give_up(held, [part for _, part in shared])
            if not isinstance(error, Exception):
                raise
        else:
            for place, _ in shared:
                if not place.end.done():
                    place.end.set_result(None)

    async def _gather(self, held: Held, shared: list[tuple[Place, Part]]) -> None:
        """Lets one after the other do its work, as long as somebody waits."""
        until = self._clock.monotonic() + LONGEST_S
        while len(shared) < MOST and (place := self._next()):
            before = shared[-1][1] if shared else None
            part = Part(held.line, self._begin_with, self._clock, before)
            if await self._work(place, part):
                shared.append((place, part))
            elif before is None:
                await _roll_back(held, part)
            if held.broken or not self._waiting or self._clock.monotonic() >= until:
                break

    async def _work(self, place: Place, part: Part) -> bool:
        """Whether its work stays."""
        try:
            await part.begin()
            self._turn(place)
            place.turn.set_result(part)
            good = await place.left
            if good and (self._waiting or part.before):
                await part.release()
        except Exception as error:
            place.fail(error)
            good = False
        finally:
            self._turn(None)
        if not good and part.before:
            await part.take_back()
        return good


async def _roll_back(held: Held, part: Part) -> None:
    """Of one who stood alone in the transaction."""
    try:
        await part.roll_back()
    except Exception:
        held.broken = True


async def _give_up(held: Held, parts: Sequence[Part]) -> None:
    """Nobody can say how far several savepoints and sessions have come apart: the line is closed, and all with it."""
    held.broken = True
    for part in parts:
        with suppress(Exception):
            await part.close()
