"""What runs for one TrainJob, as the cluster told it: its child Jobs and their pods; plain reading, no judgement."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from services.trainer.domain import words
from services.trainer.domain.legacy.words import REPLICA_INDEX, REPLICA_TYPE


@dataclass(frozen=True)
class Observed:
    """`job` is the batch/v1 Job whose end is the TrainJob's end or None, `others` those beside it, `tails` the last log
    lines of failed pods by pod name, `events` the core Events about a Job or pods that do not come to run."""

    job: dict[str, Any] | None = None
    pods: tuple[dict[str, Any], ...] = ()
    service: bool = False
    secret: bool = False
    tails: Mapping[str, str] = field(default_factory=dict)
    events: tuple[dict[str, Any], ...] = ()
    others: tuple[dict[str, Any], ...] = ()

    @property
    def jobs(self) -> tuple[dict[str, Any], ...]:
        """All child Jobs, the decisive one first."""
        return (*((self.job,) if self.job else ()), *self.others)

    @property
    def nothing_left(self) -> bool:
        return not (self.jobs or self.pods or self.service or self.secret)


def job_condition(job: dict[str, Any] | None, kind: str) -> dict[str, Any] | None:
    found = ((job or {}).get("status") or {}).get("conditions") or []
    return next((c for c in found if c["type"] == kind and c["status"] == "True"), None)


def uid(obj: dict[str, Any] | None) -> str:
    return str(((obj or {}).get("metadata") or {}).get("uid") or "")


def is_leaving(pod: dict[str, Any]) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))


def phase(pod: dict[str, Any]) -> str:
    return (pod.get("status") or {}).get("phase") or "Pending"


def index(pod: dict[str, Any]) -> int:
    meta = pod["metadata"]
    found = (meta.get("labels") or {}).get(words.COMPLETION_INDEX) or (meta.get("annotations") or {}).get(
        words.COMPLETION_INDEX
    )
    return int(found or 0)


def called(pod: dict[str, Any]) -> str:
    """The name that people know a pod of any kind of job by: its role and its number, as in node-0 or worker-1."""
    labels = pod["metadata"].get("labels") or {}
    role = labels.get(REPLICA_TYPE) or labels.get(words.REPLICATED_JOB) or words.NODE
    return f"{role}-{labels.get(REPLICA_INDEX) or index(pod)}"


def role(obj: dict[str, Any]) -> str:
    """What a child Job or a pod is for: launcher or node."""
    return str((obj["metadata"].get("labels") or {}).get(words.REPLICATED_JOB) or words.NODE)


def split(jobs: Iterable[dict[str, Any]]) -> tuple[dict[str, Any] | None, tuple[dict[str, Any], ...]]:
    """The child Job whose end is the TrainJob's end, and the others: a launcher where there is one, else the nodes."""
    found = {role(job): job for job in jobs}
    lead = found.pop(words.LAUNCHER, None)
    if lead is None and words.LAUNCHER not in found:
        lead = found.pop(words.NODE, None)
    return lead, tuple(found.values())


def is_over(job: dict[str, Any]) -> bool:
    return bool(job_condition(job, "Complete") or job_condition(job, "Failed"))


def jobs_status(observed: Observed, num_nodes: int) -> list[dict[str, Any]]:
    """`status.jobsStatus`: counts of child Jobs (not pods), all six fields, as JobSet counts them."""
    alone = len(observed.jobs) == 1
    return [
        _job_status(
            job,
            [pod for pod in observed.pods if alone or role(pod) == role(job)],
            num_nodes if alone else int(job["spec"].get("completions") or 1),
        )
        for job in observed.jobs
    ]


def _job_status(job: dict[str, Any], pods: list[dict[str, Any]], count: int) -> dict[str, Any]:
    done = bool(job_condition(job, "Complete"))
    failed = bool(job_condition(job, "Failed"))
    phases = [phase(pod) for pod in pods if not is_leaving(pod)]
    active = any(p in ("Running", "Pending") for p in phases) and not (done or failed)
    ready = sum(p in ("Running", "Succeeded") for p in phases) >= count and not failed
    return {
        "name": role(job),
        "ready": int(ready and not done),
        "succeeded": int(done),
        "failed": int(failed),
        "active": int(active),
        "suspended": int(bool(job["spec"].get("suspend"))),
    }
