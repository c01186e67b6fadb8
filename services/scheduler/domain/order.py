"""In which order the heads of the queues get their turn; total and transitive, so no two cycles can disagree.

1. Without fair sharing: who need not borrow before who borrows, the nearer lender first; with it, within every cohort
the child with the smallest share, the workload counted in. 2. Priority. 3. Arrival. 4. The uid.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from heapq import heapify, heappop, heapreplace

from services.scheduler.domain.alike import order_key
from services.scheduler.domain.fair import share
from services.scheduler.domain.flavors import Verdict
from services.scheduler.domain.line import Key
from services.scheduler.domain.model import Workload
from services.scheduler.domain.quota import FlavorResource, QuotaNode


@dataclass(frozen=True)
class Entry:
    """A workload that competes in this cycle; `nominated_at` is the trial's mark at its nomination."""

    workload: Workload
    leaf: QuotaNode
    verdict: Verdict
    nominated_at: int = 0

    @property
    def usage(self) -> Mapping[FlavorResource, int]:
        return self.verdict.usage


def plain_order(entries: Iterable[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda e: (e.verdict.distance, order_key(e.workload)))


def fair_order(entries: Iterable[Entry]) -> Iterator[Entry]:
    """One at a time: each next one is chosen with what the ones before it were given counted in."""
    by_leaf: dict[int, list[Entry]] = {}
    for entry in sorted(entries, key=lambda e: order_key(e.workload), reverse=True):
        by_leaf.setdefault(id(entry.leaf), []).append(entry)
    roots = {id(some[0].leaf.root): some[0].leaf.root for some in by_leaf.values()}
    contests = [_Contest(root, by_leaf) for root in sorted(roots.values(), key=lambda root: root.name)]
    for contest in contests:
        while (winner := contest.pop()) is not None:
            yield winner


Rank = tuple[tuple[int, int], Key]


class _Contest:
    """A tournament below one node: its children's winners compete by the share they would bring their child to.
    A queue may have several entries, its head and running workloads that grow: the first of them comes last here."""

    def __init__(self, node: QuotaNode, by_leaf: Mapping[int, list[Entry]]) -> None:
        self._entries = by_leaf.get(id(node), [])
        self._heap: list[tuple[Rank, int, QuotaNode, _Contest]] = []
        for at, child in enumerate(node.children):
            contest = _Contest(child, by_leaf)
            best = contest.best()
            if best is not None:
                self._heap.append((_rank(child, best), at, child, contest))
        heapify(self._heap)

    def best(self) -> Entry | None:
        if self._entries:
            return self._entries[-1]
        if not self._heap:
            return None
        self._refresh()
        return self._heap[0][3].best()

    def pop(self) -> Entry | None:
        """The winner leaves; its place is taken by the next one of its subtree, with shares as they are now."""
        if self._entries:
            return self._entries.pop()
        if not self._heap:
            return None
        self._refresh()
        _, at, child, contest = self._heap[0]
        winner = contest.pop()
        following = contest.best()
        if following is None:
            heappop(self._heap)
        else:
            heapreplace(self._heap, (_rank(child, following), at, child, contest))
        return winner

    def _refresh(self) -> None:
        """What was given since may have changed the share of the child on top."""
        while True:
            rank, at, child, contest = self._heap[0]
            best = contest.best()
            now = _rank(child, best) if best is not None else rank
            if now <= rank:
                return
            heapreplace(self._heap, (now, at, child, contest))


def _rank(child: QuotaNode, entry: Entry) -> Rank:
    return share(child, entry.usage), order_key(entry.workload)
