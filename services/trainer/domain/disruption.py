"""Whether a job failed because the cluster took a node away from it, and may then begin again as a whole.

The ranks of a distributed job end with connection errors when one of them is evicted or its node is lost. The child Job
alone cannot know: it replaces the evicted pod (podFailurePolicy) and counts the others as failed. So the trainer notes
each disruption when it sees it, since the pod that bore its mark is soon gone, and judges the failure by that note. A
pod that somebody deletes (`kubectl delete pod`) bears no mark of Kubernetes': it is told by the order of things.
"""

from datetime import datetime, timedelta
from typing import Any

from libs.base.clock import rfc3339
from libs.cluster.obstacles import disruption, ended_at
from services.trainer.domain.observed import Observed, index, is_leaving, phase, uid
from services.trainer.domain.outcome import Outcome

Job = dict[str, Any]


def noted(job: Job, observed: Observed) -> dict[str, Any] | None:
    """The newest disruption of the present attempt: that of a pod which is still there, or the one noted before. The
    first deletion counts: what is deleted after it may well be its consequence.
    """
    told = (job.get("status") or {}).get("disruption")
    known = [told] if told and told.get("job") == uid(observed.job) else []
    seen = [note for note in _seen(observed) if not (known and note["reason"] == DELETED)]
    return max([*known, *seen], key=lambda note: str(note["time"]), default=told)


def cause(job: Job, observed: Observed, why: Outcome, num_nodes: int) -> dict[str, Any] | None:
    """The disruption to which a failed attempt is owed; None for one that is the program's own.

    A rank that was there when another one was taken away fails by that; one made afterwards fails by itself. Memory
    limits and deadlines are no consequence of a disruption. A job of one node has nobody to wait for: its Job makes
    the pod again, but for one that was deleted, which Jobs count as failed.
    """
    note = noted(job, observed)
    if not note or note.get("job") != uid(observed.job) or why.reason in _OWN_FAULT:
        return None
    if num_nodes < 2 and note["reason"] != DELETED:
        return None
    own = [pod for pod in observed.pods if phase(pod) == "Failed" and disruption(pod) is None]
    return note if not own or any(_made(pod) < str(note["time"]) for pod in own) else None


DELETED = "PodDeleted"
_OWN_FAULT = ("OOMKilled", "DeadlineExceeded")


def is_restarting(job: Job, observed: Observed) -> bool:
    """While the failed attempt is not gone to its last pod: two attempts must not meet under one host name."""
    from_uid = (job.get("status") or {}).get("restartedFrom")
    if not from_uid:
        return False
    return uid(observed.job) == from_uid or (observed.job is None and bool(observed.pods))


def sentence(note: dict[str, Any]) -> str:
    """The disruption as people read it."""
    why = note.get("message") or "no reason given"
    return f"{note['node']} was taken away ({note['reason']}: {why})"


def _seen(observed: Observed) -> list[dict[str, Any]]:
    notes = []
    for pod in observed.pods:
        told = disruption(pod) or _deleted(pod, observed)
        if told and observed.job is not None and _is_of(pod, observed.job):
            reason, message, time = told
            entry = {"job": uid(observed.job), "node": f"node-{index(pod)}", "reason": reason, "time": _seconds(time)}
            notes.append({**entry, "message": message[:512]})
    return notes


def _deleted(pod: Job, observed: Observed) -> tuple[str, str, str] | None:
    """A pod that has to go although the attempt was to run on and nothing had failed: somebody deleted it. Once a node
    has failed, or the attempt is suspended, the Job deletes the others itself; within the same second nobody can tell.
    """
    if not is_leaving(pod) or observed.job is None or observed.job["spec"].get("suspend") or is_leaving(observed.job):
        return None
    gone_by = datetime.fromisoformat(pod["metadata"]["deletionTimestamp"])
    asked = rfc3339(gone_by - timedelta(seconds=pod["metadata"].get("deletionGracePeriodSeconds") or 0))
    failed = [_seconds(ended_at(other)) for other in observed.pods if phase(other) == "Failed" and other is not pod]
    is_first = all(asked < time for time in failed if time)
    return (DELETED, "somebody deleted its pod", asked) if is_first and index(pod) < _size(observed.job) else None


def _size(child: Job) -> int:
    """Ranks from here on are not wanted any more: a job that shrinks gives their pods back."""
    return int(child["spec"].get("completions") or 1)


def _is_of(pod: Job, child: Job) -> bool:
    owners = [owner.get("uid") for owner in pod["metadata"].get("ownerReferences") or []]
    return not owners or uid(child) in owners


def _made(pod: Job) -> str:
    return str(pod["metadata"].get("creationTimestamp") or "")


def _seconds(time: str) -> str:
    """In whole seconds, as creation times are: the two are compared."""
    return rfc3339(datetime.fromisoformat(time)) if time else ""
