"""The loop of the one replica that decides: what steps, people and time did comes in; records, pods and ends go out.

It may be killed anywhere. What is committed stands; whoever leads next loads it, and starts the pods that are missing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime

from libs.base import rfc3339
from libs.base.errors import MillstreamError, Unavailable
from libs.base.waiting import first_of
from libs.service.app import Ports
from libs.store import Reader, UnitOfWork, brief
from services.pipelines.adapters import runs as wishes
from services.pipelines.adapters.admission import ANSWER, Seats, noted
from services.pipelines.adapters.inbox import Inbox, answer, refuse
from services.pipelines.adapters.ledger import Ledger
from services.pipelines.adapters.live import LiveRun, artifact_id
from services.pipelines.adapters.liveruns import LiveRuns, Unreadable
from services.pipelines.adapters.looking import Looking
from services.pipelines.adapters.pods import Pods, PodStart
from services.pipelines.adapters.settling import Settled, settle
from services.pipelines.adapters.specs import Specs
from services.pipelines.adapters.told import RESULT, Told, handed_in
from services.pipelines.adapters.waits import Waits
from services.pipelines.domain import runs as words
from services.pipelines.domain.codes import INTERNAL
from services.pipelines.domain.ended import vanished
from services.pipelines.domain.engine.records import DAMAGED, Error, State
from services.pipelines.domain.engine.words import End, Failed, StepEnded, StepStarted, Succeeded, Terminate
from services.pipelines.domain.steps.results import LOG, log_of, outcome
from services.pipelines.domain.steps.values import StepOrder, StepResult
from services.pipelines.domain.suspects import Suspects

log = logging.getLogger(__name__)

LEASE = "controller/pipelines"
TERM = brief("SELECT generation FROM leases WHERE name = ?1")
ANY_WISH = "SELECT 1 FROM pipeline_wishes LIMIT 1"
WISHES = brief("SELECT id, run_id, wish, body FROM pipeline_wishes ORDER BY id LIMIT 500")
GRANTED = brief("DELETE FROM pipeline_wishes WHERE id = ?1")
ACTIVE = "SELECT id FROM pipeline_runs WHERE state IN ('PENDING', 'RUNNING', 'CANCELING', 'PAUSED')"
LOOK_S = 1.0
"""How long it sleeps at most: results that another replica's door took lie in the store without a sound."""
GONE_S = 2.0
"""How often it looks whether pods are gone of whose end nobody told, as when it was not there."""


class NotLeading(MillstreamError):
    """Another replica leads by now: what this one would decide rests on what it has not seen."""


class Conductor:
    """`pods` are told what to start and stop, after the commit."""

    def __init__(self, ports: Ports, specs: Specs, pods: Callable[[Conductor], Pods], bucket: str) -> None:
        self._ports, self._store, self._clock = ports, ports.store, ports.clock
        self._bucket = bucket
        self.pods = pods(self)
        self.waits = Waits()
        self.seats = Seats(ports, self.waits)
        self._runs = LiveRuns(ports, specs, bucket)
        self._inbox = Inbox(ports.clock)
        self._suspects = Suspects()
        self._looking = Looking(lambda uid, attempt: self.hear(Told(uid, attempt, looked=True)))
        self._seq = 0
        self._term = 0
        self.leading = False

    @property
    def live(self) -> dict[str, LiveRun]:
        """The runs that go on; only while it leads."""
        return self._runs.all

    def hear(self, told: Told) -> None:
        """Takes note; what is urgent is looked at right away."""
        if self._is_news(told):
            self._inbox.put(told)

    def _is_news(self, told: Told) -> bool:
        """A pod's end is none once its result is committed: every step would cost transactions that change nothing."""
        if told.result is not None or self.seats.has(told.uid):
            return True
        live, path = self._runs.where(told.uid)
        return live is not None and live.machine.expects(path, told.attempt)

    def order_of(self, uid: str, attempt: int) -> StepOrder | None:
        """What an attempt that counts is to do; None where the store has to say."""
        live, path = self._runs.where(uid)
        record = live.stored.get(path) if live is not None else None
        if live is None or record is None or not record.active or record.attempt != attempt:
            return None
        return live.order(record)

    def ring(self) -> None:
        """A wish was left."""
        self._inbox.ring()

    async def finish(self, uid: str, attempt: int, result: StepResult) -> bool:
        """Returns when the result is committed, False if it is of nothing that goes on; raises Unavailable when nobody
        can say."""
        heard: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.hear(Told(uid, attempt, result=result, heard=heard))
        return await heard

    async def run(self) -> None:
        """1. take the runs that go on from the store, 2. take what came in, 3. decide and commit, 4. start and stop
        pods, 5. sleep until the next."""
        self._term = await self._generation()
        try:
            await self._load()
            self.leading = True
            async with asyncio.TaskGroup() as tasks:
                # Not before the runs are known: what the cluster tells of their pods first would go unheard.
                tasks.create_task(self.pods.run())
                tasks.create_task(self._decide())
                tasks.create_task(self._look_for_gone())
        finally:
            self.leading = False
            self._forget_all()

    async def _decide(self) -> None:
        while True:
            self._inbox.hush()
            if self._inbox or await self._is_asked():
                await self._turn()
            if not self._inbox:
                await self._sleep()

    async def _load(self) -> None:
        async with self._store.read() as reader:
            self._seq = await reader.last_seq()
            found = [str(id) for (id,) in await reader.rows(ACTIVE)]
        async with self._store.write() as uow:
            await self._check_term(uow)
            await self.waits.load(uow)  # with the runs: whoever led before may have written since
            await self.seats.load(uow)
            for id in found:
                await self._get(uow, id)

    async def _is_asked(self) -> bool:
        """Whether there is something to decide though nothing was told. A look holds up no writer, a turn does."""
        now = self._clock.now()
        if self._ripe(now) or self.seats.is_due(now):
            return True
        async with self._store.read() as reader:
            await self._check_term(reader)
            self._seq = await reader.last_seq()
            return bool(await reader.rows(ANY_WISH))

    async def _turn(self) -> None:
        alone = await self._suspect() if self._suspects.looked_for else None
        told = self._take(alone)
        try:
            async with self._store.write() as uow:
                await self._check_term(uow)
                now = self._clock.now()  # not before: what somebody else wrote first did not come later
                ledger = Ledger(uow, self._ports, now)
                touched = await self._wishes(uow, alone)
                counted = [await self._tell(ledger, one, touched) for one in told]
                touched |= {id: self.live[id] for id in self._ripe(now) if alone in (None, id)}
                done = [await self._settle(uow, ledger, live, now) for live in touched.values()]
                if alone is None:
                    await self.seats.ask_again(uow, now)
                self._seq = await uow.last_seq()
        except BaseException as error:
            refuse(told, error)
            await self._blame(alone, error)
            raise
        self._suspects.passed()
        answer(told, counted)  # it is committed, whatever becomes of what follows
        for settled in done:
            self._carry_out(settled)
        self._seat()

    def _take(self, alone: str | None) -> list[Told]:
        """What was told, of one run or of all."""
        if alone is None:
            return self._inbox.take()
        return self._inbox.take(lambda told: self._runs.run_of(told.uid) == alone)

    def _ripe(self, now: datetime) -> list[str]:
        """The runs that are to be looked at though nobody told anything of them."""
        found = (id for id, live in self.live.items() if live.is_ripe(now))
        return [id for id in found if not self._suspects.is_hopeless(id)]

    async def _suspect(self) -> str | None:
        """The run that is taken alone, since a turn over many failed for one of them."""
        for told in self._inbox:
            if id := self._runs.run_of(told.uid):
                return id
        async with self._store.read() as reader:
            if found := await reader.rows(WISHES):
                return str(found[0][1])
        return next(iter(self._ripe(self._clock.now())), None)

    async def _blame(self, alone: str | None, error: BaseException) -> None:
        """Raises where it was no run's fault: the store takes nothing from anybody."""
        if not isinstance(error, Exception) or isinstance(error, NotLeading | Unavailable):
            return
        async with self._store.write() as uow:
            await self._check_term(uow)
            await uow.set_meta("pipelines/sound", rfc3339(self._clock.now()))
        log.error("a turn failed%s", f" over run {alone}" if alone else "", exc_info=error)
        self._suspects.blame(alone, len(self.live) + len(self._inbox))

    async def _wishes(self, uow: UnitOfWork, alone: str | None) -> dict[str, LiveRun]:
        """What people want, and what other replicas' doors took: the runs that are to be looked at."""
        touched: dict[str, LiveRun] = {}
        for number, id, wish, body in await uow.rows(WISHES):
            if alone not in (None, id):
                continue
            await uow.later(GRANTED, number)
            if wish == wishes.RETRY:
                self._suspects.forgive(id)
            if self._suspects.is_spoilt(id) and wish != wishes.FORGET:
                if not id:  # an answer of the scheduler's, which is of no run: the next turn sees the others
                    self._suspects.forgive(id)
                    break
                continue
            await self._grant(uow, id, wish, body, touched)
        return touched

    async def _grant(self, uow: UnitOfWork, id: str, wish: str, body: str, touched: dict[str, LiveRun]) -> None:
        if wish == ANSWER:
            await self._answer(uow, body)
            return
        if wish == wishes.FORGET:
            await self.seats.drop_run(uow, id, "Deleted")
            await self.waits.drop_run(uow, id)
            self._forget(id)
            touched.pop(id, None)
            self.pods.stop_run(id)
            return
        live = await self._get(uow, id)
        if live is None:
            return
        if wish == RESULT:
            await self._tell(Ledger(uow, self._ports, self._clock.now()), handed_in(body), touched)
        elif wish == wishes.TERMINATE:
            live.machine.tell(Terminate())
        elif wish == wishes.RETRY:
            live.machine.retry()
        touched[id] = live

    async def _answer(self, uow: UnitOfWork, body: str) -> None:
        """What the scheduler said of a step that named a queue."""
        seat = await self.seats.heard(uow, noted(body))
        live = self.live.get(seat.run_id) if seat else None
        record = live.stored.get(seat.path) if live and seat else None
        if seat and live and record and seat.may_run and record.attempt == seat.attempt:
            await Ledger(uow, self._ports, self._clock.now()).started(live, record)

    async def _get(self, uow: UnitOfWork, id: str) -> LiveRun | None:
        """None for a run that is over or gone, and for one that cannot be read back: that one fails, the others go
        on."""
        try:
            return await self._runs.get(uow, id)
        except Unreadable as error:
            await self._hopeless(uow, id, str(error))
            return None

    async def _hopeless(self, uow: UnitOfWork, id: str, why: str) -> None:
        log.error("run %s cannot go on: %s", id, why)
        run = await wishes.ReadRuns(uow).get(id)
        if run is not None and not run.is_over:
            end = End(State.FAILED, Error(f"the run cannot go on: {why}", INTERNAL, "Unreadable"))
            await Ledger(uow, self._ports, self._clock.now()).end(run, end)
            await self.seats.drop_run(uow, id, "Failed")

    async def _tell(self, ledger: Ledger, told: Told, touched: dict[str, LiveRun]) -> bool:
        """Whether it counts; of a step that is over, whether it did is the store's to say."""
        if told.ended is not None and not told.ended.there:
            await self.seats.freed(ledger.uow, told.uid, told.attempt)
        live, path = self._runs.where(told.uid)
        if live is None or self._suspects.is_spoilt(live.run.id):
            return False
        if not live.machine.expects(path, told.attempt):
            return False
        if told.waits is not None:
            if told.waits:
                await self.waits.put(ledger.uow, live.run.id, told.uid, told.attempt, told.waits)
            else:
                await self.waits.clear(ledger.uow, told.uid)
            return True
        if told.looked:
            live.later.append((path, told.attempt))
        elif told.result is not None:
            said = await self._outcome(ledger, live, path, told.result)
            if isinstance(said, Failed):  # being told to go, its program may have called that a failure
                said = self.seats.evicted(told.uid, told.attempt) or said
            live.machine.tell(StepEnded(path, told.attempt, said))
            self.pods.done(told.uid, told.attempt)
        elif told.ended is not None:
            said = self.seats.evicted(told.uid, told.attempt) or told.ended.outcome
            live.machine.tell(StepEnded(path, told.attempt, said))
            self.pods.done(told.uid, told.attempt)
        else:
            await self.seats.ready(ledger.uow, told.uid, told.attempt)
            live.machine.tell(StepStarted(path, told.attempt))
        touched[live.run.id] = live
        return True

    async def _outcome(self, ledger: Ledger, live: LiveRun, path: str, result: StepResult) -> Succeeded | Failed:
        record = live.stored[path]
        if result.started_at is not None:
            live.begun[path] = result.started_at
        try:
            told = live.order(record)
            found, kept = outcome(told, result), log_of(told, result)
        except Exception as error:
            log.exception("the result of %s of run %s cannot be read", path, live.run.id)
            return Failed(_internal(error))
        if isinstance(found, Succeeded):
            return Succeeded(live.identified(found.outputs, record))
        if kept is not None:
            await ledger.log(live, record, artifact_id(kept, record, LOG, 0))
        if found.error.reason == DAMAGED:
            await ledger.throw_away(live.run.namespace, result.damaged)
        return found

    async def _settle(self, uow: UnitOfWork, ledger: Ledger, live: LiveRun, now: datetime) -> Settled:
        """All that follows for one run, written. A run whose machine fails, fails: the others go on."""
        if self._suspects.is_spoilt(live.run.id):
            return await self._spoilt(uow, ledger, live)
        if live.run.state == words.PENDING:
            live.run = await ledger.begin(live.run)
        try:
            settled = await settle(uow, live, now, self._bucket)
        except Exception as error:
            log.exception("run %s cannot be decided about", live.run.id)
            settled = Settled(live, end=End(State.FAILED, _internal(error)), broken=True)
        settled.changed = {path: live.timed(record) for path, record in settled.changed.items()}
        for record in settled.changed.values():
            await ledger.put(live, record, settled.kept.get(record.path))
            await self.waits.follow(uow, record)
        for start in settled.starts:
            if not start.again and start.ask is None:
                await ledger.started(live, start.record)
        await self.seats.follow(uow, settled)
        live.keep(settled.changed)
        live.fresh = False
        if settled.end is not None:
            live.run = await ledger.end(live.run, settled.end)
        return settled

    async def _spoilt(self, uow: UnitOfWork, ledger: Ledger, live: LiveRun) -> Settled:
        """Of a run that cannot be stored as it should be only its end is."""
        error = Error("internal error: it cannot be stored, see the service's log", INTERNAL, "Internal")
        settled = Settled(live, end=End(State.FAILED, error), broken=True)
        live.run = await ledger.end(live.run, End(State.FAILED, error))
        await self.seats.drop_run(uow, live.run.id, "Failed")
        return settled

    def _carry_out(self, settled: Settled) -> None:
        live = settled.live
        for record in settled.stops:
            self.pods.stop(record.uid, record.attempt)
        if settled.broken:
            self.pods.stop_run(live.run.id)
        if live.presence is not None and settled.looks:
            self._looking.start(live.run.id, live.presence, settled.looks)
        if live.later:
            self._inbox.ring()
        if settled.end is not None:
            if settled.end.state == State.SUCCEEDED and live.pipeline.config.get("workspace"):
                self.pods.clear(live.run.namespace, live.run.id)  # a failed run may be taken up again with it
            self._forget(live.run.id)
            return
        for record in settled.changed.values():
            self._runs.note(live, record)
        for start in settled.starts:
            self._runs.note(live, start.record)
            if start.ask is None:
                self.pods.start(PodStart(start.order, live.run.service_account))

    def _seat(self) -> None:
        """Pods of steps that named a queue: of those that were admitted, and of those that have to go."""
        acts = self.seats.acts()
        for uid, attempt in acts.stops:
            self.pods.stop(uid, attempt)
        for seat in acts.starts:
            live = self.live.get(seat.run_id)
            if live is not None and live.machine.expects(seat.path, seat.attempt):
                order = live.order(live.stored[seat.path])
                self.pods.start(PodStart(order, live.run.service_account, seat.given))

    async def _look_for_gone(self) -> None:
        """Pods that hold a place in a queue which their steps have to give back, or need no more."""
        before = {(seat.task, seat.pod) for seat in self.seats.leaving()}
        while True:
            found = {(seat.task, seat.pod): seat for seat in self.seats.leaving()}
            for key in sorted(before & found.keys()):
                seat = found[key]
                unwanted = seat.over != "Succeeded"
                if await self.pods.is_gone(key, seat.namespace, seat.pod_name, unwanted=unwanted):
                    self.hear(Told(*key, ended=vanished(seat.pod_name)))
            await self._clock.sleep(GONE_S)
            before = set(found)

    def _forget(self, id: str) -> None:
        self._runs.forget(id)
        self._looking.forget(id)

    def _forget_all(self) -> None:
        self._runs.clear()
        self._looking.forget_all()
        self.seats.forget()
        self.pods.forget()
        self._inbox.close(Unavailable("this replica no longer leads"))

    async def _sleep(self) -> None:
        """Until something was told, the store changed, or something is due."""
        await first_of(self._store.feed.wait_beyond(self._seq, self._patience()), self._inbox.rings())

    def _patience(self) -> float:
        now = self._clock.now()
        waits = [LOOK_S, self._inbox.left_s()]
        waits += [(due - now).total_seconds() for live in self._runs if (due := live.due())]
        return max(0.001, min(waits))

    async def _generation(self) -> int:
        async with self._store.write() as uow:
            return await _term_of(uow)

    async def _check_term(self, reader: Reader) -> None:
        if await _term_of(reader) != self._term:
            raise NotLeading(f"the lease {LEASE} is another's by now")


def _internal(error: Exception) -> Error:
    return Error(f"internal error: {error!r}", INTERNAL, "Internal")


async def _term_of(reader: Reader) -> int:
    found = await reader.rows(TERM, LEASE)
    return int(found[0][0]) if found else 0
