"""Orders the tasks of a graph so that each comes after its upstream, and finds what can never end: cycles, components
that hold themselves, and pipelines that unfold into more tasks than anybody means."""

from collections import deque
from collections.abc import Mapping

from services.pipelines.domain.ir.model import Component, Task
from services.pipelines.domain.ir.problems import Problems

MOST_TASKS = 100_000
"""Tasks that a pipeline may have when its sub-pipelines are unfolded; iterations of loops are not counted here."""


def ordered(tasks: Mapping[str, Task], problems: Problems) -> dict[str, Task]:
    """The tasks, upstream first; a cycle is reported with its members and left in the order of writing."""
    left = {name: sum(each in tasks for each in task.upstream) for name, task in tasks.items()}
    after = downstream(tasks)
    ready = deque(name for name, count in left.items() if count == 0)
    found: dict[str, Task] = {}
    while ready:
        name = ready.popleft()
        found[name] = tasks[name]
        for each in after[name]:
            left[each] -= 1
            if left[each] == 0:
                ready.append(each)
    if len(found) < len(tasks):
        problems.add(f"the tasks wait for each other in a circle: {' -> '.join(_circle(tasks, found))}", "tasks")
    return {**found, **tasks}


def downstream(tasks: Mapping[str, Task]) -> dict[str, tuple[str, ...]]:
    """Task -> the tasks that wait for it."""
    after: dict[str, list[str]] = {name: [] for name in tasks}
    for name, task in tasks.items():
        for each in task.upstream:
            if each in after:
                after[each].append(name)
    return {name: tuple(names) for name, names in after.items()}


def _circle(tasks: Mapping[str, Task], done: Mapping[str, Task]) -> list[str]:
    """One circle among those that could not be ordered: each of them has an upstream that could not either."""
    at = next(name for name in tasks if name not in done)
    seen: list[str] = []
    while at not in seen:
        seen.append(at)
        at = next(each for each in tasks[at].upstream if each in tasks and each not in done)
    circle = list(reversed(seen[seen.index(at) :]))
    first = circle.index(min(circle))
    return [*circle[first:], *circle[: first + 1]]


def check_nesting(components: Mapping[str, Component], root: str, problems: Problems) -> None:
    """Reports a component that holds itself, and a pipeline that unfolds too far."""
    sizes: dict[str, int] = {}
    open_: dict[str, None] = {}
    stack = [(root, False)]
    while stack:
        name, left = stack.pop()
        held = _held(components.get(name))
        if left:
            del open_[name]
            sizes[name] = 1 + sum(sizes.get(each, 1) for each in held)
        elif name in open_:
            path = [*list(open_)[list(open_).index(name) :], name]
            problems.add(f"a component holds itself: {' -> '.join(path)}", "components", name)
            return
        elif name not in sizes:
            open_[name] = None
            stack.append((name, True))
            stack.extend((each, False) for each in dict.fromkeys(held))
    if sizes.get(root, 0) > MOST_TASKS:
        problems.add(f"the pipeline unfolds into {sizes[root]} tasks, at most {MOST_TASKS} are run", "root")


def _held(component: Component | None) -> list[str]:
    if component is None or component.dag is None:
        return []
    return [task.component for task in component.dag.tasks.values()]
