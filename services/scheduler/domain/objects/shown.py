"""An admission as Kueue's clients read it in a Workload's status, and as its owner hears it."""

from typing import Any

from contracts.events.scheduling import v1 as said
from services.scheduler.domain.model import Admission, Assignment
from services.scheduler.domain.objects.packing import toleration

Object = dict[str, Any]


def quantity(resource: str, value: int) -> str:
    """A whole number of ours as Kubernetes writes it."""
    if resource == "cpu":
        return f"{value}m" if value % 1000 else str(value // 1000)
    return str(value)


def admission(given: Admission) -> Object:
    """`status.admission`."""
    sets = [_pod_set(one) for one in given.assignments]
    return {"clusterQueue": given.cluster_queue, "podSetAssignments": sets}


def assignments(given: Admission) -> list[said.Assignment]:
    return [
        said.Assignment(
            name=one.name,
            count=one.count,
            flavors=dict(one.flavors),
            node_selector=dict(one.node_selector),
            tolerations=[dict(toleration(each)) for each in one.tolerations],
            topology_levels=list(one.topology_levels),
            topology=[said.Domain(values=list(domain.values), count=domain.count) for domain in one.topology],
        )
        for one in given.assignments
        if one.count
    ]


def _pod_set(one: Assignment) -> Object:
    usage = {name: quantity(name, value * one.count) for name, value in sorted(one.requests.items())}
    out: Object = {"name": one.name, "flavors": dict(one.flavors), "resourceUsage": usage, "count": one.count}
    if one.topology:
        columns = [[domain.values[level] for domain in one.topology] for level in range(len(one.topology_levels))]
        out["topologyAssignment"] = {
            "levels": list(one.topology_levels),
            "slices": [
                {
                    "domainCount": len(one.topology),
                    "valuesPerLevel": [{"individual": {"roots": values}} for values in columns],
                    "podCounts": {"individual": [domain.count for domain in one.topology]},
                }
            ],
        }
    return out
