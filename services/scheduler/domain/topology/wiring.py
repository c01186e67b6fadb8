"""The tree of domains of one flavor (blocks, racks, nodes) and how many pods of a given shape still fit into each.

For every shape of pod asked for, a Tally keeps that number per domain; a change of one node's room touches that node
and its ancestors only, so a placement costs a look at the domains of a level, not at the whole cluster.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from services.scheduler.domain.model import Amounts, Node, Toleration
from services.scheduler.domain.selectors import untolerated

PLENTY = 1 << 40


@dataclass(frozen=True)
class Shape:
    """What decides where a pod fits. Slices of `slice_size` pods stay within one domain of `slice_level`."""

    requests: tuple[tuple[str, int], ...]
    node_selector: tuple[tuple[str, str], ...] = ()
    tolerations: tuple[Toleration, ...] = ()
    slice_size: int = 1
    slice_level: int = -1


@dataclass(eq=False)
class Spot:
    """One domain; a lowest one has room of its own: the sum over its nodes."""

    values: tuple[str, ...]
    level: int
    index: int
    parent: "Spot | None" = None
    children: list["Spot"] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    room: dict[str, int] = field(default_factory=dict)


class Tally:
    """Per domain: `pods` that fit, and whole `slices` of them (at the slice level and above)."""

    def __init__(self, shape: Shape, spots: Sequence[Spot], leaves: Sequence[Spot], slice_level: int) -> None:
        self.shape = shape
        self.slice_level = slice_level
        self.pods = [0] * len(spots)
        self.slices = [0] * len(spots)
        self.dirty: set[int] = {leaf.index for leaf in leaves}
        self._spots = spots

    def refresh(self) -> None:
        for index in self.dirty:
            self._count(self._spots[index])
        self.dirty.clear()

    def _count(self, leaf: Spot) -> None:
        change = _fitting(leaf, self.shape) - self.pods[leaf.index]
        spot: Spot | None = leaf if change else None
        slices = 0
        while spot is not None:
            at = spot.index
            self.pods[at] += change
            if spot.level == self.slice_level:
                slices = self.pods[at] // self.shape.slice_size - self.slices[at]
            self.slices[at] += slices
            spot = spot.parent


class Wiring:
    """`levels` from the widest to the narrowest; nodes that are not ready or lack a level's label are not in it."""

    def __init__(self, levels: Sequence[str], nodes: Sequence[Node]) -> None:
        self.levels = tuple(levels)
        self.spots: list[Spot] = []
        self.by_values: dict[tuple[str, ...], Spot] = {}
        self.at_level: list[list[Spot]] = [[] for _ in levels]
        self._tallies: dict[Shape, Tally] = {}
        for node in sorted(nodes, key=lambda n: n.name):
            if node.ready and all(level in node.labels for level in levels):
                self._seat(node)

    @property
    def leaves(self) -> list[Spot]:
        return self.at_level[-1]

    def change(self, values: tuple[str, ...], requests: Amounts, count: int) -> None:
        """Take room for `count` pods (negative: give it back); what lies on lost nodes has no room to change."""
        leaf = self.by_values.get(values)
        if leaf is None or leaf.level != len(self.levels) - 1:
            return
        for resource, amount in requests.items():
            if resource in leaf.room:
                leaf.room[resource] -= amount * count
        for tally in self._tallies.values():
            tally.dirty.add(leaf.index)

    def tally(self, shape: Shape) -> Tally:
        found = self._tallies.get(shape)
        if found is None:
            level = shape.slice_level if shape.slice_level >= 0 else len(self.levels) - 1
            found = self._tallies[shape] = Tally(shape, self.spots, self.leaves, level)
            if len(self._tallies) > KEPT:
                del self._tallies[next(iter(self._tallies))]
        found.refresh()
        return found

    def _seat(self, node: Node) -> None:
        parent: Spot | None = None
        for level, label in enumerate(self.levels):
            values = (*parent.values, node.labels[label]) if parent else (node.labels[label],)
            spot = self.by_values.get(values)
            if spot is None:
                spot = Spot(values, level, len(self.spots), parent)
                self.by_values[values] = spot
                self.spots.append(spot)
                self.at_level[level].append(spot)
                if parent:
                    parent.children.append(spot)
            parent = spot
        if parent is not None:
            parent.nodes.append(node)
            for resource, amount in node.capacity.items():
                free = amount - node.used.get(resource, 0)
                parent.room[resource] = parent.room.get(resource, 0) + free


KEPT = 64
"""Shapes for which tallies are kept."""


def _fitting(leaf: Spot, shape: Shape) -> int:
    if not any(_welcomes(node, shape) for node in leaf.nodes):
        return 0
    most = PLENTY
    for resource, amount in shape.requests:
        if amount > 0 and resource != "pods":
            most = min(most, leaf.room.get(resource, 0) // amount)
    if "pods" in leaf.room:
        most = min(most, leaf.room["pods"])
    return max(0, most)


def _welcomes(node: Node, shape: Shape) -> bool:
    labels: Mapping[str, str] = node.labels
    if any(labels.get(key) != value for key, value in shape.node_selector):
        return False
    return untolerated(node.taints, shape.tolerations) is None
