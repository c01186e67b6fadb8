"""The scheduler's own memory of a workload as JSON and back: admissions and pledges, in whole numbers."""

from typing import Any

from services.scheduler.domain.model import Admission, Assignment, Domain, Pledge, Reason, Toleration

Object = dict[str, Any]


def packed(admission: Admission) -> Object:
    out: Object = {
        "id": admission.id,
        "queue": admission.cluster_queue,
        "sets": [_assignment(one) for one in admission.assignments],
        "reserved": admission.reserved_at,
        "admitted": admission.admitted_at,
        "ready": admission.ready_at,
        "evicted": admission.evicted.value if admission.evicted else None,
    }
    return {key: value for key, value in out.items() if value is not None}


def unpacked(data: Object) -> Admission:
    return Admission(
        id=data["id"],
        cluster_queue=data["queue"],
        assignments=tuple(_read(one) for one in data["sets"]),
        reserved_at=data["reserved"],
        admitted_at=data.get("admitted"),
        ready_at=data.get("ready"),
        evicted=Reason(data["evicted"]) if data.get("evicted") else None,
    )


def packed_pledge(pledge: Pledge) -> Object:
    return {"admission": packed(pledge.admission), "awaits": list(pledge.awaits)}


def unpacked_pledge(data: Object) -> Pledge:
    return Pledge(unpacked(data["admission"]), tuple(data["awaits"]))


def toleration(one: Toleration) -> dict[str, str]:
    """As a pod has it."""
    given = {"key": one.key, "operator": one.operator, "value": one.value, "effect": one.effect}
    return {key: value for key, value in given.items() if value}


def _assignment(one: Assignment) -> Object:
    out: Object = {
        "name": one.name,
        "count": one.count,
        "flavors": dict(one.flavors),
        "requests": dict(one.requests),
        "selector": dict(one.node_selector),
        "tolerations": [toleration(each) for each in one.tolerations],
        "topology": [[list(domain.values), domain.count] for domain in one.topology],
        "levels": list(one.topology_levels),
    }
    return {key: value for key, value in out.items() if value}


def _read(data: Object) -> Assignment:
    return Assignment(
        name=data["name"],
        count=data.get("count", 0),
        flavors=data.get("flavors") or {},
        requests=data.get("requests") or {},
        node_selector=data.get("selector") or {},
        tolerations=tuple(Toleration(**{"operator": "Equal", **each}) for each in data.get("tolerations") or ()),
        topology=tuple(Domain(tuple(values), count) for values, count in data.get("topology") or ()),
        topology_levels=tuple(data.get("levels") or ()),
    )
