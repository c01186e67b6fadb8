"""One node of the quota tree, a ClusterQueue or a Cohort: how much is used, lent, borrowed and still to be had.

The rules are those of Kueue's hierarchical cohorts (KEP-79). A node's `subtree` quota is its own nominal quota plus
what its children lend. What a lending limit keeps at home (`local`) the parent never sees: usage counts in the parent
only beyond it.
"""

from collections.abc import Mapping

from services.scheduler.domain.model import Quota

FlavorResource = tuple[str, str]
Usage = Mapping[FlavorResource, int]


class QuotaNode:
    """`usage` of a queue is its workloads'; of a cohort, its children's beyond what they keep at home."""

    __slots__ = (
        "children",
        "height",
        "lendable",
        "local",
        "name",
        "parent",
        "queue",
        "quotas",
        "root",
        "subtree",
        "usage",
        "weight",
    )

    def __init__(self, name: str, quotas: Mapping[FlavorResource, Quota], weight: int, queue: bool) -> None:
        self.name, self.quotas, self.weight, self.queue = name, quotas, weight, queue
        self.parent: QuotaNode | None = None
        self.children: list[QuotaNode] = []
        self.root = self
        self.height = 0
        self.subtree: dict[FlavorResource, int] = {}
        self.local: dict[FlavorResource, int] = {}
        self.usage: dict[FlavorResource, int] = {}
        self.lendable: dict[str, int] | None = None

    def add(self, fr: FlavorResource, amount: int) -> None:
        """Count `amount` (negative: give it back) here and, beyond what is kept at home, above."""
        node: QuotaNode | None = self
        while node is not None and amount:
            before = node.usage.get(fr, 0)
            node.usage[fr] = before + amount
            if kept := node.local.get(fr, 0):
                amount = max(0, before + amount - kept) - max(0, before - kept)
            node = node.parent

    def available(self, fr: FlavorResource) -> int:
        """What may still be taken here; negative where quota was taken away from under running workloads."""
        used = self.usage.get(fr, 0)
        if self.parent is None:
            return self.subtree.get(fr, 0) - used
        above = self.parent.available(fr)
        kept = self.local.get(fr, 0)
        quota = self.quotas.get(fr)
        if quota is not None and quota.borrowing_limit is not None:
            shared = self.subtree.get(fr, 0) - kept
            above = min(above, shared - max(0, used - kept) + quota.borrowing_limit)
        return max(0, kept - used) + above

    def potential(self, fr: FlavorResource) -> int:
        """What could be had here if nobody used anything."""
        if self.parent is None:
            return self.subtree.get(fr, 0)
        most = self.local.get(fr, 0) + self.parent.potential(fr)
        quota = self.quotas.get(fr)
        if quota is not None and quota.borrowing_limit is not None:
            most = min(most, self.subtree.get(fr, 0) + quota.borrowing_limit)
        return most

    def over(self, fr: FlavorResource, extra: int = 0) -> int:
        """How much is borrowed from the parent, with `extra` more; 0 if none."""
        return max(0, self.usage.get(fr, 0) + extra - self.subtree.get(fr, 0)) if self.parent is not None else 0

    def path(self) -> list["QuotaNode"]:
        """From here to the root."""
        nodes, node = [self], self.parent
        while node is not None:
            nodes.append(node)
            node = node.parent
        return nodes


def fits(node: QuotaNode, usage: Usage) -> bool:
    return all(amount <= 0 or node.available(fr) >= amount for fr, amount in usage.items())


def borrows(node: QuotaNode, usage: Usage) -> bool:
    return node.parent is not None and any(node.over(fr, amount) for fr, amount in usage.items() if amount > 0)


def distance(node: QuotaNode, usage: Usage) -> int:
    """How far quota is borrowed from: 0 none, else the height of the smallest subtree whose own quota is enough."""
    furthest = 0
    for fr, amount in usage.items():
        up: QuotaNode | None = node
        while up is not None and amount > 0 and up.over(fr, amount):
            amount -= max(0, up.local.get(fr, 0) - up.usage.get(fr, 0))
            up = up.parent
        if up is not None and up is not node:
            furthest = max(furthest, up.height)
    return furthest
