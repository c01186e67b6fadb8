"""The loop of the one replica that decides: changes in, decisions out, each with its facts in one transaction.

It may be killed anywhere: what is committed is told by the outbox, what is not is decided again by whoever leads next.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from libs.base import milliseconds
from libs.base.errors import Conflict, MillstreamError
from libs.base.waiting import first_of
from libs.cluster import Resource
from libs.service.app import Ports
from libs.service.pipeline import say
from libs.store import UnitOfWork, brief
from services.scheduler.adapters.kinds import WORKLOAD
from services.scheduler.adapters.shelf import Shelf
from services.scheduler.adapters.surroundings import Surroundings
from services.scheduler.domain.book import Book
from services.scheduler.domain.cycle import cycle
from services.scheduler.domain.model import Admit, Decision, Inadmissible, Queue, Reserve, Rules
from services.scheduler.domain.moves import apply
from services.scheduler.domain.objects import deciding
from services.scheduler.domain.objects.workloads import memory, owner

log = logging.getLogger(__name__)

Object = dict[str, Any]
SOURCE = "millstream/scheduler"
LEASE = "controller/scheduler"
TERM = brief("SELECT generation FROM leases WHERE name = ?1")
PAGE = 1000
COMMIT_MAX = 256
"""Decisions in one transaction: handlers wait meanwhile."""
ROUNDS_MAX = 200
TELL_EVERY_S, TELL_MAX = 1.0, 50
LOOK_S = 30.0
"""How long it sleeps at most; deadlines wake it earlier."""


class NotLeading(MillstreamError):
    """Another replica leads by now: what this one would decide rests on what it has not seen."""


class Loop:
    """`waited` is told the seconds that an admitted workload had waited."""

    def __init__(self, ports: Ports, rules: Rules, waited: Callable[[float], None]) -> None:
        self._ports, self._store, self._clock = ports, ports.store, ports.clock
        self._rules, self._waited = rules, waited
        self.shelf: Shelf | None = None
        self.moved = 0
        """Counts what changed, for whoever looks from time to time."""
        self._seq = 0
        self._term = 0
        self._tell_at = 0.0
        self._bell = asyncio.Event()
        self.surroundings = Surroundings(ports.cluster, self._looked)

    @property
    def book(self) -> Book:
        assert self.shelf is not None, "only while it runs"
        return self.shelf.book

    async def run(self) -> None:
        """1. take the book from the store, 2. what changed, 3. decide until nothing moves, 4. tell newcomers their
        places, 5. sleep until the next."""
        self._term = await self._generation()
        try:
            await self._load()
            while True:
                self._bell.clear()
                await self._catch_up()
                await self._decide()
                await self._tell_places()
                await self._sleep()
        finally:
            self.shelf = None

    async def see(self) -> Shelf:
        """What is known now; a replica that stands by reads it from the store."""
        return self.shelf or (await self._read())[0]

    async def _load(self) -> None:
        self.shelf, self._seq = await self._read()
        self.moved += 1

    async def _read(self) -> tuple[Shelf, int]:
        """A book of all that is stored, and up to which change."""
        shelf = Shelf(Book(self._rules))
        async with self._store.read() as reader:
            seq = await reader.last_seq()
            for kind in Shelf.order:
                after: tuple[str, str] | None = None
                while page := await reader.list(kind.resource, after=after, limit=PAGE):
                    shelf.put_all(kind.resource, page)
                    last = page[-1]["metadata"]
                    after = (last.get("namespace", ""), last["name"])
        self.surroundings.fill(shelf.book)
        return shelf, seq

    def _looked(self, resource: Resource, name: str) -> None:
        """Something changed around: whoever waits may have got a chance."""
        if self.shelf is not None:
            self.surroundings.tell(self.book, resource, name)
            self._bell.set()

    async def _sleep(self) -> None:
        """Until the store or the surroundings changed, or something is due."""
        await first_of(self._store.feed.wait_beyond(self._seq, self._patience()), self._bell.wait())

    async def _catch_up(self) -> None:
        """Raises Gone when the log was trimmed before it was read; then all is loaded anew."""
        assert self.shelf is not None
        while self._store.feed.head > self._seq and (changes := await self._store.feed.page(self._seq)):
            for change in changes:
                self._seq = change.seq
                self.moved += self.shelf.take(change)

    async def _decide(self) -> None:
        quiet = False
        while not quiet:
            decisions, quiet = self._settle(milliseconds(self._clock.now()))
            if decisions:
                await self._carry_out(decisions)
                await self._catch_up()
                quiet = False

    def _settle(self, now: int) -> tuple[list[Decision], bool]:
        """Cycles until nothing moves, or until there is enough for a transaction; the book goes ahead of the store.
        What is no news to anybody is left out."""
        assert self.shelf is not None
        told: list[Decision] = []
        for _ in range(ROUNDS_MAX):
            decisions = cycle(self.book, now)
            told += [decision for decision in decisions if self._is_news(decision)]
            apply(self.book, decisions)
            if not decisions or len(told) >= COMMIT_MAX:
                return told, not decisions
        return told, False

    async def _tell_places(self) -> None:
        """Those behind others that are alike had no turn, and heard nothing; a few at a time, since a burst of
        thousands would have to wait for it."""
        assert self.shelf is not None
        if self._clock.monotonic() < self._tell_at or not self.shelf.untold:
            return
        self._tell_at = self._clock.monotonic() + TELL_EVERY_S
        decisions: list[Decision] = []
        while self.shelf.untold and len(decisions) < TELL_MAX:
            uid = next(iter(self.shelf.untold))
            del self.shelf.untold[uid]
            if place := self._place(uid):
                decisions.append(Queue(uid, place, f"{place - 1} in front of it in the queue"))
        if decisions:
            await self._carry_out(decisions)

    def _place(self, uid: str) -> int | None:
        """Its place in the queue, if it waits there and was told nothing yet."""
        assert self.shelf is not None
        workload = self.book.workloads.get(uid)
        home = self.book.states.get(self.book.home(workload)) if workload else None
        if home is None or uid not in home.line or uid in self.shelf.told:
            return None
        return home.line.position(uid)

    def _is_news(self, decision: Decision) -> bool:
        assert self.shelf is not None
        if not isinstance(decision, Queue | Inadmissible):
            return True
        known = self.book.workloads.get(decision.uid)
        if known is None or known.pledge is not None or getattr(decision, "pledge", None) is not None:
            return known is not None
        position = decision.position if isinstance(decision, Queue) else 1
        return deciding.is_news(self.shelf.told.get(decision.uid), position, decision.reason)

    async def _carry_out(self, decisions: Sequence[Decision]) -> None:
        """All or none: somebody may have changed a workload while it was decided about."""
        assert self.shelf is not None
        try:
            written = await self._commit(decisions)
        except Conflict:
            await self._read_again(decisions)
            return
        waiting = {one.uid: isinstance(one, Queue | Inadmissible) for one in decisions}
        for obj in written.values():
            self.shelf.decided(obj, waits=waiting[owner(obj)["uid"]])
        self.moved += len(written)

    async def _commit(self, decisions: Sequence[Decision]) -> dict[str, Object]:
        """What was written, by uid."""
        written: dict[str, Object] = {}
        now = self._clock.now()
        async with self._store.write() as uow:
            await self._check_term(uow)
            for decision in decisions:
                after = await self._write(uow, decision, decision.uid in written, now)
                if after is not None:
                    written[decision.uid] = after
        return written

    async def _write(self, uow: UnitOfWork, decision: Decision, again: bool, now: datetime) -> Object | None:
        assert self.shelf is not None
        key = self.shelf.keys[decision.uid]
        before = await uow.get(WORKLOAD.resource, *key)
        known = self.shelf.versions[decision.uid]
        if before is None or (int(before["metadata"]["resourceVersion"]) != known and not again):
            raise Conflict.about(WORKLOAD.resource, key[1])
        after, fact = deciding.decided(before, decision, self._checks(decision), now)
        if fact is not None:
            say(uow, fact, self._ports, source=SOURCE)
        if isinstance(decision, Admit) and (since := memory(before).get("since")):
            self._waited(max(0.0, (milliseconds(now) - since) / 1000))
        return await uow.update(WORKLOAD.resource, after) if after is not before else None

    def _checks(self, decision: Decision) -> list[str]:
        """The admission checks that its queue asks for, of all flavors or of those that it got."""
        if not isinstance(decision, Reserve):
            return []
        state = self.book.states[decision.admission.cluster_queue]
        given = {name for one in decision.admission.assignments for name in one.flavors.values()}
        rules = state.spec.checks if state.spec else ()
        return [rule.name for rule in rules if not rule.flavors or given & set(rule.flavors)]

    async def _read_again(self, decisions: Sequence[Decision]) -> None:
        """The book believes what was decided; back to what is stored."""
        assert self.shelf is not None
        async with self._store.read() as reader:
            for decision in decisions:
                obj = await reader.get(WORKLOAD.resource, *self.shelf.keys[decision.uid])
                if obj is None:
                    self.shelf.drop(decision.uid)
                else:
                    self.shelf.put(WORKLOAD.resource, obj)

    def _patience(self) -> float:
        due = self.book.deadlines.next()
        left = LOOK_S if due is None else (due - milliseconds(self._clock.now())) / 1000
        untold = TELL_EVERY_S if self.shelf is not None and self.shelf.untold else LOOK_S
        return min(untold, max(0.05, left))

    async def _generation(self) -> int:
        async with self._store.write() as uow:
            return await _term_of(uow)

    async def _check_term(self, uow: UnitOfWork) -> None:
        if await _term_of(uow) != self._term:
            raise NotLeading(f"the lease {LEASE} is another's by now")


async def _term_of(uow: UnitOfWork) -> int:
    """Past SQLAlchemy's session: it is asked in every transaction of decisions."""
    found = await uow.rows(TERM, LEASE)
    return int(found[0][0]) if found else 0
