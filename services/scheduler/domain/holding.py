"""What one workload holds while it has quota: amounts per flavor and resource, and places in a topology."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.scheduler.domain.model import Admission, Amounts, Assignment, Workload
from services.scheduler.domain.quota import FlavorResource


@dataclass(frozen=True)
class Place:
    """`count` pods, each with these requests, in one lowest domain of a flavor's topology."""

    flavor: str
    values: tuple[str, ...]
    requests: Amounts
    count: int


@dataclass(frozen=True)
class Holding:
    queue: str
    usage: Mapping[FlavorResource, int]
    places: tuple[Place, ...] = ()


def held_by(workload: Workload) -> Holding | None:
    """By its admission, even while it is being evicted, or by the pledge given to it; None if it holds nothing."""
    admission = workload.admission
    if admission is None and workload.pledge and workload.active and not workload.suspended:
        admission = workload.pledge.admission
    return hold(admission, workload.reclaimable) if admission else None


def hold(admission: Admission, reclaimable: Mapping[str, int] | None = None) -> Holding:
    """Pods that are over (`reclaimable`) count no more. Their places do until the whole pod set is over: nobody says
    which pods they were."""
    usage: dict[FlavorResource, int] = {}
    places: list[Place] = []
    for assignment in admission.assignments:
        left = max(0, assignment.count - (reclaimable or {}).get(assignment.name, 0))
        for fr, amount in usage_of(assignment, left).items():
            usage[fr] = usage.get(fr, 0) + amount
        if left:
            places += _places(assignment)
    return Holding(admission.cluster_queue, usage, tuple(places))


def usage_of(assignment: Assignment, count: int) -> dict[FlavorResource, int]:
    return {
        (flavor, resource): assignment.requests[resource] * count for resource, flavor in assignment.flavors.items()
    }


def _places(assignment: Assignment) -> list[Place]:
    flavors = sorted(set(assignment.flavors.values()))
    return [
        Place(flavor, domain.values, assignment.requests, domain.count)
        for domain in assignment.topology
        for flavor in flavors
    ]


def wanted(workload: Workload, assignment: Assignment) -> int:
    """How many pods of it an elastic workload wants now."""
    return workload.counts.get(assignment.name, assignment.count)


def is_resized(workload: Workload) -> bool:
    admission = workload.admission
    return admission is not None and any(wanted(workload, a) != a.count for a in admission.assignments)
