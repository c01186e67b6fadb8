"""What MLflow is told of a run that is over: one run with its parameters, and one below it for each step with metrics;
pure. Made from the records alone, so that telling it again changes nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from libs.base import milliseconds
from services.pipelines.domain import runs as words
from services.pipelines.domain.engine.records import Kind, State, TaskRecord
from services.pipelines.domain.runs import Run

STATUS = {words.SUCCEEDED: "FINISHED", words.FAILED: "FAILED", words.CANCELED: "KILLED"}
TAG = "millstream.id"
"""Marks what is ours in MLflow: the id of our run, or of our task."""
METRICS = "system.Metrics"
VALUE_MAX = 6000
"""Characters of a parameter's value that every MLflow server takes."""


@dataclass(frozen=True)
class Tracked:
    """One run of MLflow. Times are milliseconds since the epoch."""

    id: str
    name: str
    status: str
    began_ms: int
    ended_ms: int
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    steps: tuple[Tracked, ...] = ()


def tracked(run: Run, tasks: Sequence[TaskRecord]) -> Tracked | None:
    """None for a run that goes on."""
    if run.state not in STATUS:
        return None
    steps = tuple(_step(run, task) for task in tasks if task.kind is Kind.STEP and dict(_metrics(task)))
    tags = {
        TAG: run.id,
        "millstream.namespace": run.namespace,
        "millstream.pipeline": run.pipeline_name,
        "mlflow.source.name": run.pipeline_name,
        "mlflow.source.type": "JOB",
    }
    named = [(name, value) for task in tasks for name, value in _metrics(task)]
    return Tracked(
        id=run.id,
        name=run.name,
        status=STATUS[run.state],
        began_ms=run.created_ms,
        ended_ms=run.finished_ms or run.created_ms,
        params=_params(run.parameters),
        metrics={name: value for name, value in named if sum(other == name for other, _ in named) == 1},
        tags=tags,
        steps=steps,
    )


def _step(run: Run, task: TaskRecord) -> Tracked:
    began, ended = task.started_at or task.created_at, task.ended_at
    return Tracked(
        id=task.uid,
        name=task.path.removeprefix("root/"),
        status="FINISHED" if task.state is State.SUCCEEDED else "FAILED",
        began_ms=milliseconds(began) if began else run.created_ms,
        ended_ms=milliseconds(ended) if ended else run.finished_ms or run.created_ms,
        params=_params(task.inputs.parameters),
        metrics=dict(_metrics(task)),
        tags={TAG: task.uid, "millstream.component": task.component},
    )


def _metrics(task: TaskRecord) -> Iterator[tuple[str, float]]:
    """The numbers of its Metrics artifacts; what is no number MLflow cannot keep."""
    for _, many in sorted(task.outputs.artifacts.items()):
        for artifact in many:
            if artifact.schema_title == METRICS:
                for name, value in artifact.metadata.items():
                    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
                        yield name, float(value)


def _params(values: Mapping[str, Any]) -> dict[str, str]:
    """Without the channels that KFP's compiler adds: nobody gave those."""
    return {name: _text(value) for name, value in values.items() if not name.startswith("pipelinechannel--")}


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= VALUE_MAX else f"{text[: VALUE_MAX - 3]}..."
