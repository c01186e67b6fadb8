"""What an object remembers of the scheduler's answers, so that letters which come late or twice start and stop nothing.

Pure, and the same for every kind that is queued: the memory is `status.admission`, and `status.released` for the last
admission whose pods are gone.
"""

from typing import Any

from contracts.events.scheduling.v1 import Assignment, WorkloadAdmitted, WorkloadEvicted, WorkloadQueued

WAITING, QUEUED, ADMITTED, EVICTED = "Waiting", "Queued", "Admitted", "Evicted"
SET_ASIDE = "SetAside"
"""The state of an object whose kind knows no suspension; of others it stands in their spec."""
RESTFUL = ("Deactivated", "MaximumExecutionTimeExceeded")
"""Reasons of evictions after which nobody asks again by itself: the object rests until somebody resumes it."""
Answer = WorkloadAdmitted | WorkloadEvicted | WorkloadQueued

Job = dict[str, Any]


def of(job: Job) -> dict[str, Any]:
    """`status.admission` as it stands; empty for a job that has not asked yet."""
    return (job.get("status") or {}).get("admission") or {}


def released(job: Job) -> str | None:
    """The last admission whose pods are gone: neither it nor an older one starts anything any more."""
    return (job.get("status") or {}).get("released")


def held(job: Job) -> str | None:
    """The admission of which pods may be there."""
    return of(job).get("id") or released(job)


def is_evicted(job: Job) -> bool:
    return of(job).get("state") == EVICTED


def sets_aside(note: dict[str, Any]) -> bool:
    """Whether the object rests after the eviction that this note tells of, instead of asking again."""
    return note.get("state") == EVICTED and note.get("reason") in RESTFUL


def is_news(job: Job, admission: str | None) -> bool:
    """Whether this admission is younger than all whose pods are gone."""
    gone = released(job)
    return admission is None or gone is None or int(admission) > int(gone)


def is_admitted(job: Job) -> bool:
    return of(job).get("state") == ADMITTED


def heard(obj: Job, event: Answer) -> dict[str, Any] | None:
    """The memory of an object that is neither over nor suspended after this answer; None where it says nothing new.

    An answer to an older wish than the present one starts nothing. An eviction counts also for an admission that was
    not heard of yet: it must not start anything when it comes. An admission may be told anew with other amounts; of two
    tellings that of the greater revision counts.
    """
    before = of(obj)
    if isinstance(event, WorkloadEvicted):
        concerns = not is_admitted(obj) or held(obj) in (None, event.admission)  # None: from before they had numbers
        return _kept(before, evicted(event), "since") if concerns and is_news(obj, event.admission) else None
    if is_evicted(obj):
        return None
    if isinstance(event, WorkloadQueued) and before.get("state") == SET_ASIDE:
        return None
    if isinstance(event, WorkloadQueued):
        told = f"place {event.position} in the queue: {event.reason}"
        queued = {**before, "state": QUEUED, "reason": told, "generation": _asked(obj)}
        return None if is_admitted(obj) or queued == before else queued
    if is_admitted(obj):
        if event.admission != held(obj) or event.revision < int(before.get("revision") or 0):
            return None
    elif event.generation < _asked(obj) or not is_news(obj, event.admission):
        return None
    note = _kept(before, admitted(event), "since", "asked", "counts", "ready")
    return None if note == before else note


def _asked(obj: Job) -> int:
    """The generation at which it last asked. Before its reconciler noted one, only the present spec counts: an answer
    to what was wanted before a suspension must not start anything."""
    return int(of(obj).get("generation", obj["metadata"].get("generation") or 0))


def _kept(before: dict[str, Any], note: dict[str, Any], *names: str) -> dict[str, Any]:
    """What its owner noted beside the answers stays."""
    return {**{name: before[name] for name in names if name in before}, **note}


def admitted(event: WorkloadAdmitted) -> dict[str, Any]:
    """The note of an admission."""
    note: dict[str, Any] = {"state": ADMITTED, "generation": event.generation}
    if event.admission:
        note |= {"id": event.admission, "podSets": [_pod_set(one) for one in event.pod_sets]}
        note |= {"revision": event.revision} if event.revision else {}
    return note | ({"clusterQueue": event.cluster_queue} if event.cluster_queue else {})


def evicted(event: WorkloadEvicted) -> dict[str, Any]:
    """The note of an eviction; once its pods are gone the job asks again."""
    told = {"reason": event.reason, "message": event.message}
    return {"state": EVICTED, "generation": event.generation, "id": event.admission, **told}


def assignment(job: Job, pod_set: str) -> Assignment | None:
    """What the pods of this set were given."""
    found = next((one for one in of(job).get("podSets") or [] if one["name"] == pod_set), None)
    return Assignment.read({_SNAKE.get(key, key): value for key, value in found.items()}) if found else None


def _pod_set(given: Assignment) -> dict[str, Any]:
    data = given.model_dump(mode="json")
    return {_CAMEL.get(key, key): value for key, value in data.items() if value}


_CAMEL = {"node_selector": "nodeSelector", "topology_levels": "topologyLevels"}
_SNAKE = {camel: snake for snake, camel in _CAMEL.items()}
