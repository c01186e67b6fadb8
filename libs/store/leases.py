"""Who leads: a row that its holder keeps alive; replicas need clocks that agree within a second or so."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from types import TracebackType
from typing import Self

from libs.base import Clock, rfc3339_micro
from libs.store import statements as sql
from libs.store.store import Store

_log = logging.getLogger(__name__)

TTL_S = 15.0


class Lease:
    """A named right that at most one holder has at a time."""

    @staticmethod
    async def acquire(store: Store, name: str, holder: str, ttl_s: float = TTL_S) -> int | None:
        """Takes or renews the lease for `ttl_s` seconds; returns its generation (from 1), None while another has it.

        The generation grows with every change of holder: compare it to fence off a holder that slept too long.
        """
        now = store.clock.now()
        async with store.write() as uow:
            found = await uow.rows(sql.GET_LEASE, name)
            held_by, expires_at, generation = found[0] if found else ("", "", 0)
            if held_by not in ("", holder) and expires_at > rfc3339_micro(now):
                return None
            generation = generation if held_by == holder else generation + 1
            await uow.later(sql.SET_LEASE, name, holder, rfc3339_micro(now + timedelta(seconds=ttl_s)), generation)
            return int(generation)

    @staticmethod
    async def release(store: Store, name: str, holder: str) -> None:
        """Lets the next holder in at once; nothing happens when `holder` no longer has it."""
        async with store.write() as uow:
            found = await uow.rows(sql.GET_LEASE, name)
            if found and found[0][0] == holder:
                await uow.later(sql.SET_LEASE, name, "", "", found[0][2])


class Term:
    """One unbroken time of leading."""

    def __init__(self, generation: int) -> None:
        self.generation = generation
        self.lost = asyncio.Event()


class Leader:
    """Stands for a lease while its context is open: `async with Leader(store, name, holder) as leader`."""

    def __init__(self, store: Store, name: str, holder: str, *, ttl_s: float = TTL_S) -> None:
        self._store, self._name, self._holder, self._ttl_s = store, name, holder, ttl_s
        self._clock: Clock = store.clock
        self._term: Term | None = None
        self._until = 0.0
        self._won = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_leader(self) -> bool:
        """True only while no other can have taken over, whatever this process slept through."""
        return self._term is not None and self._clock.monotonic() < self._until

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._stand(), name=f"leader-{self._name}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        held = self._term is not None
        self._lose()
        if held:
            with suppress(Exception):
                await Lease.release(self._store, self._name, self._holder)

    async def terms(self) -> AsyncIterator[Term]:
        """A Term whenever the lease is won; asking for the next one waits until the last is lost."""
        while True:
            await self._won.wait()
            term = self._term
            if term is not None:
                yield term
                await term.lost.wait()

    async def lead(self, work: Callable[[Term], Awaitable[None]]) -> None:
        """Runs `work` in each term and cancels it when the term is lost; ends only when `work` does, or fails."""
        async for term in self.terms():
            task = asyncio.ensure_future(work(term))
            lost = asyncio.create_task(term.lost.wait())
            try:
                await asyncio.wait([task, lost], return_when=asyncio.FIRST_COMPLETED)
                if task.done():
                    return task.result()
            finally:
                task.cancel()
                lost.cancel()
                await asyncio.gather(task, lost, return_exceptions=True)

    async def _stand(self) -> None:
        """Renews three times per time to live; a follower looks as often."""
        while True:
            renewal = asyncio.create_task(self._renew())
            watch = asyncio.create_task(self._give_up_in_time())
            try:
                await renewal
                await self._clock.sleep(self._ttl_s / 3)
            finally:
                watch.cancel()
                renewal.cancel()

    async def _give_up_in_time(self) -> None:
        """Ends the term when its time is over, even while a renewal still waits for the database."""
        while self._term is not None and (left := self._until - self._clock.monotonic()) > 0:
            await self._clock.sleep(left)
        self._lose()

    async def _renew(self) -> None:
        # Counted from before the write, so this side always gives up before another may take over.
        asked_at = self._clock.monotonic()
        try:
            generation = await Lease.acquire(self._store, self._name, self._holder, self._ttl_s)
        except Exception as error:  # The term ends by itself when its time is over; the next look may succeed.
            _log.warning("the lease %s could not be renewed: %s", self._name, error)
            return
        if generation is None or (self._term is not None and self._term.generation != generation):
            self._lose()
        if generation is not None and asked_at + self._ttl_s > self._clock.monotonic():
            self._until = asked_at + self._ttl_s
            self._term = self._term or Term(generation)
            self._won.set()

    def _lose(self) -> None:
        self._won.clear()
        term, self._term = self._term, None
        if term is not None:
            term.lost.set()
