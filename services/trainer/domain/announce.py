"""What a TrainJob's life says to other services: facts built from the object alone, so a retry says the same."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from contracts import admission, queueing
from contracts.commands.scheduling.v1 import FinishWorkload, PodSet, ReportWorkload, SubmitWorkload
from contracts.events.training.v1 import (
    ModelArtifact,
    TrainJobCreated,
    TrainJobDeleted,
    TrainJobFailed,
    TrainJobRestarted,
    TrainJobResumed,
    TrainJobSucceeded,
    TrainJobSuspended,
)
from contracts.messages import Event, Message
from services.trainer.domain import elastic, recovery, words
from services.trainer.domain.blueprint import Blueprint
from services.trainer.domain.digest import code_digest, digest
from services.trainer.domain.outcome import Outcome
from services.trainer.domain.state import is_finished, is_suspended
from services.trainer.domain.workload import dataset_uri, model_uri


def facts_of(op: str, job: dict[str, Any], old: dict[str, Any] | None) -> Sequence[Message]:
    """The facts in a change of the object itself; those in a change of its status are said by the reconciler."""
    if op == "ADDED":
        return [created(job)]
    if op == "DELETED":
        return [TrainJobDeleted(**_about(job)), finish(job, "Deleted")]
    if not old or is_suspended(job) == is_suspended(old) or is_finished(old):
        return []
    fact = TrainJobSuspended if is_suspended(job) else TrainJobResumed
    return [fact(**_about(job), generation=job["metadata"].get("generation") or 0)]


def created(job: dict[str, Any]) -> TrainJobCreated:
    """The runtime is not known yet: the whole demand follows with `submit`."""
    nodes = (job["spec"].get("trainer") or {}).get("numNodes") or 1
    return TrainJobCreated(**_about(job), **_wish(job), num_nodes=nodes, dataset_uri=dataset_uri(job))


def submit(job: dict[str, Any], plan: Blueprint, *, after: str | None = None) -> SubmitWorkload:
    """What the job asks the scheduler for; none of its pods are there. `after` is the admission that they were of."""
    gone = after or admission.released(job)
    return queueing.submit(job, pod_sets(job, plan), suspended=is_suspended(job), after=gone)


def pod_sets(job: dict[str, Any], plan: Blueprint) -> list[PodSet]:
    """What the job's nodes, and a launcher beside them, are to the scheduler; an elastic job may start with fewer nodes
    than it asks for."""
    nodes = queueing.pod_set(words.NODE, plan.num_nodes, plan.pod, min_count=elastic.least(job, plan))
    return [nodes, *([queueing.pod_set(words.LAUNCHER, 1, plan.launcher)] if plan.launcher else [])]


def report(job: dict[str, Any], *, ready: bool, counts: Mapping[str, int] | None = None) -> ReportWorkload:
    """How the pods of the present admission fare, and of an elastic job, how many it wants now."""
    return queueing.report(job, admission.of(job)["id"], ready=ready, counts=counts)


def finish(job: dict[str, Any], reason: Any, message: str = "") -> FinishWorkload:
    """All quota of the job is free, for good."""
    return queueing.finish(job, reason, message)


def _wish(job: dict[str, Any]) -> dict[str, Any]:
    meta = job["metadata"]
    return {
        "priority": int(words.annotation(job, words.PRIORITY) or 0),
        "labels": meta.get("labels") or {},
        "suspended": is_suspended(job),
        "generation": meta.get("generation") or 0,
    }


def failed(job: dict[str, Any], why: Outcome) -> TrainJobFailed:
    return TrainJobFailed(**_about(job), reason=why.reason, message=why.message)


def restarted(job: dict[str, Any], status: dict[str, Any], note: dict[str, Any]) -> TrainJobRestarted:
    """`status` is the one that counts the restart, `note` its cause."""
    told = {"reason": note["reason"], "node": note["node"], "message": recovery.sentence(note)}
    step = (status.get("checkpoint") or {}).get("step")
    return TrainJobRestarted(**_about(job), **told, restarts=status["restarts"], step=step)


def succeeded(job: dict[str, Any], plan: Blueprint, runtime: dict[str, Any], bucket: str, now: datetime) -> Event:
    status = job.get("status") or {}
    artifact = _artifact(job, bucket)
    return TrainJobSucceeded(
        **_about(job),
        model=artifact,
        model_uri=model_uri(job, bucket),
        metrics=_metrics(status.get("trainerStatus") or {}),
        dataset_uri=dataset_uri(job),
        code_digest=code_digest(plan.node),
        environment=_environment(status, plan, runtime),
        runtime=runtime["metadata"]["name"],
        started_at=status.get("startedAt"),
        finished_at=now,
        register=artifact is not None,
        serve_as=words.annotation(job, words.SERVE_AS),
    )


def _about(job: dict[str, Any]) -> dict[str, str]:
    return {key: job["metadata"][key] for key in ("namespace", "name", "uid")}


def _artifact(job: dict[str, Any], bucket: str) -> ModelArtifact | None:
    name = words.annotation(job, words.MODEL_NAME)
    if not name:
        return None
    form = words.annotation(job, words.MODEL_FORMAT) or "pytorch"
    version = words.annotation(job, words.MODEL_VERSION)
    return ModelArtifact(name=name, uri=model_uri(job, bucket), format=form, version=version)  # type: ignore[arg-type]


def _metrics(reported: dict[str, Any]) -> dict[str, float]:
    """The last reported figures; a value that is no number ("n/a") is left out, NaN is told."""
    out: dict[str, float] = {}
    for metric in reported.get("metrics") or []:
        value = _number(metric["value"])
        if value is not None:
            out[metric["name"]] = value
    return out


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return math.nan if text.strip().lower() == "nan" else None


def _environment(status: dict[str, Any], plan: Blueprint, runtime: dict[str, Any]) -> dict[str, str]:
    return {
        **(status.get("environment") or {}),
        "image": str(plan.node["image"]),
        "runtime": runtime["metadata"]["name"],
        "runtime_digest": digest(runtime["spec"]),
    }
