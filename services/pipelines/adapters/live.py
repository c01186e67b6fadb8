"""A run in the memory of the replica that leads: its machine, and how its tasks stand in the store; writes nothing."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID, uuid5

from libs.base import from_milliseconds
from libs.store import Reader
from services.pipelines.adapters.presence import Presence
from services.pipelines.adapters.runs import TASKS, ReadRuns
from services.pipelines.adapters.specs import Specs
from services.pipelines.domain import gates
from services.pipelines.domain.engine.again import damage
from services.pipelines.domain.engine.forking import Earlier, followers
from services.pipelines.domain.engine.machine import Machine
from services.pipelines.domain.engine.records import Artifact, Outputs, TaskRecord
from services.pipelines.domain.engine.words import RunFacts, RunOptions
from services.pipelines.domain.ir.model import Pipeline, Task
from services.pipelines.domain.runs import Run
from services.pipelines.domain.steps.order import order
from services.pipelines.domain.steps.values import StepOrder


@dataclass
class LiveRun:
    """Of tasks that are not over, `stored` are the records as they are committed, `numbers` their places in the run's
    order, `caches` why their outputs came from the cache or not. Of those that are over the store knows all that; of
    ten thousand, nobody could keep it here. `count` is how many tasks there are."""

    run: Run
    pipeline: Pipeline
    facts: RunFacts
    machine: Machine
    stored: dict[str, TaskRecord]
    numbers: dict[str, int]
    count: int
    caches: dict[str, str] = field(default_factory=dict)
    earlier: Earlier | None = None
    """The run that this one is a fork of."""
    presence: Presence | None = None
    """Whom it asks whether kept bytes are still there; without one they are believed to be."""
    begun: dict[str, datetime] = field(default_factory=dict)
    """When programs began that ended before anybody had noted it, by their own word."""
    gates: dict[str, datetime] = field(default_factory=dict)
    """Until when somebody may decide about a task that waits for it."""
    later: deque[tuple[str, int]] = field(default_factory=deque)
    """Attempts that were begun, and are still to be answered for: a turn takes some at a time."""
    fresh: bool = True
    """It was loaded and not yet advanced: what was started before may have no pod."""

    def keep(self, changed: Mapping[str, TaskRecord]) -> None:
        """These are about to be stored; of a run that was just loaded, the rest is."""
        self.stored.update(changed)
        for path, record in changed.items():
            self.gates.pop(path, None)
            if at := gates.due(record):
                self.gates[path] = at
        self._let_go([path for path in (self.stored if self.fresh else changed) if self.stored[path].over])

    def _let_go(self, over: list[str]) -> None:
        for path in over:
            del self.stored[path]
            self.numbers.pop(path, None)
            self.caches.pop(path, None)
        self.machine.let_go(over)

    def due(self) -> datetime | None:
        """When something follows though nothing was told."""
        times = [self.machine.due(), *self.gates.values()]
        return min((at for at in times if at is not None), default=None)

    def is_ripe(self, now: datetime) -> bool:
        """Whether it is to be looked at though nothing was told."""
        due = self.due()
        return self.fresh or bool(self.later) or (due is not None and due <= now)

    def number(self, path: str) -> int:
        if path not in self.numbers:
            self.numbers[path] = self.count
            self.count += 1
        return self.numbers[path]

    def order(self, record: TaskRecord) -> StepOrder:
        """Raises ValueError for placeholders and quantities that mean nothing."""
        return order(self.pipeline, record, self.facts)

    def task(self, record: TaskRecord, changed: Mapping[str, TaskRecord]) -> Task | None:
        """The task that the record is of; of an iteration, the one that is iterated."""
        parent = changed.get(record.parent) or self.stored.get(record.parent)
        if parent is None:
            return None
        dag = self.pipeline.components[parent.component].dag
        if dag is not None and record.name in dag.tasks:
            return dag.tasks[record.name]
        return self.task(parent, changed)

    def cacheable(self, record: TaskRecord, changed: Mapping[str, TaskRecord]) -> Task | None:
        """The task that the record is of, if its outputs may be kept and given out again: neither it nor a pipeline
        that it is a part of says no."""
        found = self.task(record, changed)
        above = record
        while found is not None and found.caching.enabled:
            around = changed.get(above.parent) or self.stored.get(above.parent)
            if around is None:
                return found
            task, above = self.task(around, changed), around
            if task is not None and task.caching.barred:
                return None
        return None

    def timed(self, record: TaskRecord) -> TaskRecord:
        """An ended step with the time at which its program began, as far as that can be true."""
        begun = self.begun.pop(record.path, None) if record.over else None
        if begun is None or record.created_at is None or record.ended_at is None or begun.tzinfo is None:
            return record
        return replace(record, started_at=min(max(begun, record.created_at), record.ended_at))

    def identified(self, outputs: Outputs, record: TaskRecord) -> Outputs:
        """The outputs with an id for every artifact that has none, the same however often an attempt is told."""
        return replace(
            outputs,
            artifacts={
                name: tuple(artifact_id(one, record, name, place) for place, one in enumerate(many))
                for name, many in outputs.artifacts.items()
            },
        )


def artifact_id(made: Artifact, record: TaskRecord, name: str, place: int) -> Artifact:
    if made.id:
        return made
    return replace(made, id=str(uuid5(UUID(record.uid), f"{record.attempt}/{name}/{place}")))


async def load(reader: Reader, specs: Specs, id: str) -> LiveRun | None:
    """None for a run that is not there. Raises SpecError or NotFound where its pipeline cannot be read."""
    run = await ReadRuns(reader).get(id)
    if run is None:
        return None
    pipeline = await specs.of(reader, run.spec)
    rows = await reader.rows(TASKS, id)
    records = [TaskRecord.from_json(json.loads(body)) for body, _ in rows]
    stored = {record.path: record for record in records}
    facts = facts_of(run)
    return LiveRun(
        run=run,
        pipeline=pipeline,
        facts=facts,
        machine=Machine.load(pipeline, facts, records),
        stored=stored,
        gates={path: at for path, record in stored.items() if (at := gates.due(record))},
        numbers={record.path: number for number, record in enumerate(records)},
        count=len(records),
        caches={record.path: str(why) for record, (_, why) in zip(records, rows, strict=True)},
        earlier=await earlier_of(reader, specs, run, pipeline, damage(records)),
    )


async def earlier_of(
    reader: Reader, specs: Specs, run: Run, pipeline: Pipeline, damage: Sequence[str] = ()
) -> Earlier | None:
    """What a fork keeps; nothing of a run that is deleted by now: its steps are done again. So are those that gave what
    `damage` tells of."""
    old = await ReadRuns(reader).get(run.options.fork_of) if run.options.fork_of else None
    if old is None:
        return None
    records = {record.path: record for record in await ReadRuns(reader).tasks(old.id)}
    anew = frozenset(run.options.anew)
    return Earlier(await specs.of(reader, old.spec), records, anew, followers(pipeline, anew)).without(damage)


def facts_of(run: Run) -> RunFacts:
    """What engine and steps are told of a run."""
    return RunFacts(
        id=run.id,
        namespace=run.namespace,
        name=run.name,
        root=run.root,
        parameters=run.parameters,
        created_at=from_milliseconds(run.created_ms),
        options=RunOptions(
            deadline_s=run.options.timeout_s or None,
            fail_fast=run.options.fail_fast,
            exits_s=run.options.exits_s,
            only=frozenset(run.options.anew) if run.options.only else frozenset(),
        ),
        scheduled_at=from_milliseconds(run.scheduled_ms),
    )
