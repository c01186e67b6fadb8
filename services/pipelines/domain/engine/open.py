"""What is going on: a graph with tasks left, a loop with iterations left. Counters only, made again on load."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from services.pipelines.domain.engine.records import Values
from services.pipelines.domain.ir.model import Component, Dag, Task

NEVER = 1 << 60
"""Of a task that shall not begin any more."""


@dataclass(slots=True)
class Graph:
    """`left`: task -> how many of its upstream have not ended. `open`: how many tasks have not ended.
    `given` are the inputs that its tasks may ask for."""

    path: str
    dag: Dag
    given: Values
    left: dict[str, int]
    open: int

    @classmethod
    def of(cls, path: str, dag: Dag, given: Values) -> "Graph":
        return cls(path, dag, given, {name: len(task.upstream) for name, task in dag.tasks.items()}, len(dag.tasks))

    def ended(self, name: str) -> list[str]:
        """Counts a task as over; the tasks that wait for nothing any more."""
        self.open -= 1
        ready = []
        for each in self.dag.downstream[name]:
            self.left[each] -= 1
            if self.left[each] == 0:
                ready.append(each)
        return ready


@dataclass(slots=True)
class Loop:
    """`waiting` are the iterations that have not begun, in order; `running` those that have and are not over."""

    path: str
    task: Task
    component: Component
    inputs: Values
    items: tuple[Any, ...]
    waiting: deque[int] = field(default_factory=deque)
    running: int = 0
    cut: bool = False

    def cut_short(self) -> None:
        """No more iterations begin, though there are items left."""
        self.cut = self.cut or bool(self.waiting)
        self.waiting.clear()

    @property
    def room(self) -> bool:
        limit = self.task.iterator.limit if self.task.iterator else 0
        return bool(self.waiting) and (limit == 0 or self.running < limit)

    @property
    def done(self) -> bool:
        return not self.waiting and self.running == 0
