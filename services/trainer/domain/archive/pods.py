"""What the archive keeps of a pod, and how it shows it: as the API would, but marked, and read-only."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from services.trainer.domain import words

Object = dict[str, Any]

ARCHIVED = "millstream.dev/archived"
"""Annotation of what the archive answers: it is no longer in the cluster."""
LEGACY_JOB_NAME = "training.kubeflow.org/job-name"
NAME_LABELS = (words.JOB_NAME, LEGACY_JOB_NAME)
"""The labels by which clients look for a job's pods."""
ROLE_LABELS = (words.REPLICATED_JOB, "training.kubeflow.org/replica-type")
RANK_LABELS = (words.COMPLETION_INDEX, "training.kubeflow.org/replica-index")
RESTART = "MILLSTREAM_RESTART"


class Run(NamedTuple):
    """One life of one container: `attempt` is its restartCount; `state` is waiting, running or terminated."""

    container: str
    attempt: int
    state: str

    @property
    def began(self) -> bool:
        return self.state != "waiting"

    @property
    def is_over(self) -> bool:
        return self.state == "terminated"


def runs(pod: Object) -> list[Run]:
    """The present life of each container, init containers first."""
    out = []
    for status in statuses(pod):
        state = next(iter(status.get("state") or {"waiting": None}))
        out.append(Run(status["name"], int(status.get("restartCount") or 0), state))
    return out


def statuses(pod: Object) -> list[Object]:
    status = pod.get("status") or {}
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]


def is_leaving(pod: Object) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))


def is_over(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def owner_uids(pod: Object) -> list[str]:
    return [str(owner["uid"]) for owner in pod["metadata"].get("ownerReferences") or [] if owner.get("uid")]


def fingerprint(pod: Object) -> tuple[Any, ...]:
    """Changes when something changes that is worth keeping."""
    status = pod.get("status") or {}
    states = [(s["name"], s.get("restartCount"), *(s.get("state") or {})) for s in statuses(pod)]
    disturbed = [c.get("reason") for c in status.get("conditions") or [] if c.get("type") == "DisruptionTarget"]
    return status.get("phase"), tuple(states), is_leaving(pod), tuple(disturbed)


def kept(pod: Object) -> Object:
    """Without what only servers read."""
    meta = {key: value for key, value in pod["metadata"].items() if key not in ("managedFields", "finalizers")}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": pod["spec"], "status": pod.get("status") or {}}


def shown(pod: Object, gone_at: str) -> Object:
    """As the archive answers it. A pod that went while it ran has ended, whatever its last status said."""
    meta = dict(pod["metadata"])
    meta.pop("deletionTimestamp", None)
    meta.pop("deletionGracePeriodSeconds", None)
    meta["annotations"] = {**(meta.get("annotations") or {}), ARCHIVED: gone_at}
    status = dict(pod.get("status") or {})
    if not is_over(pod):
        status = {**status, "phase": "Failed", "reason": "Gone", "message": f"the pod was gone at {gone_at}"}
    return {**pod, "metadata": meta, "status": status}


def role(pod: Object) -> str:
    return _label(pod, ROLE_LABELS) or words.NODE


def rank(pod: Object) -> int:
    found = _label(pod, RANK_LABELS) or (pod["metadata"].get("annotations") or {}).get(words.COMPLETION_INDEX)
    return int(found) if found and found.isdigit() else 0


def attempts(pods: Iterable[Object]) -> dict[str, int]:
    """By uid, which life of its role and rank a pod is, 0 for the first; all nodes of a restart count alike."""
    out: dict[str, int] = {}
    latest: dict[tuple[str, int], int] = {}
    for pod in sorted(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp") or "")):
        place = role(pod), rank(pod)
        out[pod["metadata"]["uid"]] = latest[place] = max(_restart(pod), latest.get(place, -1) + 1)
    return out


def newest(pods: Sequence[Object]) -> list[Object]:
    """Of each role and rank the last pod."""
    found = {(role(pod), rank(pod)): pod for pod in sorted(pods, key=_made)}
    return [found[place] for place in sorted(found)]


def ended(pod: Object) -> Object:
    """`reason`, `exitCode`, `startedAt`, `finishedAt` of the container whose end counts, as far as they are known."""
    states = [s["state"]["terminated"] for s in statuses(pod) if "terminated" in (s.get("state") or {})]
    bad = [state for state in states if state.get("exitCode")]
    return (bad or states or [{}])[-1]


def _made(pod: Object) -> str:
    return str(pod["metadata"].get("creationTimestamp") or "")


def _label(pod: Object, names: Iterable[str]) -> str | None:
    labels: Mapping[str, str] = pod["metadata"].get("labels") or {}
    return next((labels[name] for name in names if labels.get(name)), None)


def _restart(pod: Object) -> int:
    for container in pod["spec"].get("containers") or []:
        for entry in container.get("env") or []:
            if entry.get("name") == RESTART and str(entry.get("value") or "").isdigit():
                return int(entry["value"])
    return 0


def last_seen(event: Object) -> str:
    """When a core Event was last told."""
    series = event.get("series") or {}
    at = series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime")
    return str(at or event["metadata"].get("creationTimestamp") or "")


def is_at_rest(job: Object) -> bool:
    """Over, or suspended: its former pods are its last ones for now. One on its way to run shows only living pods, or
    clients would take the old ones for these."""
    found = (job.get("status") or {}).get("conditions") or []
    over = any(c["type"] in ("Complete", "Failed", "Succeeded") and c["status"] == "True" for c in found)
    run_policy = job["spec"].get("runPolicy") or {}
    return over or bool(job["spec"].get("suspend") or run_policy.get("suspend"))
