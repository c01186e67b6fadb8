"""A small world in which a machine lives: steps are functions of their inputs, time moves when the test says so."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from services.pipelines.domain.engine.machine import Machine
from services.pipelines.domain.engine.records import Artifact, Error, Outputs, State, TaskRecord
from services.pipelines.domain.engine.words import (
    Decision,
    End,
    Failed,
    Put,
    RunFacts,
    RunOptions,
    Start,
    StepEnded,
    StepStarted,
    Stop,
    Succeeded,
)
from services.pipelines.domain.ir.model import ParamType, Pipeline
from services.pipelines.domain.ir.values import run_parameters

BEGIN = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
RUN_ID = "5d0a4b5e-6c0e-4b0a-9d6e-1f2d3c4b5a69"
SOME = {
    ParamType.DOUBLE: 0.5,
    ParamType.INTEGER: 3,
    ParamType.STRING: "said",
    ParamType.BOOLEAN: True,
    ParamType.LIST: [1, 2],
    ParamType.STRUCT: {"a": 1, "b": 2},
}
Step = Callable[[TaskRecord], Succeeded | Failed]


def facts(pipeline: Pipeline, options: RunOptions | None = None, **parameters: Any) -> RunFacts:
    typed = run_parameters(pipeline.root, parameters)
    return RunFacts(RUN_ID, "team", "a-run", "s3://bucket/root", typed, BEGIN, options or RunOptions())


def failed(message: str = "it broke", **how: Any) -> Failed:
    return Failed(Error(message), **how)


def gave(pipeline: Pipeline, record: TaskRecord, **values: Any) -> Succeeded:
    """Outputs of all that the component promises: what is named here, else something of the type."""
    outputs = pipeline.components[record.component].outputs
    parameters = {name: values.get(name, SOME.get(spec.type)) for name, spec in outputs.parameters.items()}
    artifacts = {
        name: (Artifact(name, f"s3://bucket/{record.path}/{name}", spec.schema_title),)
        for name, spec in outputs.artifacts.items()
    }
    return Succeeded(Outputs(parameters, artifacts))


@dataclass
class World:
    """`steps`: task name -> what it does; others give something of the right type. `log` are all decisions."""

    pipeline: Pipeline
    run: RunFacts
    steps: Mapping[str, Step] = field(default_factory=dict)
    now: datetime = BEGIN
    records: dict[str, TaskRecord] = field(default_factory=dict)
    started: list[TaskRecord] = field(default_factory=list)
    stopped: list[TaskRecord] = field(default_factory=list)
    ran: list[str] = field(default_factory=list)
    end: End | None = None

    def __post_init__(self) -> None:
        self.machine = Machine.load(self.pipeline, self.run, self.records.values())

    def advance(self, seconds: float = 0.0) -> list[Decision]:
        self.now += timedelta(seconds=seconds)
        decisions = self.machine.advance(self.now)
        self.note(decisions)
        return decisions

    def note(self, decisions: Iterable[Decision]) -> None:
        for decision in decisions:
            match decision:
                case Put(record):
                    self.records[record.path] = record
                case Start(record):
                    assert self.records[record.path] == record, "a start comes after its put"
                    self.started.append(record)
                case Stop(record):
                    self.stopped.append(record)
                case End():
                    self.end = decision

    def outcome(self, record: TaskRecord) -> Succeeded | Failed:
        step = self.steps.get(record.name)
        return step(record) if step else gave(self.pipeline, record)

    def finish(self, record: TaskRecord) -> None:
        """Runs the step and tells of it."""
        self.ran.append(record.path.removeprefix("root/"))
        self.machine.tell(StepStarted(record.path, record.attempt))
        self.machine.tell(StepEnded(record.path, record.attempt, self.outcome(record)))

    def go(self, patience: int = 100_000) -> "World":
        """Runs whatever is started, one at a time, until the run ends; time moves on when all wait for it."""
        self.advance()
        while self.end is None and patience:
            patience -= 1
            if self.started:
                self.finish(self.started.pop(0))
                self.advance()
            else:
                due = self.machine.due()
                assert due is not None, f"the run stands still: {[r.path for r in self.machine.active()]}"
                self.advance(max(0.0, (due - self.now).total_seconds()))
        assert self.end is not None, "the run never ends"
        return self

    def state(self, path: str) -> State:
        return self.records[f"root/{path}"].state

    def value(self, path: str, name: str = "Output") -> Any:
        return self.records[f"root/{path}"].outputs.parameters[name]
