"""Whom a workload makes leave, so that it can start: as few as will do, and none that could do the same to it.

Kueue's two algorithms (documentation, Preemption) share this frame: candidates are taken one by one as long as each is
*legal*, until the workload fits; then, backwards, those without whom it fits as well are spared, provided that
everybody who stays on the list is still legal (kueue#14543 is what happens without that).

Why it comes to an end, for a fixed set of workloads:
1. Within a queue only a later one in the queue's order leaves for an earlier one, and that order never changes.
2. From another queue only such workloads are taken as run there on borrowed quota (secure.py). So who reclaims its
   queue's own quota is secure afterwards, and the sets of secure workloads grow in the queue's order.
3. A workload that itself has to borrow may make others leave only until it was evicted `PATIENCE` times from outside;
   then it waits for room, or for its queue's own quota. So preemption by borrowers happens finitely often.
4. The room that was made is kept for the one it was made for (a Pledge), so no eviction is in vain (kueue#13662).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from services.scheduler.domain.alike import order_key
from services.scheduler.domain.holding import Holding
from services.scheduler.domain.model import Policy, Workload
from services.scheduler.domain.quota import FlavorResource, QuotaNode
from services.scheduler.domain.secure import Secure
from services.scheduler.domain.trial import Trial

PATIENCE = 3
"""Evictions from outside after which a borrower makes nobody leave any more."""


@dataclass(frozen=True)
class Candidate:
    """`near` and `far`: the children of the lowest common ancestor on the preemptor's and on the candidate's side."""

    workload: Workload
    holding: Holding
    leaf: QuotaNode
    near: QuotaNode
    far: QuotaNode

    @property
    def outside(self) -> bool:
        return self.near is not self.far


class Search:
    """One workload that does not fit, in a world where everybody who is leaving has left."""

    def __init__(self, trial: Trial, workload: Workload, holding: Holding, seats: Callable[[], bool]) -> None:
        self.trial, self.workload, self.holding, self._seats = trial, workload, holding, seats
        book = trial.book
        self.leaf = book.forest.queues[holding.queue]
        spec = book.states[holding.queue].spec
        assert spec is not None, "who waits, waits in a queue that exists"
        self.rules = spec.preemption
        self.short: set[FlavorResource] = set()

    def fits(self) -> bool:
        """With itself counted in."""
        return all(self.leaf.available(fr) >= 0 for fr, a in self.holding.usage.items() if a > 0) and self._seats()

    def find(self, gather: "Gather") -> list[Candidate] | None:
        """Who has to leave; an empty list if it is enough to wait for those who are leaving. None: nobody can help."""
        start = self.trial.mark
        try:
            for uid in self.trial.leaving(self.leaf.root):
                gone = self.trial.book.holding(uid)
                if gone is not None:
                    self.trial.move(gone, -1)
            self.trial.move(self.holding, +1)
            if self.fits():
                return []
            self.short = {fr for fr, a in self.holding.usage.items() if a > 0 and self.leaf.available(fr) < 0}
            found = gather(self, self._candidates())
            return found if found is not None and self._is_patient(found) else None
        finally:
            self.trial.back_to(start)

    def take(self, candidate: Candidate) -> None:
        self.trial.move(candidate.holding, -1)

    def spare(self, candidate: Candidate) -> None:
        self.trial.move(candidate.holding, +1)

    def borrows_over(self, candidate: Candidate) -> bool:
        """The candidate's queue, and every subtree up to where it meets the preemptor's, uses more than its own of
        something that is short and that the candidate holds."""
        short = [fr for fr in self.short or self.holding.usage if candidate.holding.usage.get(fr, 0) > 0]
        node: QuotaNode | None = candidate.leaf
        while node is not None:
            if not any(node.over(fr) for fr in short):
                return False
            node = None if node is candidate.far else node.parent
        return True

    def within_own(self, near: QuotaNode) -> bool:
        """The preemptor included, its side uses no more than its own."""
        return not any(near.over(fr) for fr, amount in self.holding.usage.items() if amount > 0)

    def _is_patient(self, found: Sequence[Candidate]) -> bool:
        """Asked with all of them gone."""
        if self.workload.outside_evictions < PATIENCE:
            return True
        return all(self.within_own(candidate.near if candidate.outside else self.leaf) for candidate in found)

    def _candidates(self) -> list[Candidate]:
        """Legal by policy; of other queues first, then the lowest priority, then the latest arrival."""
        own = list(self._own())
        found = own + list(self._others(hopeless=not own))
        return sorted(found, key=lambda c: (not c.outside, *_last_first(c.workload)))

    def _own(self) -> Iterable[Candidate]:
        policy, mine = self.rules.within_cluster_queue, self.workload
        if policy is Policy.NEVER:
            return
        for other in self.trial.holders(self.leaf.name, after=order_key(mine)):
            if other.priority < mine.priority or policy is Policy.LOWER_OR_NEWER_EQUAL_PRIORITY:
                yield from self._useful(other, self.leaf, self.leaf, self.leaf)

    def _others(self, hopeless: bool) -> Iterable[Candidate]:
        """Those on borrowed quota; queues that borrow nothing of what is short are passed over at once. `hopeless`:
        its own queue yields nobody, so what it would borrow now it would borrow in the end."""
        policy = self.rules.reclaim_within_cohort
        if policy is Policy.NEVER or self.leaf.parent is None:
            return
        secure = Secure(self.trial)
        wanted = self.short or set(self.holding.usage)
        only_own = not self.trial.book.rules.fair_sharing and self.rules.borrow_within_cohort is Policy.NEVER
        tops = [near for near in self.leaf.path()[:-1] if not (hopeless and only_own) or self.within_own(near)]
        for leaf, near, far in _neighbours(tops):
            if not any(leaf.usage.get(fr, 0) > leaf.subtree.get(fr, 0) for fr in wanted):
                continue
            for other in self.trial.holders(leaf.name):
                if policy is Policy.LOWER_PRIORITY and other.priority >= self.workload.priority:
                    continue
                if not secure.holds(other, leaf, far):
                    yield from self._useful(other, leaf, near, far)

    def _useful(self, other: Workload, leaf: QuotaNode, near: QuotaNode, far: QuotaNode) -> Iterable[Candidate]:
        holding = self.trial.book.holding(other.uid)
        if holding is None or other.uid == self.workload.uid:
            return
        if not self.short or any(holding.usage.get(fr, 0) > 0 for fr in self.short):
            yield Candidate(other, holding, leaf, near, far)


Gather = Callable[[Search, list[Candidate]], list[Candidate] | None]
Legal = Callable[[Candidate], bool]
"""Asked while the candidate still holds its quota and all others chosen do not."""


def spare_needless(search: Search, chosen: list[Candidate], legal: Legal) -> list[Candidate] | None:
    """Backwards, give back whom it does not take; None if in the end somebody chosen is not legal."""
    kept = list(chosen)
    for candidate in reversed(chosen):
        search.spare(candidate)
        rest = [other for other in kept if other is not candidate]
        if search.fits() and all(_is_legal(search, other, legal) for other in rest):
            kept = rest
        else:
            search.take(candidate)
    return kept if all(_is_legal(search, other, legal) for other in kept) else None


def _is_legal(search: Search, candidate: Candidate, legal: Legal) -> bool:
    search.spare(candidate)
    verdict = legal(candidate)
    search.take(candidate)
    return verdict


def _last_first(workload: Workload) -> tuple[int, int, str]:
    rank, arrival, uid = order_key(workload)
    return (-rank, -arrival, uid)


def _neighbours(tops: Iterable[QuotaNode]) -> Iterable[tuple[QuotaNode, QuotaNode, QuotaNode]]:
    """All queues below the siblings of these nodes with, for each, the two sides that meet in the common ancestor."""
    for near in tops:
        for far in near.parent.children if near.parent is not None else ():
            if far is not near:
                for other in _leaves(far):
                    yield other, near, far


def _leaves(node: QuotaNode) -> Iterable[QuotaNode]:
    if node.queue:
        yield node
    for child in node.children:
        yield from _leaves(child)
