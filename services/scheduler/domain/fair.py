"""Fair sharing: how much more than its own a queue or cohort uses, as its dominant resource share; exact integers.

Kueue's definition (KEP-1714): per resource, what is borrowed over all flavors in thousandths of what the parent could
lend at most; the largest of these, divided by the weight. A weight of 0 that borrows is beyond every other share.
"""

from collections.abc import Mapping

from services.scheduler.domain.quota import FlavorResource, QuotaNode

Share = tuple[int, int]
"""(1 if a weight of 0 borrows, share in millionths of a thousandth)."""

NOTHING: Share = (0, 0)
SCALE = 1000 * 1000 * 10**6


def share(node: QuotaNode, extra: Mapping[FlavorResource, int] | None = None) -> Share:
    """With `extra` more than it uses. Only its place below its parent counts: a root borrows nothing."""
    parent = node.parent
    if parent is None:
        return NOTHING
    borrowed: dict[str, int] = {}
    for fr, quota in node.subtree.items():
        over = node.usage.get(fr, 0) + (extra.get(fr, 0) if extra else 0) - quota
        if over > 0:
            borrowed[fr[1]] = borrowed.get(fr[1], 0) + over
    if not borrowed:
        return NOTHING
    lendable = _lendable(parent)
    ratio = max((amount * SCALE // lendable[r] for r, amount in borrowed.items() if lendable.get(r, 0) > 0), default=0)
    return (1, ratio) if node.weight == 0 else (0, ratio // node.weight)


def _lendable(node: QuotaNode) -> dict[str, int]:
    """What children of this node could get at most; configuration alone, so it is kept with the node."""
    if node.lendable is None:
        node.lendable = {}
        for fr in node.root.subtree:
            node.lendable[fr[1]] = node.lendable.get(fr[1], 0) + node.potential(fr)
    return node.lendable
