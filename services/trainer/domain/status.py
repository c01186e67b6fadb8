"""The status of a TrainJob as it should be now. While all its pods run its conditions are empty: the SDK demands it."""

from datetime import datetime
from typing import Any

from contracts import admission
from libs.base.clock import rfc3339
from libs.cluster.obstacles import Obstacle, is_fleeting, steady
from services.trainer.domain import disruption, goodput, recovery
from services.trainer.domain.observed import Observed, jobs_status, phase, uid
from services.trainer.domain.outcome import Outcome
from services.trainer.domain.starting import is_starting, obstacle
from services.trainer.domain.state import COMPLETE, FAILED, PODS_READY, SUSPENDED, rest

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
    """The condition appears when the last pod has gone: until then the job is still suspending, and holds its quota."""
    status = {**of(job), "jobsStatus": jobs_status(observed, num_nodes)}
    stopping = observed.job is not None and not observed.job["spec"].get("suspend")
    gone = not stopping and not any(phase(pod) in ("Pending", "Running") for pod in observed.pods)
    if gone:
        status = {**_without_admission(status, job), "work": goodput.resting(work_of(status), now)}
    held = [c for c in status.get("conditions") or [] if c["type"] == SUSPENDED]
    why = rest(job) or ("Suspended", "TrainJob is suspended")
    status["conditions"] = held or ([_condition(SUSPENDED, *why, now)] if gone else [])
    return status


def evicted(job: dict[str, Any], now: datetime) -> Status:
    """Its pods are gone, and it waits for another admission, to go on from its last checkpoint."""
    told = admission.of(job)
    noted = {"recoveries": recovery.interrupted(job, told.get("reason") or "Evicted", now)} if is_begun(job) else {}
    status = {**_without_admission(of(job), job), **noted, "work": goodput.interrupted(work_of(of(job)))}
    status.pop("jobsStatus", None)
    return waiting({**job, "status": status}, now)


def _without_admission(status: Status, job: dict[str, Any]) -> Status:
    """What is known once none of an admission's pods are there any more."""
    left = {key: value for key, value in status.items() if key not in ("admission", "startedAt")}
    last = admission.held(job)
    return {**left, "released": last} if last else left


def work_of(status: Status) -> dict[str, Any]:
    """What the goodput is counted from."""
    return status.get("work") or {}


def is_begun(job: dict[str, Any]) -> bool:
    return bool((job.get("status") or {}).get("startedAt"))


def running(job: dict[str, Any], observed: Observed, num_nodes: int, now: datetime) -> Status:
    """With the condition PodsReady=False while something keeps pods from running that a person may have to see to."""
    status = {**of(job), "conditions": [], "jobsStatus": jobs_status(observed, num_nodes)}
    if not status.get("startedAt") and any(phase(pod) in ("Running", "Succeeded", "Failed") for pod in observed.pods):
        status["startedAt"] = rfc3339(now)
    if is_starting(observed, num_nodes):
        status["conditions"] = _not_ready(job, obstacle(observed, now), now)
    if status.get("startedAt"):
        status["work"] = goodput.started(work_of(status), now)
    if note := disruption.noted(job, observed):
        status["disruption"] = note
    replaced = recovery.replaced(job, observed, now)
    return {**status, "recoveries": replaced} if replaced else status


def hindered(job: dict[str, Any], why: Obstacle, now: datetime) -> Status:
    """The cluster will not take the workloads as things are, or will not let go of them. What a job ended as stays."""
    ended = [c for c in (job.get("status") or {}).get("conditions") or [] if c["type"] in (COMPLETE, FAILED)]
    return {**of(job), "conditions": [*ended, *_not_ready(job, why, now)]}


def restarting(job: dict[str, Any], observed: Observed, num_nodes: int, note: dict[str, Any], now: datetime) -> Status:
    """The attempt that failed is marked to go, and counted once however often this is done."""
    status = {**of(job), "jobsStatus": jobs_status(observed, num_nodes), "disruption": note}
    counted = {"restarts": recovery.restarts(job) + 1, "restartedFrom": uid(observed.job)}
    noted = {"recoveries": recovery.remembered(job, note, now), "work": goodput.interrupted(work_of(status))}
    why = Obstacle("Restarting", f"{recovery.sentence(note)}; all nodes begin again")
    return {**status, **counted, **noted, "conditions": _not_ready(job, why, now)}


def resizing(job: dict[str, Any], observed: Observed, num_nodes: int, now: datetime) -> Status:
    """The attempt of another size is marked to go; that is no failure, so no restart is counted."""
    noted = {"recoveries": recovery.interrupted(job, "Resized", now), "work": goodput.interrupted(work_of(of(job)))}
    why = Obstacle("Resizing", f"all nodes begin again, now {num_nodes}")
    mark = {"restartedFrom": uid(observed.job), "conditions": _not_ready(job, why, now)}
    return {**of(job), **noted, **mark}


def finished(job: dict[str, Any], observed: Observed, num_nodes: int, why: Outcome, now: datetime) -> Status:
    status = running(job, observed, num_nodes, now)
    status.pop("disruption", None)
    if (share := goodput.goodput(work_of(status), now)) is not None:
        status["goodput"] = share
    kind = COMPLETE if why.succeeded else FAILED
    status["conditions"] = [_condition(kind, why.reason, why.message, now)]
    reported = status.get("trainerStatus")
    if why.succeeded and reported:
        status["trainerStatus"] = {**reported, "progressPercentage": 100, "estimatedRemainingSeconds": 0}
    return status


def _not_ready(job: dict[str, Any], why: Obstacle | None, now: datetime) -> list[dict[str, str]]:
    """The present condition as long as it says the same; what only Events told stays until there are other news."""
    found = (job.get("status") or {}).get("conditions") or []
    before = next((c for c in found if c["type"] == PODS_READY), None)
    if why is None:
        return [before] if before and is_fleeting(before["reason"]) else []
    told = steady(before, why)
    made = {**_condition(PODS_READY, told.reason, told.message[:1024], now), "status": "False"}
    return [{**made, "lastTransitionTime": before["lastTransitionTime"]} if before else made]


def _condition(kind: str, reason: str, message: str, now: datetime) -> dict[str, str]:
    at = rfc3339(now)
    return {"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": at}
