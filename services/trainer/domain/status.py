"""The status of a TrainJob as it should be now. While a job runs its conditions are empty: the SDK demands it."""

from datetime import datetime
from typing import Any

from libs.base.clock import rfc3339
from services.trainer.domain.observed import Observed, jobs_status, phase
from services.trainer.domain.outcome import Outcome
from services.trainer.domain.state import COMPLETE, FAILED, SUSPENDED

Status = dict[str, Any]


def of(job: dict[str, Any]) -> Status:
    """A copy of the present status that knows the present spec."""
    return {**(job.get("status") or {}), "observedGeneration": job["metadata"].get("generation") or 1}


def waiting(job: dict[str, Any], now: datetime) -> Status:
    status = {**of(job), "conditions": []}
    if not status.get("admission"):
        status["admission"] = {"state": "Waiting", "since": rfc3339(now), "generation": status["observedGeneration"]}
    return status


def suspended(job: dict[str, Any], observed: Observed, num_nodes: int, now: datetime) -> Status:
    """The condition appears when the last pod has gone: until then the job is still suspending."""
    status = {**of(job), "jobsStatus": jobs_status(observed, num_nodes)}
    for forgotten in ("admission", "startedAt"):
        status.pop(forgotten, None)
    gone = not any(phase(pod) in ("Pending", "Running") for pod in observed.pods)
    held = [c for c in status.get("conditions") or [] if c["type"] == SUSPENDED]
    status["conditions"] = held or ([_condition(SUSPENDED, "Suspended", "TrainJob is suspended", now)] if gone else [])
    return status


def running(job: dict[str, Any], observed: Observed, num_nodes: int, now: datetime) -> Status:
    status = {**of(job), "conditions": [], "jobsStatus": jobs_status(observed, num_nodes)}
    if not status.get("startedAt") and any(phase(pod) in ("Running", "Succeeded", "Failed") for pod in observed.pods):
        status["startedAt"] = rfc3339(now)
    return status


def finished(job: dict[str, Any], observed: Observed, num_nodes: int, why: Outcome, now: datetime) -> Status:
    status = running(job, observed, num_nodes, now)
    kind = COMPLETE if why.succeeded else FAILED
    status["conditions"] = [_condition(kind, why.reason, why.message, now)]
    reported = status.get("trainerStatus")
    if why.succeeded and reported:
        status["trainerStatus"] = {**reported, "progressPercentage": 100, "estimatedRemainingSeconds": 0}
    return status


def _condition(kind: str, reason: str, message: str, now: datetime) -> dict[str, str]:
    at = rfc3339(now)
    return {"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": at}
