"""What the trainer does about what it hears: it notes it; its reconciler does the rest."""

from collections.abc import Sequence

from contracts.admission import Answer, heard, sets_aside
from contracts.events.registry.v1 import ModelVersionCreated
from contracts.events.scheduling.v1 import WorkloadAdmitted
from contracts.messages import Event
from services.trainer.domain.registered import Version
from services.trainer.domain.state import is_finished, is_set_aside, is_suspended
from services.trainer.ports import Job, Needs


async def when_workload_answered(event: Answer, needs: Needs) -> Sequence[Event]:
    """Admitted (also with other amounts while it runs), queued, or evicted, for a while or until somebody resumes it.

    One that was set aside hears no more than that it may run again: somebody made its Workload active.
    """
    job = await _concerned(event, needs)
    if job is None or (is_suspended(job) and not (isinstance(event, WorkloadAdmitted) and is_set_aside(job))):
        return []
    note = heard(job, event)
    if note is None:
        return []
    if is_suspended(job) or sets_aside(note):
        await needs.jobs.suspend(job, not is_suspended(job))
    await needs.jobs.set_status(job, {**(job.get("status") or {}), "admission": note})
    return []


async def when_model_version_created(event: ModelVersionCreated, needs: Needs) -> Sequence[Event]:
    """Ids of the registry grow, so the version with the larger one is the newer, in whatever order they are heard."""
    number = int(event.version_id) if event.version_id.isdigit() else 0
    await needs.versions.put(Version(event.model, event.version, number, event.namespace, event.uri))
    return []


async def _concerned(event: Answer, needs: Needs) -> Job | None:
    """The job that the scheduler speaks of; not its namesake, not one that is over."""
    job = await needs.jobs.find(event.kind, event.namespace, event.name)
    if job is None or job["metadata"]["uid"] != event.uid or job["metadata"].get("deletionTimestamp"):
        return None
    return None if is_finished(job) else job
