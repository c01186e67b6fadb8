"""All nodes and topologies, and what workloads take of them; one Wiring per flavor that names a topology.

Flavors may share nodes: each flavor's wiring counts what was placed through that flavor, as Kueue does.
"""

from collections.abc import Iterable

from services.scheduler.domain.holding import Place
from services.scheduler.domain.model import Node, ResourceFlavor, Topology
from services.scheduler.domain.topology.wiring import Wiring

Taken = dict[tuple[str, ...], dict[str, int]]


class Fleet:
    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self._topologies: dict[str, Topology] = {}
        self._flavors: dict[str, ResourceFlavor] = {}
        self._wirings: dict[str, Wiring] = {}
        self._taken: dict[str, Taken] = {}

    def put_topology(self, topology: Topology) -> None:
        self._topologies[topology.name] = topology
        self._wirings.clear()

    def remove_topology(self, name: str) -> None:
        self._topologies.pop(name, None)
        self._wirings.clear()

    def put_flavor(self, flavor: ResourceFlavor) -> None:
        self._flavors[flavor.name] = flavor
        self._wirings.pop(flavor.name, None)

    def remove_flavor(self, name: str) -> None:
        self._flavors.pop(name, None)
        self._wirings.pop(name, None)

    def put_node(self, node: Node) -> None:
        self.nodes[node.name] = node
        self._wirings.clear()

    def remove_node(self, name: str) -> None:
        self.nodes.pop(name, None)
        self._wirings.clear()

    def is_wired(self, flavor: str) -> bool:
        """Whether placement in this flavor is the scheduler's business."""
        known = self._flavors.get(flavor)
        return known is not None and known.topology is not None

    def wiring(self, flavor: str) -> Wiring | None:
        """None if the flavor has no topology, or one that nobody defined."""
        if flavor not in self._wirings:
            known = self._flavors.get(flavor)
            topology = self._topologies.get(known.topology or "") if known else None
            if known is None or topology is None:
                return None
            self._wirings[flavor] = self._build(known, topology)
        return self._wirings[flavor]

    def take(self, place: Place, sign: int) -> None:
        taken = self._taken.setdefault(place.flavor, {}).setdefault(place.values, {})
        for resource, amount in (*place.requests.items(), *_one_pod(place)):
            taken[resource] = taken.get(resource, 0) + sign * amount * place.count
        wiring = self._wirings.get(place.flavor)
        if wiring is not None:
            wiring.change(place.values, {**place.requests, **dict(_one_pod(place))}, sign * place.count)

    def has_room(self, places: Iterable[Place]) -> bool:
        """Whether all of them may be taken together."""
        known = list(places)
        for place in known:
            self.take(place, +1)
        rooms = [self._room(place) for place in known]
        for place in known:
            self.take(place, -1)
        return all(free >= 0 for room in rooms for free in room)

    def is_lost(self, place: Place) -> bool:
        """Whether its domain is gone: its nodes are not ready any more, or not there."""
        wiring = self.wiring(place.flavor)
        return wiring is not None and place.values not in wiring.by_values

    def _room(self, place: Place) -> list[int]:
        wiring = self.wiring(place.flavor)
        leaf = wiring.by_values.get(place.values) if wiring else None
        return [leaf.room[resource] for resource in place.requests if resource in leaf.room] if leaf else [-1]

    def _build(self, flavor: ResourceFlavor, topology: Topology) -> Wiring:
        labels = flavor.node_labels.items()
        nodes = [node for node in self.nodes.values() if all(node.labels.get(key) == value for key, value in labels)]
        wiring = Wiring(topology.levels, nodes)
        for values, taken in self._taken.get(flavor.name, {}).items():
            wiring.change(values, taken, 1)
        return wiring


def _one_pod(place: Place) -> tuple[tuple[str, int], ...]:
    return () if "pods" in place.requests else (("pods", 1),)
