"""Gives a new pod its node and its loopback address, or says why not; addresses are remembered from the store."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from libs.base.clock import rfc3339
from services.node.domain import conditions
from services.node.domain.addresses import PODS, next_address
from services.node.domain.quantity import requested
from services.node.reconcile.needs import NodeFacts

Object = dict[str, Any]


class Addresses:
    """Who holds which pod address."""

    def __init__(self, second: int) -> None:
        self._second = second
        self._held: dict[str, str] = {}
        self._last: str | None = None

    def hold(self, uid: str, ip: str) -> None:
        """Remembers an address that a pod has already."""
        self._held[uid] = ip

    def free(self, uid: str) -> None:
        """The pod is over."""
        self._held.pop(uid, None)

    def take(self, pod: Object) -> str:
        """An address for the pod; a StatefulSet's pod gets the same again whenever it can."""
        uid, taken = pod["metadata"]["uid"], set(self._held.values())
        if uid in self._held:
            return self._held[uid]
        sticky = self._sticky(pod)
        ip = sticky if sticky and sticky not in taken else next_address(self._second, PODS, taken, self._last)
        if ip != sticky:
            self._last = ip
        self._held[uid] = ip
        return ip

    def _sticky(self, pod: Object) -> str | None:
        owners = pod["metadata"].get("ownerReferences") or []
        if not any(ref.get("kind") == "StatefulSet" for ref in owners):
            return None
        name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
        digest = hashlib.sha256(name.encode()).digest()
        # The upper half of the range, which rotation reaches last.
        return f"127.{self._second}.{128 + digest[0] % 128}.{1 + digest[1] % 254}"


def gated(pod: Object) -> str | None:
    """Whose leave the pod still waits for, before it may have a node."""
    names = [gate["name"] for gate in pod["spec"].get("schedulingGates") or []]
    return f"Scheduling is blocked due to non-empty scheduling gates: {', '.join(names)}" if names else None


def unschedulable(pod: Object, node: NodeFacts, labels: Mapping[str, str]) -> str | None:
    """Why the pod fits on no node. It is held against the whole machine: containers share that by their limits.
    `labels` are those that somebody gave the node."""
    wrong = [
        f"Insufficient {name}" for name, amount in sorted(requested(pod["spec"]).items())
        if amount > node.allocatable.get(name, 0.0)
    ]  # fmt: skip
    selector = pod["spec"].get("nodeSelector") or {}
    known = {**labels, "kubernetes.io/hostname": node.name, "kubernetes.io/os": "linux"}
    if any(known.get(key) != value for key, value in selector.items()):
        wrong.append("node(s) didn't match Pod's node affinity/selector")
    return f"0/1 nodes are available: {', '.join('1 ' + w for w in wrong)}." if wrong else None


def bound(pod: Object, node: NodeFacts, ip: str, now: datetime) -> Object:
    """The pod on its node."""
    status = {**(pod.get("status") or {})}
    known = conditions.put(status.get("conditions"), "PodScheduled", True, now)
    status |= {
        "phase": "Pending", "hostIP": node.ip, "hostIPs": [{"ip": node.ip}], "podIP": ip, "podIPs": [{"ip": ip}],
        "startTime": status.get("startTime") or rfc3339(now), "conditions": known,
    }  # fmt: skip
    return {**pod, "spec": {**pod["spec"], "nodeName": node.name}, "status": status}


def unbound(pod: Object, why: str, now: datetime, reason: str = "Unschedulable") -> Object:
    """The status of a pod that must wait."""
    status = {"phase": "Pending", **(pod.get("status") or {})}
    known = conditions.put(status.get("conditions"), "PodScheduled", False, now, reason=reason, message=why)
    return {**status, "conditions": known}
