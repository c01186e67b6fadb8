"""The records of one run and every change of them: what is put here is what the store is told, in the same order."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from services.pipelines.domain.engine.inputs import Beside
from services.pipelines.domain.engine.items import Items, items_of, merged
from services.pipelines.domain.engine.records import OVER, Error, Kind, State, TaskRecord, Values
from services.pipelines.domain.engine.words import Decision, Put, RunFacts
from services.pipelines.domain.ir.model import ROOT, Component, Dag, ImporterExecutor, Pipeline, Task
from services.pipelines.domain.runs import task_uid

HISTORY_MAX = 50


class Book:
    """`out` are the decisions since the last `turn`. A record that waits anew (`waiting`) counts as none."""

    def __init__(self, pipeline: Pipeline, run: RunFacts, records: Iterable[TaskRecord]) -> None:
        self.pipeline = pipeline
        self.run = run
        self.all = {record.path: record for record in records}
        self._taken_up = any(record.waiting for record in self.all.values())
        self.out: list[Decision] = []
        self.now = run.created_at
        limits = [run.options.deadline_s, pipeline.config.get("activeDeadlineSeconds")]
        self.deadline_s = min((float(limit) for limit in limits if limit), default=None)
        """What the run asks for, or the pipeline's author: the shorter one."""

    def turn(self, now: datetime) -> None:
        self.now, self.out = now, []

    def get(self, path: str) -> TaskRecord | None:
        """The record of a task that has been decided."""
        record = self.all.get(path)
        return None if record is None or record.waiting else record

    def put(self, record: TaskRecord) -> TaskRecord:
        self.all[record.path] = record
        self._taken_up = self._taken_up or record.waiting
        self.out.append(Put(record))
        return record

    def change(self, record: TaskRecord, state: State, **fields: Any) -> TaskRecord:
        """The record in another state; when it ends is noted once."""
        if state in OVER:
            fields["ended_at"] = self.now
            fields["retry_at"] = None
        history = (*record.history[-HISTORY_MAX:], (state, self.now))
        return self.put(replace(record, state=state, history=history, **fields))

    def open(self, parent: str, name: str, task: Task | None, kind: Kind, iteration: int | None = None) -> TaskRecord:
        """A record that begins its life now, or anew: then its attempts are counted on. It is not put yet."""
        path = f"{parent}/{name}" if parent else name
        before = self.all.get(path)
        label = self.run.name if task is None else task.display_name
        return TaskRecord(
            path=path,
            uid=task_uid(self.run.id, path),
            parent=parent,
            name=name if iteration is None or task is None else task.name,
            display_name=label if iteration is None else f"{label} [{iteration}]",
            kind=kind,
            component=ROOT if task is None else task.component,
            state=State.PENDING,
            iteration=iteration,
            attempt=before.attempt + 1 if before else 1,
            created_at=before.created_at if before else self.now,
            history=before.history if before else (),
            tries=before.tries if before else (),
        )

    def sweep(self) -> None:
        """At the end of a run that was taken up again: what still waits is not reached any more."""
        for record in [record for record in self.all.values() if record.waiting]:
            self.change(record, State.SKIPPED, waiting=False, reason="NotReached")

    def let_go(self, paths: Iterable[str]) -> None:
        """Of those that are over it keeps what the rest needs, and nothing of what is inside: nobody asks for that but
        who takes the run up again, with a book read anew. One that was taken up keeps its places: the `sweep` looks
        there."""
        for path in sorted(paths, key=lambda path: -path.count("/")):  # what is inside goes first
            record = self.all.get(path)
            if record is None or not record.over or not record.history:  # one without has been let go of
                continue
            if not self._taken_up:
                for child in self.children(record):
                    del self.all[child.path]
            self.all[path] = record.outcome()

    def kind_of(self, component: str) -> Kind:
        if self.pipeline.components[component].dag is not None:
            return Kind.DAG
        executor = self.pipeline.executor_of(component)
        return Kind.IMPORTER if isinstance(executor, ImporterExecutor) else Kind.STEP

    def component_of(self, record: TaskRecord) -> Component:
        return self.pipeline.components[record.component]

    def dag_of(self, record: TaskRecord) -> Dag:
        dag = self.component_of(record).dag
        assert dag is not None, f"{record.path} is no graph"
        return dag

    def task_of(self, record: TaskRecord) -> Task | None:
        """The task of the pipeline that this is; of an iteration: the loop's. None for the run itself."""
        if not record.parent:
            return None
        if record.iteration is not None:
            return self.task_of(self.all[record.parent])
        return self.dag_of(self.all[record.parent]).tasks[record.name]

    def given(self, record: TaskRecord) -> Values:
        """All that the tasks of a graph may ask for: an iteration's record has its own item only."""
        if record.iteration is None:
            return record.inputs
        return merged(self.all[record.parent].inputs, record.inputs)

    def children(self, record: TaskRecord) -> list[TaskRecord]:
        """The decided tasks of a graph, in an order in which each comes after its upstream; the begun iterations."""
        if record.kind is Kind.DAG:
            names = list(self.dag_of(record).tasks)
        elif record.kind is Kind.LOOP:
            names = [str(index) for index in range(len(self.items_of(record)))]
        else:
            return []
        found = (self.get(f"{record.path}/{name}") for name in names)
        return [child for child in found if child is not None]

    def items_of(self, record: TaskRecord) -> Items:
        """The items of a loop; none if it never came to go through them."""
        task = self.task_of(record)
        if task is None or task.iterator is None or record.started_at is None:
            return ()
        return items_of(task.iterator, record.inputs)

    def beside(self, graph: str) -> Beside:
        return lambda name: self.get(f"{graph}/{name}")

    def first_error(self, paths: Iterable[str]) -> Error:
        """Of the first of these that failed, with the path to where it happened."""
        for path in paths:
            record = self.get(path)
            if record is not None and record.state is State.FAILED and record.error is not None:
                if record.error.path:
                    return record.error
                message = f"task `{path.removeprefix(ROOT + '/')}` failed: {record.error.message}"
                return replace(record.error, message=message, path=path)
        return Error("a task failed")


class Within:
    """Which records are of such tasks, or stand in one."""

    def __init__(self, book: Book, such: Callable[[Task], bool]) -> None:
        self._book, self._such = book, such
        self._known = {ROOT: False}

    def holds(self, path: str) -> bool:
        if path not in self._known:
            record = self._book.all[path]
            task = self._book.task_of(record)
            self._known[path] = self.holds(record.parent) or (task is not None and self._such(task))
        return self._known[path]
