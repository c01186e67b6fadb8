"""What the life of one of these jobs says to other services: facts built from the object alone."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from contracts import admission, queueing
from contracts.commands.scheduling.v1 import FinishWorkload, PodSet, ReportWorkload, SubmitWorkload
from contracts.events.training.v1 import (
    LegacyJobCreated,
    LegacyJobDeleted,
    LegacyJobFailed,
    LegacyJobStarted,
    LegacyJobSucceeded,
)
from contracts.messages import Message
from services.trainer.domain.legacy.crew import replica_specs, wanted
from services.trainer.domain.legacy.family import Family, Job
from services.trainer.domain.legacy.pods import templates
from services.trainer.domain.state import is_suspended


def facts_of(op: str, job: Job, old: Job | None, family: Family) -> Sequence[Message]:
    """The facts in a change of the object itself; those in a change of its status are said by the reconciler."""
    if op == "ADDED":
        counts = {role: wanted(job, family, role) for role in replica_specs(job, family)}
        return [LegacyJobCreated(**_about(job), replicas=counts, labels=job["metadata"].get("labels") or {})]
    if op == "DELETED":
        return [LegacyJobDeleted(**_about(job)), queueing.finish(job, "Deleted")]
    return []


def started(job: Job) -> LegacyJobStarted:
    return LegacyJobStarted(**_about(job))


def succeeded(job: Job, now: datetime) -> LegacyJobSucceeded:
    since = (job.get("status") or {}).get("startTime")
    return LegacyJobSucceeded(**_about(job), started_at=since, finished_at=now)


def failed(job: Job, reason: str, message: str) -> LegacyJobFailed:
    return LegacyJobFailed(**_about(job), reason=reason, message=message)


def submit(job: Job, family: Family, *, after: str | None = None) -> SubmitWorkload:
    """What the job asks the scheduler for; none of its pods are there. `after` is the admission that they were of."""
    gone = after or admission.released(job)
    return queueing.submit(job, pod_sets(job, family), suspended=is_suspended(job), after=gone)


def pod_sets(job: Job, family: Family) -> list[PodSet]:
    """One for each role, by its name in small letters."""
    return [
        queueing.pod_set(role.lower(), wanted(job, family, role), template)
        for role, template in templates(job, family).items()
    ]


def report(job: Job, *, ready: bool) -> ReportWorkload:
    """How the pods of the present admission fare."""
    return queueing.report(job, admission.of(job)["id"], ready=ready)


def finish(job: Job, reason: Any, message: str) -> FinishWorkload:
    return queueing.finish(job, reason, message)


def _about(job: Job) -> dict[str, Any]:
    return {**{key: job["metadata"][key] for key in ("namespace", "name", "uid")}, "kind": job["kind"]}
