"""What the trainer does about each fact: it notes what the scheduler said on the job; its reconciler does the rest."""

from collections.abc import Sequence
from typing import Any

from contracts.admission import heard
from contracts.events.scheduling.v1 import WorkloadAdmitted, WorkloadEvicted, WorkloadQueued
from contracts.messages import Event
from services.trainer.domain import admission
from services.trainer.domain.state import is_admitted, is_finished, is_suspended
from services.trainer.ports import Job, Jobs

Answer = WorkloadAdmitted | WorkloadEvicted | WorkloadQueued


async def when_workload_admitted(event: WorkloadAdmitted, jobs: Jobs) -> Sequence[Event]:
    """Also with other amounts for a job that runs: it asked for more nodes, or fewer."""
    running = await _concerned(event, jobs)
    if running is not None and is_admitted(running):
        note = heard(running, event)
        if note is not None and event.admission == admission.held(running):
            await _note(running, jobs, note)
        return []
    job = await _waiting(event, jobs)
    if job is not None and event.generation >= _asked(job) and admission.is_news(job, event.admission):
        await _note(job, jobs, admission.admitted(event))
    return []


async def when_workload_queued(event: WorkloadQueued, jobs: Jobs) -> Sequence[Event]:
    job = await _waiting(event, jobs)
    if job is not None:
        told = f"place {event.position} in the queue: {event.reason}"
        await _note(job, jobs, {"state": "Queued", "reason": told, "generation": _asked(job)})
    return []


async def when_workload_evicted(event: WorkloadEvicted, jobs: Jobs) -> Sequence[Event]:
    """Also for an admission that the job has not heard of yet: it must not start anything when it comes."""
    job = await _concerned(event, jobs)
    if job is None or not admission.is_news(job, event.admission):
        return []
    if not is_admitted(job) or admission.held(job) == event.admission:
        await _note(job, jobs, admission.evicted(event))
    return []


async def _waiting(event: Answer, jobs: Jobs) -> Job | None:
    """The job that the scheduler speaks of if it still waits."""
    job = await _concerned(event, jobs)
    return None if job is None or is_admitted(job) or admission.is_evicted(job) else job


async def _concerned(event: Answer, jobs: Jobs) -> Job | None:
    """The job that the scheduler speaks of; not its namesake, not one that is over or suspended."""
    job = await jobs.find(event.kind, event.namespace, event.name)
    if job is None or job["metadata"]["uid"] != event.uid or job["metadata"].get("deletionTimestamp"):
        return None
    return None if is_finished(job) or is_suspended(job) else job


def _asked(job: Job) -> int:
    """The generation at which the job last asked. Before the reconciler noted one, only the present spec counts: an
    answer to what was wanted before a suspension must not start anything."""
    return int(admission.of(job).get("generation", job["metadata"].get("generation") or 0))


async def _note(job: Job, jobs: Jobs, noted: dict[str, Any]) -> None:
    since = admission.of(job).get("since")
    status = {**(job.get("status") or {}), "admission": {**noted, **({"since": since} if since else {})}}
    await jobs.set_status(job, status)
