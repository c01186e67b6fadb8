"""What a picture of a run shows: the pipeline's graph, and at each place how the tasks there stand; pure.

A place is a task of the compiled pipeline. All iterations of a loop share the places inside of it, so a picture is as
large as the pipeline is, however long its loops are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from services.pipelines.domain.engine.records import State, TaskRecord
from services.pipelines.domain.ir.model import ROOT, Component, Dag, Pipeline, Task

CACHED, WAITING = "CACHED", "WAITING"
"""Beside KFP's states: its outputs came from the cache; nothing is known of it yet."""
WORST = ("FAILED", "CANCELED", "CANCELING", "RUNNING", "PAUSED", "PENDING", "SUCCEEDED", CACHED, "SKIPPED", WAITING)
"""Of several tasks at one place the first of these is the place's."""
PLACES_MAX = 2000
TITLE_MAX = 40


@dataclass(frozen=True)
class Standing:
    """How the tasks at one place stand: their states with how many have each, their time from first to last."""

    counts: Mapping[str, int] = field(default_factory=dict)
    seconds: float | None = None
    problem: str = ""

    @property
    def state(self) -> str:
        return next((word for word in WORST if self.counts.get(word)), WAITING)

    @property
    def tasks(self) -> int:
        return sum(self.counts.values())


@dataclass(frozen=True)
class Node:
    """One place; `inside` are those of a graph or loop, `upstream` the names of its neighbours that come before."""

    name: str
    title: str
    standing: Standing
    upstream: tuple[str, ...] = ()
    inside: tuple[Node, ...] = ()
    is_loop: bool = False
    caption: str = ""
    """What is said below its title, instead of how its tasks stand."""

    @property
    def words(self) -> str:
        """What stands below its title."""
        return self.caption or _told(self.standing, "task")

    @property
    def heading(self) -> str:
        """What stands above those inside."""
        return f"{short(self.title, TITLE_MAX)}: {_told(self.standing, 'iteration' if self.is_loop else '')}"


class TooManyPlaces(Exception):
    """More than a picture can show."""


def nodes(pipeline: Pipeline, records: Sequence[TaskRecord], now: datetime) -> tuple[Node, ...]:
    """The places below the pipeline itself. Raises TooManyPlaces."""
    found = _by_place(records)
    budget = [PLACES_MAX]
    root = pipeline.components[ROOT]
    return _within(pipeline, root.dag, ROOT, found, now, budget) if root.dag else ()


def _within(
    pipeline: Pipeline,
    dag: Dag,
    place: str,
    found: Mapping[str, Sequence[TaskRecord]],
    now: datetime,
    budget: list[int],
) -> tuple[Node, ...]:
    made = []
    for task in dag.tasks.values():
        budget[0] -= 1
        if budget[0] < 0:
            raise TooManyPlaces(f"a picture shows at most {PLACES_MAX} tasks, this pipeline has more")
        below = f"{place}/{task.name}"
        component = pipeline.components[task.component]
        inside = _within(pipeline, component.dag, below, found, now, budget) if component.dag else ()
        made.append(_node(task, component, inside, found.get(below, ()), now))
    return tuple(made)


def _node(
    task: Task, component: Component, inside: tuple[Node, ...], records: Sequence[TaskRecord], now: datetime
) -> Node:
    title = task.display_name or task.name
    standing = standing_of([record for record in records if record.iteration is None], now)
    if task.iterator is not None:
        standing = standing_of([record for record in records if record.iteration is not None] or records, now)
    return Node(task.name, title, standing, task.upstream, inside, task.iterator is not None)


def standing_of(records: Sequence[TaskRecord], now: datetime) -> Standing:
    counts = Counter(_word(record) for record in records)
    begun = [record.started_at for record in records if record.started_at is not None]
    ended = [record.ended_at or now for record in records if record.started_at is not None]
    problem = next((record.error.message for record in records if record.error is not None), "")
    return Standing(dict(counts), (max(ended) - min(begun)).total_seconds() if begun else None, problem)


def _word(record: TaskRecord) -> str:
    if record.waiting:
        return WAITING
    return CACHED if record.cached_from and record.state == State.SUCCEEDED else str(record.state)


def _by_place(records: Iterable[TaskRecord]) -> Mapping[str, Sequence[TaskRecord]]:
    """Records by where they stand in the compiled pipeline: a path without the numbers of iterations."""
    places: dict[str, str] = {}
    found: dict[str, list[TaskRecord]] = {}
    for record in sorted(records, key=lambda one: one.path.count("/")):  # parents first
        above = places.get(record.parent, record.parent)
        own = ROOT if not record.parent else above if record.iteration is not None else f"{above}/{record.name}"
        places[record.path] = own
        found.setdefault(own, []).append(record)
    return found


def short(text: str, letters: int) -> str:
    return text if len(text) <= letters else f"{text[: letters - 1]}…"


def _told(standing: Standing, of: str) -> str:
    words = standing.state.lower()
    if standing.tasks > 1 and of:
        done = sum(standing.counts.get(word, 0) for word in ("SUCCEEDED", CACHED))
        words = f"{done} of {standing.tasks} {of}s"
        others = [f"{n} {word.lower()}" for word, n in standing.counts.items() if word not in ("SUCCEEDED", CACHED)]
        words = ", ".join([words, *sorted(others)])
    spent = standing.seconds
    quick = spent is None or standing.state in (CACHED, "SKIPPED", WAITING)
    return words if quick or spent is None else f"{words}, {_duration(spent)}"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 100 else f"{minutes / 60:.1f} h"
