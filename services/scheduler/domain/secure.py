"""Which workloads other queues must leave alone: those that run within their own queue's nominal quota.

Queue by queue (and, in a hierarchy, subtree by subtree) workloads are counted in the queue's own order, priority first;
whoever still fits into the nominal quota is secure, whoever does not runs on borrowed quota. Kueue protects a queue as
a whole as long as it does not borrow; to protect the single workload as well is what lets preemption come to an end
(see preempt.py): a workload that reclaimed its queue's own quota cannot be reclaimed from again.
"""

from services.scheduler.domain.alike import order_key
from services.scheduler.domain.holding import Holding
from services.scheduler.domain.model import Workload
from services.scheduler.domain.quota import QuotaNode
from services.scheduler.domain.trial import Trial


class Secure:
    """Computed per node when first asked for; valid while the trial's set of holders does not change."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self._known: dict[str, frozenset[str]] = {}

    def holds(self, workload: Workload, leaf: QuotaNode, top: QuotaNode) -> bool:
        """Whether it is secure anywhere from its queue up to the subtree `top`."""
        node: QuotaNode | None = leaf
        while node is not None:
            if workload.uid in self._at(node):
                return True
            node = None if node is top else node.parent
        return False

    def _at(self, node: QuotaNode) -> frozenset[str]:
        key = f"{node.queue}/{node.name}"
        if key not in self._known:
            self._known[key] = frozenset(self._count(node))
        return self._known[key]

    def _count(self, node: QuotaNode) -> list[str]:
        book = self._trial.book
        members = [
            (order_key(workload), leaf, holding)
            for leaf in book.forest.leaves(node)
            for workload, holding in self._trial.members(leaf.name)
        ]
        usage: dict[tuple[int, tuple[str, str]], int] = {}
        secure = []
        for key, leaf, holding in sorted(members, key=lambda member: member[0]):
            if _fits(usage, leaf, node, holding):
                secure.append(key[2])
        return secure


def _fits(usage: dict[tuple[int, tuple[str, str]], int], leaf: QuotaNode, top: QuotaNode, holding: Holding) -> bool:
    """Count it in `usage` (per node and flavor resource) if `top` stays within its quota."""
    counted: list[tuple[tuple[int, tuple[str, str]], int]] = []
    for fr, wanted in holding.usage.items():
        node, amount = leaf, wanted
        while True:
            at = (id(node), fr)
            before = usage.get(at, 0)
            usage[at] = before + amount
            counted.append((at, amount))
            if node is top:
                break
            kept = node.local.get(fr, 0)
            amount = max(0, before + amount - kept) - max(0, before - kept)
            node = node.parent or top
        if wanted > 0 and usage[id(top), fr] > top.subtree.get(fr, 0):
            for at, amount in counted:
                usage[at] -= amount
            return False
    return True
