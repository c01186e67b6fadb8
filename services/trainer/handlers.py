"""What the trainer does about each fact: it notes what the scheduler said on the job; its reconciler does the rest."""

from collections.abc import Sequence
from typing import Any

from contracts.events.scheduling.v1 import WorkloadAdmitted, WorkloadQueued
from contracts.messages import Event
from services.trainer.domain.state import is_admitted, is_finished, is_suspended
from services.trainer.ports import Job, Jobs


async def when_workload_admitted(event: WorkloadAdmitted, jobs: Jobs) -> Sequence[Event]:
    job = await _waiting(event, jobs)
    if job is not None and event.generation >= _asked(job):
        await _note(job, jobs, {"state": "Admitted", "generation": event.generation})
    return []


async def when_workload_queued(event: WorkloadQueued, jobs: Jobs) -> Sequence[Event]:
    job = await _waiting(event, jobs)
    if job is not None:
        told = f"place {event.position} in the queue: {event.reason}"
        await _note(job, jobs, {"state": "Queued", "reason": told, "generation": _asked(job)})
    return []


async def _waiting(event: WorkloadAdmitted | WorkloadQueued, jobs: Jobs) -> Job | None:
    """The job that the scheduler speaks of if it still waits; not its namesake, not one that is over or suspended."""
    job = await jobs.find(event.namespace, event.name) if event.kind == "TrainJob" else None
    if job is None or job["metadata"]["uid"] != event.uid or job["metadata"].get("deletionTimestamp"):
        return None
    return None if is_finished(job) or is_suspended(job) or is_admitted(job) else job


def _asked(job: Job) -> int:
    """The generation at which the job last asked. Before the reconciler noted one, only the present spec counts: an
    answer to what was wanted before a suspension must not start anything."""
    admission = (job.get("status") or {}).get("admission") or {}
    return int(admission.get("generation", job["metadata"].get("generation") or 0))


async def _note(job: Job, jobs: Jobs, admission: dict[str, Any]) -> None:
    status = job.get("status") or {}
    since = (status.get("admission") or {}).get("since")
    await jobs.set_status(job, {**status, "admission": {**admission, **({"since": since} if since else {})}})
