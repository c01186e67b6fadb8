"""Whether the NetworkPolicies of a build let one pod call another, as the network of a cluster would decide.

Source: kubernetes.io/docs/concepts/services-networking/network-policies: no policy for a direction means all is
allowed; else one of them must allow it, at the end that calls and at the end that is called.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.deploy.builds import Object
from tests.deploy.pods import Pod, matches


@dataclass(frozen=True)
class End:
    """One end of a connection: a pod with its namespace's labels, or something outside of the cluster."""

    labels: dict[str, str] = field(default_factory=dict)
    namespace: str = ""
    pod: Pod | None = None
    outside: bool = False


OUTSIDE = End(outside=True)
"""The API server, which comes from a host's network, or a database of one's own."""


def of(pod: Pod) -> End:
    return End(pod.labels, pod.namespace, pod)


def stranger(namespace: str = "team-a", **labels: str) -> End:
    return End(labels, namespace)


class Network:
    """The policies of one build."""

    def __init__(self, objects: Iterable[Object]) -> None:
        self._policies = [obj for obj in objects if obj["kind"] == "NetworkPolicy"]

    def allows(self, source: End, target: End, port: int, protocol: str = "TCP") -> bool:
        out = self._side("Egress", source, target, target.pod, port, protocol)
        return out and self._side("Ingress", target, source, target.pod, port, protocol)

    def _side(self, direction: str, here: End, there: End, called: Pod | None, port: int, protocol: str) -> bool:
        mine = [p for p in self._policies if self._selects(p, here) and direction in p["spec"]["policyTypes"]]
        word, peers = ("egress", "to") if direction == "Egress" else ("ingress", "from")
        rules = [(policy, rule) for policy in mine for rule in policy["spec"].get(word) or []]
        return not mine or any(
            _port_fits(rule, called, port, protocol) and _peer_fits(rule.get(peers), there, policy)
            for policy, rule in rules
        )

    @staticmethod
    def _selects(policy: Object, end: End) -> bool:
        same = policy["metadata"].get("namespace") == end.namespace
        return not end.outside and same and matches(policy["spec"]["podSelector"], end.labels)


def _port_fits(rule: Object, called: Pod | None, port: int, protocol: str) -> bool:
    ports = rule.get("ports")
    return not ports or any(
        (called.port(each["port"]) if called else each["port"]) == port and each.get("protocol", "TCP") == protocol
        for each in ports
    )


def _peer_fits(peers: list[Object] | None, end: End, policy: Object) -> bool:
    return not peers or any(_is(peer, end, policy["metadata"]["namespace"]) for peer in peers)


def _is(peer: Object, end: End, home: str) -> bool:
    if end.outside:
        return "ipBlock" in peer
    if "namespaceSelector" in peer:
        inside = matches(peer["namespaceSelector"], {"kubernetes.io/metadata.name": end.namespace})
    else:
        inside = end.namespace == home
    return inside and matches(peer.get("podSelector") or {}, end.labels)
