"""The status of one of these jobs as it should be now, in the Training Operator's words and with its conditions."""

from datetime import datetime
from typing import Any

from contracts import admission
from libs.base.clock import rfc3339
from libs.cluster.obstacles import Obstacle, is_fleeting, steady
from services.trainer.domain.legacy.conditions import hindered as with_hindrance
from services.trainer.domain.legacy.conditions import with_condition, without
from services.trainer.domain.legacy.crew import port_for, replica_specs, wanted
from services.trainer.domain.legacy.family import Family, Job, Tallies, running
from services.trainer.domain.legacy.observed import Observed, tally
from services.trainer.domain.legacy.pods import selector
from services.trainer.domain.legacy.state import CREATED, FAILED, RESTARTING, RUNNING, SUCCEEDED, SUSPENDED
from services.trainer.domain.state import PODS_READY, condition, rest

Status = dict[str, Any]


def of(job: Job) -> Status:
    """A copy of the present status that knows the present spec and that the job was created."""
    status = {**(job.get("status") or {}), "observedGeneration": job["metadata"].get("generation") or 1}
    if not status.get("conditions"):
        since = datetime.fromisoformat(job["metadata"]["creationTimestamp"])
        status["conditions"] = with_condition([], CREATED, _why(job, CREATED, "is created."), since)
    return status


def tallies(job: Job, family: Family, observed: Observed) -> Tallies:
    return {role: tally(observed, role, wanted(job, family, role)) for role in replica_specs(job, family)}


def waiting(job: Job, now: datetime) -> Status:
    status = _resumed(of(job), job, now)
    if not status.get("admission"):
        status["admission"] = {"state": "Waiting", "since": rfc3339(now), "generation": status["observedGeneration"]}
    return status


def starting(job: Job, family: Family, now: datetime, first_ticket: int = 0) -> Status:
    """Before the first pod is made: the job gets its start and its ports, and keeps them while it lives.

    The change number is the store's own, so no other job running now has it.
    """
    status, ticket = of(job), first_ticket + int(job["metadata"].get("resourceVersion") or 0)
    status |= {"startTime": rfc3339(now), "port": status.get("port") or port_for(job, family, ticket)}
    return _resumed(status, job, now)


def _resumed(status: Status, job: Job, now: datetime) -> Status:
    if not any(c["type"] == SUSPENDED for c in status["conditions"]):
        return status
    why = (f"{job['kind']}Resumed", f"{job['kind']} {job['metadata']['name']} is resumed.")
    return {**status, "conditions": with_condition(status["conditions"], SUSPENDED, why, now, true=False)}


def active(job: Job, family: Family, observed: Observed, why: Obstacle | None, now: datetime) -> Status:
    """With PodsReady=False first among the conditions while something keeps pods from running."""
    status, seen = of(job), tallies(job, family, observed)
    conditions = status["conditions"]
    if running(family, job, seen):
        conditions = with_condition(conditions, RUNNING, _why(job, RUNNING, "is running."), now)
    conditions = with_hindrance(conditions, _not_ready(job, why, now))
    return {**status, "conditions": conditions, "replicaStatuses": _replicas(job, family, seen)}


def hindered(job: Job, why: Obstacle, now: datetime) -> Status:
    status = of(job)
    return {**status, "conditions": with_hindrance(status["conditions"], _not_ready(job, why, now))}


def restarting(job: Job, family: Family, observed: Observed, role: str, counted: int, now: datetime) -> Status:
    """`counted` pods failed by their own doing and are made anew."""
    status, seen = of(job), tallies(job, family, observed)
    told = f"is restarting because {seen[role].failed} {role} replica(s) failed."
    conditions = with_condition(status["conditions"], RESTARTING, _why(job, RESTARTING, told), now)
    made = int(status.get("restarts") or 0) + counted
    return {**status, "conditions": conditions, "restarts": made, "replicaStatuses": _replicas(job, family, seen)}


def suspended(job: Job, family: Family, observed: Observed, now: datetime) -> Status:
    """The condition appears when the last pod has gone: until then the job holds its quota."""
    status = of(job)
    if observed.pods:
        return status
    told = _rests(job) or rest(job) or _why(job, SUSPENDED, "is suspended.")
    conditions = without(status["conditions"], PODS_READY)
    if any(c["type"] == RUNNING for c in conditions):
        conditions = with_condition(conditions, RUNNING, told, now, true=False)
    conditions = with_condition(conditions, SUSPENDED, told, now)
    idle = _replicas(job, family, tallies(job, family, observed))
    return {**without_admission(status, job), "conditions": conditions, "replicaStatuses": idle}


def _rests(job: Job) -> tuple[str, str] | None:
    """What was said of its suspension stays as long as it lasts."""
    found = condition(job, SUSPENDED)
    return (found["reason"], found["message"]) if found else None


def evicted(job: Job, family: Family, observed: Observed, now: datetime) -> Status:
    """Its pods are gone, and it waits for another admission."""
    status = without_admission(of(job), job)
    why = admission.of(job).get("message") or "the scheduler wants its quota for others"
    told = (f"{job['kind']}Evicted", f"{job['kind']} {job['metadata']['name']} was evicted: {why}")
    conditions = without(status["conditions"], PODS_READY)
    if any(c["type"] == RUNNING for c in conditions):
        conditions = with_condition(conditions, RUNNING, told, now, true=False)
    idle = _replicas(job, family, tallies(job, family, observed))
    return waiting({**job, "status": {**status, "conditions": conditions, "replicaStatuses": idle}}, now)


def without_admission(status: Status, job: Job) -> Status:
    """What is known once none of an admission's pods are there any more."""
    left = {key: value for key, value in status.items() if key not in ("admission", "startTime")}
    last = admission.held(job)
    return {**left, "released": last} if last else left


def succeeded(job: Job, family: Family, observed: Observed, now: datetime) -> Status:
    status = active(job, family, observed, None, now)
    told = _why(job, SUCCEEDED, "is successfully completed.")
    conditions = with_condition(status["conditions"], SUCCEEDED, told, now)
    return {**status, "conditions": conditions, "completionTime": rfc3339(now)}


def failed(job: Job, family: Family, observed: Observed, message: str, now: datetime) -> Status:
    """`message` is a whole sentence."""
    status = active(job, family, observed, None, now)
    conditions = with_condition(status["conditions"], FAILED, (f"{job['kind']}Failed", message[:2048]), now)
    return {**status, "conditions": conditions, "completionTime": rfc3339(now)}


def over(job: Job, family: Family, observed: Observed, *, settled: bool) -> Status:
    """Counts go on while pods of a finished job end. What a job's success ends has succeeded, as upstream says."""
    status, seen = dict(job.get("status") or {}), tallies(job, family, observed)
    counts = {}
    for role, was in (status.get("replicaStatuses") or {}).items():
        now = seen[role]
        done, failed = max(was["succeeded"], now.succeeded), max(was["failed"], now.failed)
        if settled and condition(job, SUCCEEDED):
            done = max(done, was["succeeded"] + was["active"] - (failed - was["failed"]))
        counts[role] = {**was, "active": now.active, "succeeded": done, "failed": failed}
    return {**status, "replicaStatuses": counts, **({"settled": True} if settled else {})}


def _why(job: Job, word: str, told: str) -> tuple[str, str]:
    return f"{job['kind']}{word}", f"{job['kind']} {job['metadata']['name']} {told}"


def _replicas(job: Job, family: Family, seen: Tallies) -> dict[str, Any]:
    return {
        role: {
            "active": found.active,
            "succeeded": found.succeeded,
            "failed": found.failed,
            "selector": selector(job, family, role),
        }
        for role, found in seen.items()
    }


def _not_ready(job: Job, why: Obstacle | None, now: datetime) -> dict[str, Any] | None:
    """The present condition as long as it says the same; what only Events told stays until there are other news."""
    found = (job.get("status") or {}).get("conditions") or []
    before = next((c for c in found if c["type"] == PODS_READY), None)
    if why is None:
        return before if before and is_fleeting(before["reason"]) else None
    told = steady(before, why)
    [made] = with_condition([before] if before else [], PODS_READY, (told.reason, told.message[:1024]), now, true=False)
    return made
