"""The forest of quota: every ClusterQueue a leaf, every Cohort a node above; a tree is rebuilt when it changes.

A cohort that queues name but nobody defined exists all the same. Cohorts whose parents lead back to themselves belong
to no tree: their queues are told so and admit nobody until it is mended.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from services.scheduler.domain.model import ClusterQueue, Cohort, Quota, ResourceGroup
from services.scheduler.domain.quota import FlavorResource, QuotaNode


@dataclass
class Forest:
    """`queues` by name; `cyclic` are the names of cohorts that are their own ancestors."""

    queues: dict[str, QuotaNode] = field(default_factory=dict)
    cohorts: dict[str, QuotaNode] = field(default_factory=dict)
    cyclic: frozenset[str] = frozenset()

    def leaves(self, node: QuotaNode) -> Iterable[QuotaNode]:
        if node.queue:
            yield node
        for child in node.children:
            yield from self.leaves(child)


def grow(
    queues: Mapping[str, ClusterQueue],
    cohorts: Mapping[str, Cohort],
    usage: Mapping[str, dict[FlavorResource, int]],
) -> Forest:
    """`usage` of each queue becomes, as the same dict, that of its leaf."""
    named = set(cohorts) | {q.cohort for q in queues.values()} | {c.parent for c in cohorts.values()}
    defined = {name: cohorts.get(name) or Cohort(name) for name in sorted(named - {""})}
    forest = Forest(cyclic=_cyclic(defined))
    for name, cohort in defined.items():
        forest.cohorts[name] = QuotaNode(name, quotas(cohort.resource_groups), cohort.fair_weight, queue=False)
    for name, cohort in defined.items():
        if cohort.parent and name not in forest.cyclic:
            _hang(forest.cohorts[name], forest.cohorts[cohort.parent])
    for name in sorted(queues):
        leaf = QuotaNode(name, quotas(queues[name].resource_groups), queues[name].fair_weight, queue=True)
        leaf.usage = usage[name]
        forest.queues[name] = leaf
        if queues[name].cohort and queues[name].cohort not in forest.cyclic:
            _hang(leaf, forest.cohorts[queues[name].cohort])
    for node in [*forest.cohorts.values(), *forest.queues.values()]:
        if node.parent is None:
            _total(node, node)
    return forest


def regrow(
    forest: Forest,
    changed: Iterable[str],
    queues: Mapping[str, ClusterQueue],
    cohorts: Mapping[str, Cohort],
    usage: Mapping[str, dict[FlavorResource, int]],
) -> set[str]:
    """Grows the trees anew that `changed` belongs to: queues and cohorts of these names, and all that they name or
    named before. Returns the names of the queues of these trees."""
    names = set(changed)
    old_leaves, old_inner = set(names), set(names)
    for root in {id(node.root): node.root for name in names for node in _called(forest, name)}.values():
        for node in below(root):
            (old_leaves if node.queue else old_inner).add(node.name)
    if forest.cyclic:  # those belong to no tree, and any change may mend them
        old_leaves, old_inner = old_leaves | set(queues), old_inner | set(cohorts) | set(forest.cohorts)
    part = grow(
        {name: queues[name] for name in old_leaves if name in queues},
        {name: cohorts[name] for name in old_inner if name in cohorts},
        usage,
    )
    for leaf in old_leaves:
        forest.queues.pop(leaf, None)
    for inner in old_inner:
        forest.cohorts.pop(inner, None)
    forest.queues.update(part.queues)
    forest.cohorts.update(part.cohorts)
    forest.cyclic = part.cyclic
    return old_leaves


def below(node: QuotaNode) -> Iterator[QuotaNode]:
    """It and all under it."""
    yield node
    for child in node.children:
        yield from below(child)


def _called(forest: Forest, name: str) -> list[QuotaNode]:
    """The queue and the cohort of that name, if they are there."""
    return [nodes[name] for nodes in (forest.queues, forest.cohorts) if name in nodes]


def quotas(groups: Iterable[ResourceGroup]) -> dict[FlavorResource, Quota]:
    return {
        (flavor.flavor, resource): quota
        for group in groups
        for flavor in group.flavors
        for resource, quota in flavor.resources.items()
    }


def _hang(child: QuotaNode, parent: QuotaNode) -> None:
    child.parent = parent
    parent.children.append(child)


def _total(node: QuotaNode, root: QuotaNode) -> None:
    """Sum up quota and usage from the leaves."""
    node.root = root
    node.subtree = {fr: quota.nominal for fr, quota in node.quotas.items()}
    for child in node.children:
        _total(child, root)
        node.height = max(node.height, child.height + 1)
        for fr, amount in child.subtree.items():
            node.subtree[fr] = node.subtree.get(fr, 0) + amount - child.local.get(fr, 0)
        for fr, amount in child.usage.items():
            node.usage[fr] = node.usage.get(fr, 0) + max(0, amount - child.local.get(fr, 0))
    if node.parent is not None:
        for fr, quota in node.quotas.items():
            if quota.lending_limit is not None and node.subtree[fr] > quota.lending_limit:
                node.local[fr] = node.subtree[fr] - quota.lending_limit


def _cyclic(cohorts: Mapping[str, Cohort]) -> frozenset[str]:
    """Those whose way up never ends."""
    lost = set()
    for name in cohorts:
        seen, at = set(), name
        while at and at not in seen:
            seen.add(at)
            at = cohorts[at].parent
        if at:
            lost.add(name)
    return frozenset(lost)
