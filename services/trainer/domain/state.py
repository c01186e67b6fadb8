"""Reads a job's state off its object: one answer for rules, columns, reconciler and events of all kinds alike."""

from typing import Any

from contracts.admission import RESTFUL, sets_aside

COMPLETE, FAILED, SUSPENDED = "Complete", "Failed", "Suspended"
SUCCEEDED = "Succeeded"
"""The legacy kinds' word for Complete."""
PODS_READY = "PodsReady"
"""Only ever False, with the reason why pods do not run: for the SDK a job with conditions is one that has to start."""


def condition(job: dict[str, Any], kind: str) -> dict[str, Any] | None:
    """The condition of that type if it is true."""
    found = (c for c in (job.get("status") or {}).get("conditions") or [] if c["type"] == kind)
    return next((c for c in found if c["status"] == "True"), None)


def is_finished(job: dict[str, Any]) -> bool:
    return any(condition(job, end) for end in (COMPLETE, SUCCEEDED, FAILED))


def is_suspended(job: dict[str, Any]) -> bool:
    """A TrainJob says it in its spec, the legacy kinds in their runPolicy."""
    spec = job.get("spec") or {}
    return bool(spec.get("suspend") or (spec.get("runPolicy") or {}).get("suspend"))


def is_parked(job: dict[str, Any]) -> bool:
    """Asked to be suspended, and its pods are gone as far as the status knows."""
    return is_suspended(job) and (condition(job, SUSPENDED) is not None or not (job.get("status") or {}))


def is_set_aside(job: dict[str, Any]) -> bool:
    """Suspended not by its user but by an eviction after which it is not to ask again by itself."""
    told = condition(job, SUSPENDED)
    return is_suspended(job) and told is not None and told["reason"] in RESTFUL


def rests_as_told(job: dict[str, Any]) -> bool:
    """Whether the scheduler knows that the job is suspended, and what it would ask for."""
    known = (job.get("status") or {}).get("observedGeneration")
    return condition(job, SUSPENDED) is not None and known == (job["metadata"].get("generation") or 1)


def rest(job: dict[str, Any]) -> tuple[str, str] | None:
    """Reason and message of the suspension of a job that an eviction sets aside; None for another's."""
    note = (job.get("status") or {}).get("admission") or {}
    if not sets_aside(note):
        return None
    why = str(note.get("message") or "the scheduler set it aside")
    return note["reason"], f"{why}; resume it, or set spec.active of its Workload to true, to queue again"


def is_admitted(job: dict[str, Any]) -> bool:
    return ((job.get("status") or {}).get("admission") or {}).get("state") == "Admitted"


def hindrance(job: dict[str, Any]) -> str | None:
    """The reason why an admitted job's pods do not run, None for one whose pods run or are on their way."""
    found = (job.get("status") or {}).get("conditions") or []
    return next((c["reason"] for c in found if c["type"] == PODS_READY and c["status"] == "False"), None)


def phase(job: dict[str, Any]) -> str:
    """One word for people: Complete, Failed, Deleting, Suspended, Running, Starting, Queued or Waiting."""
    status = job.get("status") or {}
    for over in (COMPLETE, FAILED):
        if condition(job, over):
            return over
    if job["metadata"].get("deletionTimestamp"):
        return "Deleting"
    if is_suspended(job):
        return SUSPENDED
    if is_admitted(job):
        return "Running" if status.get("startedAt") else "Starting"
    return (status.get("admission") or {}).get("state") or "Waiting"
