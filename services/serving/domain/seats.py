"""Which place each waiting pod of a service is told: pods of a Deployment have no ranks, so each takes a free seat."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from contracts import queueing
from contracts.events.scheduling.v1 import Assignment

Object = dict[str, Any]


def patches(given: Assignment | None, pods: Iterable[Object]) -> Iterator[tuple[str, Object]]:
    """For each pod behind the topology gate its name and the merge patch that opens it, as far as seats are free."""
    if given is None or len(given.topology) < 2:
        return
    present = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp") and not _is_over(pod)]
    free = _seats(given)
    for pod in present:
        place = next((seat for seat in free if not _gates(pod) and seat.items() <= _selector(pod).items()), None)
        if place is not None:
            free.remove(place)
    for pod in sorted(filter(_gates, present), key=lambda pod: pod["metadata"]["name"]):
        if free:
            left = [gate for gate in pod["spec"]["schedulingGates"] if gate["name"] != queueing.GATE]
            yield pod["metadata"]["name"], {"spec": {"schedulingGates": left or None, "nodeSelector": free.pop(0)}}


def _seats(given: Assignment) -> list[Object]:
    """The node labels of each pod's place."""
    return [queueing.domain_selector(given, rank) for rank in range(sum(domain.count for domain in given.topology))]


def _gates(pod: Object) -> bool:
    return any(gate["name"] == queueing.GATE for gate in pod["spec"].get("schedulingGates") or [])


def _selector(pod: Object) -> Object:
    found: Object = pod["spec"].get("nodeSelector") or {}
    return found


def _is_over(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
