"""Reads one of these jobs' state off its object, where it is not read as a TrainJob's is."""

from typing import Any

from services.trainer.domain.legacy.family import Job
from services.trainer.domain.state import FAILED, SUCCEEDED, SUSPENDED, condition, hindrance, is_suspended

CREATED, RUNNING, RESTARTING = "Created", "Running", "Restarting"


def run_policy(job: Job) -> dict[str, Any]:
    return (job.get("spec") or {}).get("runPolicy") or {}


def is_parked(job: Job) -> bool:
    """Asked to be suspended, and its pods are gone as far as the status knows."""
    return is_suspended(job) and (condition(job, SUSPENDED) is not None or not (job.get("status") or {}))


def phase(job: Job) -> str:
    """One word for people: the newest true condition, or what is in the way."""
    if job["metadata"].get("deletionTimestamp"):
        return "Deleting"
    status = job.get("status") or {}
    true = [c["type"] for c in status.get("conditions") or [] if c["status"] == "True"]
    last, admission = (true or [CREATED])[-1], (status.get("admission") or {}).get("state")
    if last in (SUCCEEDED, FAILED, SUSPENDED):
        return str(last)
    return hindrance(job) or (str(admission) if admission in ("Waiting", "Queued", "Evicted") else str(last))
