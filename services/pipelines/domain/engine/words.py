"""What a machine is told and what it answers: observations, decisions and the facts of a run; values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from services.pipelines.domain.engine.records import Error, Outputs, State, TaskRecord

TERMINATED, DEADLINE = "Terminated", "Deadline"
"""Reasons for which a run is halted."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """deadline_s  the run fails after so many seconds (None: never)
    fail_fast   after a failure nothing more is begun, but what must always run; else all that can still run does
    exits_s     how long exit tasks may take after the run was stopped, or its time was up
    losses_max  how often an attempt without a result is made again at no cost to the user's retries
    only        paths of steps: what they do not need is left out (none: all is wanted)
    """

    deadline_s: float | None = None
    fail_fast: bool = False
    exits_s: float = 600.0
    losses_max: int = 3
    only: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class RunFacts:
    """A run that was asked for. `parameters` are the root's, typed and complete (values.py: run_parameters).
    `scheduled_at` is the moment of a schedule that the run is for, which may lie long before it was made."""

    id: str
    namespace: str
    name: str
    root: str
    parameters: Mapping[str, Any]
    created_at: datetime
    options: RunOptions = field(default_factory=RunOptions)
    scheduled_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The attempt's outputs, checked; `cached_from` is the uid of the task that had made them before."""

    outputs: Outputs
    cached_from: str = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """`lost`: no result came for a cause of the infrastructure. `final`: another attempt would fail the same way.
    `evicted`: it made room for others, which is no failure, however often it happens."""

    error: Error
    lost: bool = False
    final: bool = False
    evicted: bool = False


@dataclass(frozen=True, slots=True)
class StepStarted:
    """The attempt's program runs."""

    path: str
    attempt: int


@dataclass(frozen=True, slots=True)
class StepPaused:
    """The attempt waits for a person, whose decision is its result."""

    path: str
    attempt: int


@dataclass(frozen=True, slots=True)
class StepEnded:
    """The attempt has a result; one of an older attempt, or a second one, changes nothing."""

    path: str
    attempt: int
    outcome: Succeeded | Failed


@dataclass(frozen=True, slots=True)
class Terminate:
    """A person wants the run to end now, but for its exit tasks; told again while those run, they end as well."""

    reason: str = "terminated by request"


Observation = StepStarted | StepPaused | StepEnded | Terminate


@dataclass(frozen=True, slots=True)
class Put:
    """Store this: it is the new truth about one task."""

    record: TaskRecord


@dataclass(frozen=True, slots=True)
class Start:
    """A step or an importer shall run now. Its Put has come before."""

    record: TaskRecord


@dataclass(frozen=True, slots=True)
class Stop:
    """The pod of this attempt is no longer wanted."""

    record: TaskRecord


@dataclass(frozen=True, slots=True)
class End:
    """The run is over. It comes last, and once."""

    state: State
    error: Error | None = None


Decision = Put | Start | Stop | End
