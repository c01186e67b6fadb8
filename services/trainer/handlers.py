"""What the trainer does about each answer of the scheduler: it notes it on the job; its reconciler does the rest."""

from collections.abc import Sequence

from contracts.admission import Answer, heard
from contracts.messages import Event
from services.trainer.domain.state import is_finished, is_suspended
from services.trainer.ports import Job, Jobs


async def when_workload_answered(event: Answer, jobs: Jobs) -> Sequence[Event]:
    """Admitted (also with other amounts while it runs), queued, or evicted."""
    job = await _concerned(event, jobs)
    note = heard(job, event) if job is not None else None
    if job is not None and note is not None:
        await jobs.set_status(job, {**(job.get("status") or {}), "admission": note})
    return []


async def _concerned(event: Answer, jobs: Jobs) -> Job | None:
    """The job that the scheduler speaks of; not its namesake, not one that is over or suspended."""
    job = await jobs.find(event.kind, event.namespace, event.name)
    if job is None or job["metadata"]["uid"] != event.uid or job["metadata"].get("deletionTimestamp"):
        return None
    return None if is_finished(job) or is_suspended(job) else job
