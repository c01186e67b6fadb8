"""The seats of steps that named a queue: kept as rows, told by the scheduler's answers, given back when pods are gone.

Only the conductor writes them, in its own transactions. An answer comes as a wish, whichever replica heard it; what is
to be done with pods is gathered here and done after the commit.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from contracts.admission import Answer
from contracts.events.scheduling.v1 import WorkloadAdmitted, WorkloadEvicted, WorkloadQueued
from contracts.messages import Message
from libs.service.app import Ports
from libs.service.pipeline import say
from libs.store import Reader, UnitOfWork, brief
from services.pipelines.adapters.ledger import SOURCE
from services.pipelines.adapters.runs import WISH
from services.pipelines.adapters.settling import Settled, StartNow
from services.pipelines.adapters.waits import Waits
from services.pipelines.domain import queued
from services.pipelines.domain.engine.records import TaskRecord
from services.pipelines.domain.engine.words import Failed
from services.pipelines.domain.queued import Seat

ANSWER = "answer"
"""A wish whose body is what the scheduler said."""
ALL = "SELECT body FROM pipeline_seats"
PUT = brief(
    "INSERT INTO pipeline_seats (uid, run_id, body) VALUES (?1, ?2, ?3) "
    "ON CONFLICT (uid) DO UPDATE SET body = excluded.body"
)
DROP = brief("DELETE FROM pipeline_seats WHERE uid = ?1")
ANSWERS = {one.type: one for one in (WorkloadAdmitted, WorkloadEvicted, WorkloadQueued)}


class NotedAnswers:
    """The Answers port: a wish for whoever leads, in the transaction in which the answer was heard. `ring` wakes the
    conductor, whose own transaction comes after this one."""

    def __init__(self, uow: UnitOfWork, ring: Callable[[], None]) -> None:
        self._uow, self._ring = uow, ring

    async def note(self, answer: Answer) -> None:
        body = json.dumps({"type": answer.type, "said": answer.model_dump(mode="json")})
        await self._uow.later(WISH, "", ANSWER, body)
        self._ring()


def noted(body: str) -> Answer:
    told = json.loads(body)
    found: Answer = ANSWERS[told["type"]].read(told["said"])
    return found


@dataclass
class Acts:
    """What follows after the commit: seats whose attempt gets its pod, and (task, attempt) whose pod goes."""

    starts: list[Seat]
    stops: list[tuple[str, int]]


class Seats:
    """In memory while this replica leads; a change is also written, into the transaction that is given."""

    def __init__(self, ports: Ports, waits: Waits) -> None:
        self._ports, self._clock, self._waits = ports, ports.clock, waits
        self._all: dict[str, Seat] = {}
        self._of_task: dict[str, dict[str, None]] = {}
        self._asked: deque[tuple[datetime, str]] = deque()
        self._acts = Acts([], [])

    def __len__(self) -> int:
        return len(self._all)

    async def load(self, reader: Reader) -> None:
        self.forget()
        for (body,) in await reader.rows(ALL):
            self._keep(Seat(**json.loads(str(body))))
        now = self._clock.now()
        for seat in self._all.values():
            if seat.waits:
                self._asked.append((queued.asked_at(seat) or now, seat.uid))
            elif seat.is_leaving:
                self._acts.stops.append((seat.task, seat.pod))
        self._asked = deque(sorted(self._asked))

    def forget(self) -> None:
        self._all.clear()
        self._of_task.clear()
        self._asked.clear()
        self._acts = Acts([], [])

    def acts(self) -> Acts:
        """Each once."""
        found, self._acts = self._acts, Acts([], [])
        return found

    def leaving(self) -> list[Seat]:
        return [seat for seat in self._all.values() if seat.is_leaving]

    def get(self, uid: str) -> Seat | None:
        return self._all.get(uid)

    def evicted(self, task: str, attempt: int) -> Failed | None:
        """What this attempt comes to if it had to give its place back; None if it had not."""
        found = next((seat for seat in self._seats(task) if seat.attempt == attempt and seat.is_evicted), None)
        return queued.outcome(found) if found else None

    async def follow(self, uow: UnitOfWork, settled: Settled) -> None:
        """What was decided about a run's tasks means that some seats are wanted and others no more."""
        starts = {start.record.uid: start for start in settled.starts if start.ask is not None}
        if self._all:
            for record in settled.changed.values():
                await self._follow(uow, record, starts.get(record.uid))
            if settled.broken:
                await self.drop_run(uow, settled.live.run.id, "Failed")
        for start in starts.values():
            await self._take(uow, start)

    async def drop_run(self, uow: UnitOfWork, run_id: str, how: queued.End) -> None:
        for seat in [seat for seat in self._all.values() if seat.run_id == run_id and not seat.over]:
            await self._end(uow, seat, how)

    async def heard(self, uow: UnitOfWork, answer: Answer) -> Seat | None:
        """The seat that it concerns, if it said something new. Of one that nobody knows, all is over."""
        seat = self._all.get(answer.uid)
        after = queued.heard(seat, answer) if seat else None
        if seat is None or after is None:
            return None
        await self._put(uow, after)
        if after.may_run and not seat.pod:
            self._acts.starts.append(after)
            await self._waits.clear(uow, after.task)
        elif after.is_evicted and after.pod:
            self._acts.stops.append((after.task, after.pod))
        elif after.is_evicted:
            after = await self._ask(uow, queued.freed(after))
        elif after.waits:
            await self._tell_why(uow, after)
        return after

    async def freed(self, uow: UnitOfWork, task: str, attempt: int) -> None:
        """The pod of this attempt is gone, or has ended."""
        for seat in self._seats(task):
            if seat.pod != attempt:
                continue
            free = queued.freed(seat)
            if seat.over:
                self._say(uow, queued.ends(seat))
                await self._drop(uow, seat)
            elif seat.attempt > attempt:
                await self._ask(uow, free)
            else:
                await self._put(uow, free)

    async def ready(self, uow: UnitOfWork, task: str, attempt: int) -> None:
        for seat in self._seats(task):
            after, told = queued.ready(seat) if seat.pod == attempt else (seat, None)
            if told is not None:
                self._say(uow, told)
                await self._put(uow, after)

    def is_due(self, now: datetime) -> bool:
        """Whether somebody waits for an answer so long that it is to ask again."""
        self._skip()
        patience = queued.patience_s(len(self._asked))
        return bool(self._asked) and (now - self._asked[0][0]).total_seconds() >= patience

    async def ask_again(self, uow: UnitOfWork, now: datetime) -> None:
        while self.is_due(now):
            _, uid = self._asked.popleft()
            await self._ask(uow, self._all[uid])

    async def _follow(self, uow: UnitOfWork, record: TaskRecord, start: StartNow | None) -> None:
        """An eviction leads to the next attempt of the same seat; whatever else ends an attempt ends its seat."""
        for seat in self._seats(record.uid):
            goes_on = record.active and record.attempt == seat.attempt
            comes_back = start is not None and seat.is_evicted and record.attempt > seat.attempt
            if not seat.over and not goes_on and not comes_back:
                await self._end(uow, seat, queued.how(record.state))

    async def _take(self, uow: UnitOfWork, start: StartNow) -> None:
        """A step is to run: the seat that it has, or a new one that asks."""
        assert start.ask is not None
        seat = next((seat for seat in self._seats(start.record.uid) if not seat.over), None)
        if seat is None:
            await self._ask(uow, queued.seat(start.order, start.ask))
        elif seat.attempt < start.record.attempt:
            moved = replace(seat, attempt=start.record.attempt)
            await (self._put(uow, moved) if seat.pod else self._ask(uow, moved))
        elif seat.may_run:
            self._acts.starts.append(seat)

    async def _ask(self, uow: UnitOfWork, seat: Seat) -> Seat:
        now = self._clock.now()
        asking, command = queued.asks(seat, now)
        self._say(uow, command)
        await self._put(uow, asking)
        await self._tell_why(uow, asking)
        if asking.waits:
            self._asked.append((now, asking.uid))
        return asking

    async def _end(self, uow: UnitOfWork, seat: Seat, how: queued.End) -> None:
        """Nobody wants it any more. While its pod is there it holds what it held."""
        if seat.pod:
            await self._put(uow, replace(seat, over=how))
        else:
            self._say(uow, queued.ends(seat))
            await self._drop(uow, seat)

    async def _tell_why(self, uow: UnitOfWork, seat: Seat) -> None:
        await self._waits.put(uow, seat.run_id, seat.task, seat.attempt, queued.why(seat))

    async def _put(self, uow: UnitOfWork, seat: Seat) -> None:
        self._keep(seat)
        await uow.later(PUT, seat.uid, seat.run_id, json.dumps(seat.to_json(), separators=(",", ":")))

    async def _drop(self, uow: UnitOfWork, seat: Seat) -> None:
        self._all.pop(seat.uid, None)
        of_task = self._of_task.get(seat.task, {})
        of_task.pop(seat.uid, None)
        if not of_task:
            self._of_task.pop(seat.task, None)
        await uow.later(DROP, seat.uid)

    def has(self, task: str) -> bool:
        """Whether the task holds quota, or asks for it."""
        return task in self._of_task

    def _keep(self, seat: Seat) -> None:
        self._all[seat.uid] = seat
        self._of_task.setdefault(seat.task, {})[seat.uid] = None

    def _seats(self, task: str) -> Iterator[Seat]:
        return (self._all[uid] for uid in tuple(self._of_task.get(task, ())))

    def _skip(self) -> None:
        """Past those that have been answered, or asked again since."""
        while self._asked:
            at, uid = self._asked[0]
            seat = self._all.get(uid)
            if seat is not None and seat.waits and (queued.asked_at(seat) or at) <= at:
                return
            self._asked.popleft()

    def _say(self, uow: UnitOfWork, told: Message) -> None:
        message: Any = told
        say(uow, message, self._ports, source=SOURCE)
