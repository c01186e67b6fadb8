"""The machine of one run: told what happened, it answers what to store, start and stop; it does none of it itself.

A task gets a record when it is decided (begun or left out), parents before children. All else that is kept are counters
which `load` makes again from the records: whatever part of an `advance` was stored before a crash, the machine that is
loaded afterwards goes on from there. One step costs the same in a run of ten tasks and of ten thousand: nothing looks
through all tasks but the loading, the end and a halt of the whole run.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Self

from libs.base.clock import span
from services.pipelines.domain.codes import CANCELLED, DEADLINE_EXCEEDED
from services.pipelines.domain.engine.again import take_up
from services.pipelines.domain.engine.book import Book
from services.pipelines.domain.engine.halting import give_up, halt, halting, since
from services.pipelines.domain.engine.records import Error, State, TaskRecord
from services.pipelines.domain.engine.restoring import restored
from services.pipelines.domain.engine.words import (
    DEADLINE,
    TERMINATED,
    Decision,
    Failed,
    Observation,
    RunFacts,
    Start,
    StepEnded,
    StepPaused,
    StepStarted,
    Succeeded,
    Terminate,
)
from services.pipelines.domain.ir.model import ROOT, Pipeline


class Machine:
    """`load`, then `advance` once; after that `tell` and `advance` for ever. One thread at a time."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._progress = restored(book)
        self._inbox: deque[Observation] = deque()
        self._retry = False
        self._was_halted = False
        """Before what is told now."""
        self._was_cut = False
        """More follows than the last `advance` told."""

    @classmethod
    def load(cls, pipeline: Pipeline, run: RunFacts, records: Iterable[TaskRecord] = ()) -> Self:
        """A machine that knows what is recorded: it decides as the one that lived through it."""
        return cls(Book(pipeline, run, records))

    def tell(self, seen: Observation) -> None:
        """Takes note; the next `advance` draws the conclusions."""
        self._inbox.append(seen)

    def retry(self) -> None:
        """Takes a failed or canceled run up again: all that failed, was canceled or left out for it waits anew. The
        next `advance` tells of it; a run that goes on or has succeeded is left as it is."""
        self._retry = True

    def advance(self, now: datetime) -> list[Decision]:
        """What follows from what was told and from the time; store it in one transaction, then act. Of very much it is
        the first part only: it is `due` again at once."""
        self._book.turn(now)
        if self._retry and take_up(self._book):
            self._progress = restored(self._book)
        self._retry = False
        if self._book.get(ROOT) is None:
            self._progress.begin_run()
        self._was_halted = halting(self._book) is not None
        while self._inbox:
            self._hear(self._inbox.popleft())
        deadline = self._deadline()
        if deadline is not None and now >= deadline:
            self._time_is_up()
        self._progress.wake(now)
        self._progress.settle()
        self._was_cut = self._progress.unfinished
        return self._book.out

    def due(self) -> datetime | None:
        """When to call `advance` again though nothing was told: a retry that waits, the run's deadline, or at once if
        only a part of what follows was told."""
        if self._was_cut:
            return self._book.now
        waiting = self._progress.retries[:1]
        times = [self._deadline(), *(at for at, _ in waiting)]
        return min((at for at in times if at is not None), default=None)

    def expects(self, path: str, attempt: int) -> bool:
        """Whether a result of this attempt would change anything."""
        record = self._book.get(path)
        return record is not None and record.active and record.attempt == attempt

    def active(self) -> list[TaskRecord]:
        """The steps and importers that should run now: whoever takes a run over starts those that do not."""
        return [record for record in self._book.all.values() if record.active]

    def record(self, path: str) -> TaskRecord | None:
        return self._book.all.get(path)

    def let_go(self, paths: Iterable[str]) -> None:
        """The records of these are stored: of those that are over it keeps only what it decides by. A run that is over
        is not taken up again by this machine, but by one that is loaded then."""
        self._book.let_go(paths)

    @property
    def records(self) -> list[TaskRecord]:
        """All records as they stand; those that were let go of are not among them, or have lost their past."""
        return list(self._book.all.values())

    @property
    def over(self) -> bool:
        """Nothing is left to decide, unless the run is taken up again."""
        root = self._book.get(ROOT)
        return root is not None and root.over

    def _deadline(self) -> datetime | None:
        """Of the run; once it is halted, of its exit tasks."""
        if halting(self._book) is not None:
            return since(self._book) + span(self._book.run.options.exits_s)
        limit, root = self._book.deadline_s, self._book.get(ROOT)
        if limit is None or root is None or root.over or root.started_at is None:
            return None
        return root.started_at + span(limit)

    def _hear(self, seen: Observation) -> None:
        if isinstance(seen, Terminate):
            self._terminate(seen)
            return
        record = self._book.get(seen.path)
        if record is None or not self.expects(seen.path, seen.attempt):
            return
        if isinstance(seen, StepStarted | StepPaused):
            if record.state is State.PENDING:
                state = State.RUNNING if isinstance(seen, StepStarted) else State.PAUSED
                self._book.change(record, state, started_at=self._book.now)
        else:
            self._ended(record, seen)

    def _ended(self, record: TaskRecord, seen: StepEnded) -> None:
        record = replace(record, started_at=record.started_at or self._book.now)
        match seen.outcome:
            case Succeeded(outputs, cached_from):
                reason = "Cached" if cached_from else ""
                done = {"outputs": outputs, "cached_from": cached_from, "reason": reason, "error": None}
                self._progress.close(record, State.SUCCEEDED, **done)
            case Failed() as failed:
                self._failed(record, failed)

    def _failed(self, record: TaskRecord, failed: Failed) -> None:
        """Another attempt if the infrastructure was to blame and has not been too often, or if the user has retries."""
        task = self._book.task_of(record)
        retry = task.retry if task else None
        if failed.evicted:
            self._try_again(replace(record, reason="Evicted"), failed.error, 0.0)
        elif failed.lost and record.losses < self._book.run.options.losses_max:
            self._try_again(replace(record, losses=record.losses + 1, reason="Lost"), failed.error, 0.0)
        elif retry is not None and not failed.final and record.failures < retry.max_retries:
            failures = record.failures + 1
            self._try_again(replace(record, failures=failures, reason="Retry"), failed.error, retry.wait_s(failures))
        else:
            self._progress.close(record, State.FAILED, error=failed.error)

    def _try_again(self, record: TaskRecord, error: Error, wait_s: float) -> None:
        tries = record.tried(self._book.now, error)
        again = replace(record, attempt=record.attempt + 1, error=error, started_at=None, tries=tries)
        if wait_s > 0:
            at = self._book.now + span(wait_s)
            self._progress.again_at(self._book.change(again, State.PENDING, retry_at=at))
        else:
            self._book.out.append(Start(self._book.change(again, State.PENDING)))

    def _time_is_up(self) -> None:
        if halting(self._book) is not None:
            self._give_up()
        else:
            limit = self._book.deadline_s or 0.0
            self._halt(Error(f"the run took longer than {limit:g} s", DEADLINE_EXCEEDED, DEADLINE))

    def _terminate(self, seen: Terminate) -> None:
        """Told twice at once it counts once."""
        if halting(self._book) is None:
            self._halt(Error(seen.reason, CANCELLED, TERMINATED))
        elif self._was_halted:
            self._give_up()

    def _halt(self, error: Error) -> None:
        halt(self._book, error)
        self._progress = restored(self._book)

    def _give_up(self) -> None:
        give_up(self._book)
        self._progress = restored(self._book)
