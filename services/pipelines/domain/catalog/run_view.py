"""A run as KFP's REST API shows it, with its tasks as task_details; reads records and decides nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from services.pipelines.domain.catalog.items import shown_moment, shown_time
from services.pipelines.domain.codes import CANCELLED, INTERNAL, UNAVAILABLE
from services.pipelines.domain.engine.records import Artifact, Error, State, TaskRecord, Values
from services.pipelines.domain.runs import ARCHIVED, FAILED, Run, task_uid
from services.pipelines.domain.steps.naming import pod_name

Object = dict[str, Any]
Waits = Mapping[str, tuple[int, str]]
"""By a task's uid: of which attempt it is said, and why it waits."""


def shown(run: Run, document: Object | None = None) -> Object:
    """`document` is the compiled pipeline, told where no version is referred to; lists leave it out."""
    return {
        "run_id": run.id,
        "display_name": run.name,
        "experiment_id": run.experiment_id,
        "storage_state": ARCHIVED if run.is_leaving else run.storage_state,
        "created_at": shown_time(run.created_ms),
        "scheduled_at": shown_time(run.scheduled_ms),
        "finished_at": shown_time(run.finished_ms),
        "state": run.state,
        "runtime_config": {"parameters": dict(run.parameters), "pipeline_root": run.root},
        "state_history": _states(run),
        **_source(run, document),
        **_given(
            description=run.description,
            service_account=run.service_account,
            recurring_run_id=run.recurring_run_id,
            plugins_input=dict(run.options.plugins),
        ),
        **({"error": _error(run)} if run.error else {}),
    }


def _states(run: Run) -> list[Object]:
    """With why it failed where it did."""
    told: list[Object] = [{"update_time": shown_time(at), "state": state} for at, state in run.history]
    if told and run.error and run.is_over:
        told[-1]["error"] = _error(run)
    return told


def details(run: Run, tasks: Sequence[TaskRecord], waits: Waits | None = None) -> list[Object]:
    """One for every task, graphs and loops included; parents name their children. `waits` say why a task's pod does
    not run yet."""
    children: dict[str, list[Object]] = {}
    for task in tasks:
        children.setdefault(task.parent, []).append({"task_id": task.uid})
    return [{**detail(run, task, waits or {}), "child_tasks": children.get(task.path, [])} for task in tasks]


def detail(run: Run, task: TaskRecord, waits: Waits) -> Object:
    """One task, but for its children."""
    pod = pod_name(run.id, task.name, task.path, task.attempt) if _has_pod(task) else ""
    obstacle = _obstacle(task, waits)
    return {
        "run_id": run.id,
        "task_id": task.uid,
        "display_name": task.display_name or task.name,
        "create_time": _time(task.created_at),
        "start_time": _time(task.started_at),
        "end_time": _time(task.ended_at),
        "state": str(task.state),
        "execution_id": task.uid,
        "inputs": _ids(task.inputs),
        "outputs": _ids(task.outputs),
        "state_history": _history(task, obstacle),
        **_given(parent_task_id=task.parent and task_uid(run.id, task.parent), pod_name=pod),
        **_jobs(run, task, pod),
        **({"error": _status(task.error)} if task.error else {}),
        **obstacle,
    }


def waits_for(task: TaskRecord, waits: Waits) -> str:
    """Why a task that was begun does not run yet; empty where that is not known, or it does."""
    attempt, why = waits.get(task.uid, (0, ""))
    return why if task.state is State.PENDING and attempt == task.attempt else ""


def _obstacle(task: TaskRecord, waits: Waits) -> Object:
    """KFP has no other place for it, and its clients show this one."""
    why = waits_for(task, waits)
    return {"error": {"code": UNAVAILABLE, "message": why, "details": []}} if why else {}


def _history(task: TaskRecord, obstacle: Object) -> list[Object]:
    """With why each attempt failed: at the end of it, or, where another followed at once, at that one's beginning."""
    told: list[Object] = [{"update_time": shown_moment(at), "state": str(state)} for state, at in task.history]
    why = [(at, error) for at, _, error in task.tries]
    if task.error is not None and task.ended_at is not None:
        why.append((task.ended_at, task.error))
    if why:
        for (state, at), each in zip(task.history, told, strict=True):
            if why and why[0][0] == at and state is not State.RUNNING:
                each["error"] = _status(why.pop(0)[1])
    return [*told[:-1], {**told[-1], **obstacle}] if told else []


def _jobs(run: Run, task: TaskRecord, pod: str) -> Object:
    """The pods of its attempts, as KFP tells them."""
    failed = [pod_name(run.id, task.name, task.path, attempt) for _, attempt, _ in task.tries]
    found = _given(main_job=pod, failed_main_jobs=failed if task.kind == "step" else [])
    return {"executor_detail": found} if found else {}


def _status(error: Error) -> Object:
    return {"code": error.code, "message": error.message, "details": []}


def _has_pod(task: TaskRecord) -> bool:
    return task.kind == "step" and task.started_at is not None and not task.cached_from


def _ids(values: Values) -> Object:
    return {name: {"artifact_ids": _named(artifacts)} for name, artifacts in values.artifacts.items()}


def _named(artifacts: Sequence[Artifact]) -> list[str]:
    return [each.id for each in artifacts if each.id]


def _source(run: Run, document: Object | None) -> Object:
    if run.version_id:
        reference = _given(pipeline_id=run.pipeline_id, pipeline_version_id=run.version_id)
        return {"pipeline_version_reference": reference}
    return {} if document is None else {"pipeline_spec": document}


def _error(run: Run) -> Object:
    return {"code": INTERNAL if run.state == FAILED else CANCELLED, "message": run.error, "details": []}


def _time(at: datetime | None) -> str:
    return shown_time(0) if at is None else shown_moment(at)


def _given(**named: Any) -> Object:
    return {name: value for name, value in named.items() if value}
