"""How a run goes on: which tasks may begin, what they are given, and what the end of each means for those around it."""

import heapq
from collections import deque
from dataclasses import replace
from datetime import datetime

from services.pipelines.domain.codes import INVALID_ARGUMENT
from services.pipelines.domain.engine import outputs
from services.pipelines.domain.engine.book import Book, Within
from services.pipelines.domain.engine.halting import outcome
from services.pipelines.domain.engine.inputs import InputError, resolve
from services.pipelines.domain.engine.items import items_of, merged, own_inputs
from services.pipelines.domain.engine.only import Only
from services.pipelines.domain.engine.open import Graph, Loop
from services.pipelines.domain.engine.records import Error, Kind, State, TaskRecord, Values
from services.pipelines.domain.engine.words import End, Start
from services.pipelines.domain.ir.conditions import ConditionError
from services.pipelines.domain.ir.model import ROOT, Task
from services.pipelines.domain.steps.order import facts

DECISIONS_MAX = 1000
"""After so many an `advance` ends, though more follows: they are stored in one transaction, and take memory until then.
A loop over ten thousand items begins in parts, and its first steps run while the last are still to be begun."""


class Progress:
    """Queues of what has become possible; `settle` works them off. All that is decided goes into the book."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.graphs: dict[str, Graph] = {}
        self.loops: dict[str, Loop] = {}
        self.retries: list[tuple[datetime, str]] = []
        self.failing = False
        self.halted_for: Error | None = None
        """Why the run is about to end: only exit tasks run."""
        self.halted: set[str] = set()
        """The graphs and loops that are open for the sake of exit tasks, and go on no further."""
        self._always = Within(book, lambda task: task.always)
        self._only = Only(book.pipeline, book.run.options.only)
        self._ready: deque[tuple[str, str]] = deque()
        self._ended: deque[str] = deque()
        self._open_ones: deque[str] = deque()
        self._more: deque[str] = deque()
        """Loops that have room for iterations for which an `advance` had none."""

    def begin_run(self) -> None:
        """The root's graph; it is given the run's parameters."""
        book = self.book
        kept = book.open("", ROOT, None, Kind.DAG)
        self._open_graph(replace(kept, inputs=Values(dict(book.run.parameters), {})))

    @property
    def unfinished(self) -> bool:
        """Whether more follows."""
        return bool(self._ended or self._open_ones or self._ready or self._more)

    def settle(self) -> None:
        """Until nothing more follows, or enough has. What has ended goes first: it may stop what could begin."""
        while self.unfinished and not self._is_enough:
            if self._ended:
                self._after(self._ended.popleft())
            elif self._open_ones:
                self._look_at(self._open_ones.popleft())
            elif self._ready:
                self._begin(*self._ready.popleft())
            else:
                self._look_at(self._more.popleft())

    @property
    def _is_enough(self) -> bool:
        return len(self.book.out) >= DECISIONS_MAX

    def say_end(self) -> None:
        """The run is over already: say so (again) when next asked."""
        self._ended.append(ROOT)

    def close(self, record: TaskRecord, state: State, **fields: object) -> None:
        """A task is over, in whatever way."""
        self.failing = self.failing or state is State.FAILED
        self.book.change(record, state, **fields)
        self._ended.append(record.path)

    def wake(self, now: datetime) -> None:
        """Begins the attempts whose time has come."""
        while self.retries and self.retries[0][0] <= now:
            at, path = heapq.heappop(self.retries)
            record = self.book.get(path)
            if record is not None and record.retry_at == at and not record.over:
                self._start(replace(record, retry_at=None))

    def again_at(self, record: TaskRecord) -> None:
        """Its next attempt begins when its time has come."""
        assert record.retry_at is not None
        heapq.heappush(self.retries, (record.retry_at, record.path))

    def watch_graph(self, graph: Graph) -> None:
        """Takes up a graph that is going on."""
        self.graphs[graph.path] = graph
        for name, left in graph.left.items():
            if left == 0 and self.book.get(f"{graph.path}/{name}") is None:
                self._ready.append((graph.path, name))
        if graph.open == 0:
            self._open_ones.append(graph.path)

    def watch_loop(self, loop: Loop) -> None:
        """Takes up a loop that is going on."""
        self.loops[loop.path] = loop
        self._open_ones.append(loop.path)

    def _look_at(self, path: str) -> None:
        if path in self.loops:
            self._iterate(self.loops[path])
        elif path in self.graphs and self.graphs[path].open == 0:
            self._close_graph(self.graphs[path])

    def _begin(self, path: str, name: str) -> None:
        """Decides a task whose upstream has ended: it is left out, fails for want of inputs, or begins."""
        graph, book = self.graphs[path], self.book
        task = graph.dag.tasks[name]
        kind = Kind.LOOP if task.iterator else book.kind_of(task.component)
        record = book.open(path, name, task, kind)
        if reason := self._why_not(graph, task):
            self.close(record, State.SKIPPED, reason=reason)
            return
        component = book.pipeline.components[task.component]
        try:
            told = lambda: facts(book.run, record, book.pipeline)  # noqa: E731
            inputs = resolve(task, component, graph.given, book.beside(path), book.run, told)
            record = replace(record, inputs=inputs)
            if task.condition and not task.condition.holds(inputs.parameters):
                self.close(record, State.SKIPPED, reason="ConditionFalse")
            elif task.iterator:
                self._open_loop(record, task)
            else:
                self._open(record)
        except (InputError, ConditionError) as error:
            self.close(record, State.FAILED, error=Error(str(error), INVALID_ARGUMENT, "InvalidInput"))

    def _why_not(self, graph: Graph, task: Task) -> str:
        """Why a task is left out though its upstream has ended; nothing if it is to begin."""
        if not self._only.wants(graph.path, graph.dag, task.name):
            return "NotWanted"
        if task.always:
            return ""
        states = [self.book.all[f"{graph.path}/{each}"].state for each in task.upstream]
        if any(state in (State.FAILED, State.CANCELED) for state in states):
            return "UpstreamFailed"
        if State.SKIPPED in states:
            return "UpstreamSkipped"
        return "FailFast" if self._fails_fast(graph.path) else ""

    def _fails_fast(self, path: str) -> bool:
        """Whether nothing more is to begin in this graph or loop. What must always run does so whole."""
        return self.failing and self.book.run.options.fail_fast and not self._always.holds(path)

    def _open(self, record: TaskRecord) -> None:
        if record.kind is Kind.DAG:
            self._open_graph(record)
        else:
            self._start(record)

    def _start(self, record: TaskRecord) -> None:
        self.book.out.append(Start(self.book.change(record, State.PENDING)))

    def _open_graph(self, record: TaskRecord) -> None:
        record = self.book.change(record, State.RUNNING, started_at=self.book.now)
        self.watch_graph(Graph.of(record.path, self.book.dag_of(record), self.book.given(record)))

    def _open_loop(self, record: TaskRecord, task: Task) -> None:
        assert task.iterator is not None
        items = items_of(task.iterator, record.inputs)
        record = self.book.change(record, State.RUNNING, started_at=self.book.now)
        component = self.book.component_of(record)
        self.watch_loop(Loop(record.path, task, component, record.inputs, items, deque(range(len(items)))))

    def _iterate(self, loop: Loop) -> None:
        """Begins iterations as far as the loop has room for them."""
        if self._fails_fast(loop.path):
            loop.cut_short()
        while loop.room and not self._is_enough:
            loop.running += 1
            self._open_iteration(loop, loop.waiting.popleft())
        if loop.done:
            self._close_loop(loop)
        elif loop.room and loop.path not in self._more:
            self._more.append(loop.path)

    def _open_iteration(self, loop: Loop, index: int) -> None:
        assert loop.task.iterator is not None
        own = own_inputs(loop.task.iterator, loop.component, loop.items[index])
        kind = self.book.kind_of(loop.component.name)
        if kind is not Kind.DAG:  # a step is told all that it needs; a graph's tasks ask the loop's record
            own = merged(loop.inputs, own)
        record = self.book.open(loop.path, str(index), loop.task, kind, index)
        self._open(replace(record, inputs=own))

    def _after(self, path: str) -> None:
        """What the end of a task means for the graph or the loop that it stands in."""
        record = self.book.all[path]
        if not record.parent:
            self.book.sweep()
            self.book.out.append(End(record.state, record.error))
        elif record.iteration is not None:
            loop = self.loops[record.parent]
            loop.running -= 1
            self._iterate(loop)
        else:
            graph = self.graphs[record.parent]
            self._ready.extend((graph.path, name) for name in graph.ended(record.name))
            if graph.open == 0:
                self._close_graph(graph)

    def _close_graph(self, graph: Graph) -> None:
        del self.graphs[graph.path]
        record = self.book.all[graph.path]
        if graph.path in self.halted:
            self._close_halted(record)
            return
        paths = [f"{graph.path}/{name}" for name in graph.dag.tasks]
        found = [self.book.all[path] for path in paths]
        if any(each.state is State.FAILED for each in found):
            self.close(record, State.FAILED, error=self.book.first_error(paths))
        elif any(each.reason == "FailFast" for each in found):
            self.close(record, State.CANCELED, reason="FailFast")
        else:
            self.close(record, State.SUCCEEDED, outputs=outputs.of_graph(graph.dag, self.book.beside(graph.path)))

    def _close_loop(self, loop: Loop) -> None:
        del self.loops[loop.path]
        record, book = self.book.all[loop.path], self.book
        if loop.path in self.halted:
            self._close_halted(record)
            return
        paths = [f"{loop.path}/{index}" for index in range(len(loop.items))]
        found = [each for each in (book.get(path) for path in paths) if each is not None]
        if any(each.state is State.FAILED for each in found):
            self.close(record, State.FAILED, error=book.first_error(paths))
        elif loop.cut or any(each.reason == "FailFast" for each in found):
            self.close(record, State.CANCELED, reason="FailFast")
        else:
            self.close(
                record,
                State.SUCCEEDED,
                outputs=outputs.of_loop(loop.component.outputs, (each.outputs for each in found)),
            )

    def _close_halted(self, record: TaskRecord) -> None:
        """Nothing in it needs cleaning up any more."""
        error = self.halted_for
        assert error is not None
        state = State.CANCELED if record.parent else outcome(error)
        self.close(record, state, error=error, reason=error.reason)
