"""What a job remembers of the scheduler's answers, so that letters which come late or twice start and stop nothing."""

from typing import Any

from contracts.events.scheduling.v1 import Assignment, WorkloadAdmitted, WorkloadEvicted

ADMITTED, EVICTED = "Admitted", "Evicted"

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


def is_news(job: Job, admission: str | None) -> bool:
    """Whether this admission is younger than all whose pods are gone."""
    gone = released(job)
    return admission is None or gone is None or int(admission) > int(gone)


def admitted(event: WorkloadAdmitted) -> dict[str, Any]:
    """The note of an admission."""
    note: dict[str, Any] = {"state": ADMITTED, "generation": event.generation}
    if event.admission:
        note |= {"id": event.admission, "podSets": [_pod_set(one) for one in event.pod_sets]}
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
