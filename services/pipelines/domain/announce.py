"""What is said of a task and of what it made, from how its record was and how it is; pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from contracts.events.pipelines.v1 import (
    ArtifactCreated,
    ArtifactRef,
    RunCanceled,
    RunFailed,
    RunSucceeded,
    TaskCanceled,
    TaskFailed,
    TaskPaused,
    TaskRetried,
    TaskSkipped,
    TaskStarted,
    TaskSucceeded,
)
from contracts.messages import Event
from services.pipelines.domain import runs as words
from services.pipelines.domain.engine.records import Artifact, Kind, State, TaskRecord
from services.pipelines.domain.runs import Run

MESSAGE_MAX = 4000
NAME_MAX = 253


def of_task(run: Run, before: TaskRecord | None, now: TaskRecord, cache: str) -> list[Event]:
    """The news in a record; graphs and loops are how a pipeline is written down and no news of their own."""
    if now.kind not in (Kind.STEP, Kind.IMPORTER):
        return []
    about = {**_about(run, now), "run": run.id, "path": now.path, "attempt": now.attempt}
    if before is not None and before.state == now.state and before.attempt == now.attempt:
        return []
    message = now.error.message[:MESSAGE_MAX] if now.error else ""
    match now.state:
        case State.SUCCEEDED:
            return [TaskSucceeded(**about, cached_from=now.cached_from, cache=cache)]
        case State.FAILED:
            return [TaskFailed(**about, message=message)]
        case State.SKIPPED:
            return [TaskSkipped(**about, reason=now.reason)]
        case State.CANCELED:
            return [TaskCanceled(**about)]
        case State.PAUSED:
            return [TaskPaused(**about)]
    if before is not None and now.attempt > before.attempt and not now.waiting:
        return [TaskRetried(**about, message=message, lost=now.losses > before.losses)]
    return []


def started(run: Run, now: TaskRecord) -> TaskStarted:
    return TaskStarted(**_about(run, now), run=run.id, path=now.path, attempt=now.attempt)


def of_artifact(run: Run, task: TaskRecord, made: Artifact) -> ArtifactCreated:
    read = [one for many in task.inputs.artifacts.values() for one in many]
    return ArtifactCreated(
        namespace=run.namespace,
        uid=made.id,
        name=_word(made.name),
        kind=_word(made.schema_title),
        uri=made.uri,
        digest=made.digest,
        size=made.size,
        run=run.id,
        task=task.uid,
        task_name=_word(task.name),
        inputs=tuple(ArtifactRef(name=_word(one.name), uri=one.uri, uid=one.id, digest=one.digest) for one in read),
    )


def of_end(run: Run, state: State, message: str, started_at: datetime, now: datetime) -> Event:
    about: Mapping[str, Any] = {"namespace": run.namespace, "name": run.name[:253] or run.id, "uid": run.id}
    times: dict[str, Any] = {"started_at": started_at, "finished_at": now}
    if state == words.SUCCEEDED:
        return RunSucceeded(**about, pipeline=run.pipeline_name, **times)
    if state == words.CANCELED:
        return RunCanceled(**about, pipeline=run.pipeline_name)
    return RunFailed(**about, pipeline=run.pipeline_name, message=message[:MESSAGE_MAX], **times)


def _about(run: Run, task: TaskRecord) -> dict[str, Any]:
    return {"namespace": run.namespace, "name": _word(task.name), "uid": task.uid}


def _word(name: str) -> str:
    """A name as events carry it: what is said of a run must never be what stops it."""
    return name[:NAME_MAX] or "unnamed"
