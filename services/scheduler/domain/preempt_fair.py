"""Preemption under fair sharing: the smaller share takes from the larger one, and never ends up ahead of it.

Source: Kueue's documentation, Preemption, Fair Sharing, and KEP-1714. Shares are compared between the two children of
the lowest common ancestor, the preemptor counted in. `borrowWithinCohort` means nothing here (kueue#3779).
"""

from services.scheduler.domain.fair import NOTHING, Share, share
from services.scheduler.domain.model import FairStrategy
from services.scheduler.domain.preempt import Candidate, Search, spare_needless
from services.scheduler.domain.quota import QuotaNode


def fair(search: Search, candidates: list[Candidate]) -> list[Candidate] | None:
    """Strategy by strategy; within one always from the queue with the largest share at that moment."""
    strategies = search.trial.book.rules.fair_strategies
    chosen: list[Candidate] = []
    rest = candidates
    for strategy in strategies:
        rest = _run(search, rest, strategy, chosen)
        if search.fits():
            return spare_needless(search, chosen, lambda c: any(_is_fair(search, c, s) for s in strategies))
    return None


def _run(search: Search, rest: list[Candidate], strategy: FairStrategy, chosen: list[Candidate]) -> list[Candidate]:
    """Adds to `chosen`; returns who is left for the next strategy. A queue in which nobody is legal is asked again
    after somebody else left, since that changes shares (kueue#14122)."""
    barren: set[str] = set()
    while not search.fits():
        leaf = _largest(rest, barren)
        if leaf is None:
            break
        taken = next((c for c in rest if c.leaf is leaf and _is_fair(search, c, strategy)), None)
        if taken is None:
            barren.add(leaf.name)
            continue
        search.take(taken)
        chosen.append(taken)
        rest = [c for c in rest if c is not taken]
        if not taken.outside:
            barren.clear()
    return rest


def _largest(rest: list[Candidate], barren: set[str]) -> QuotaNode | None:
    leaves = {c.leaf.name: c.leaf for c in rest if c.leaf.name not in barren}
    return max(leaves.values(), key=lambda leaf: (_standing(leaf), leaf.name), default=None)


def _standing(leaf: QuotaNode) -> list[Share]:
    """Shares from below the root down to the queue: the larger subtree is asked first."""
    return [share(node) for node in reversed(leaf.path()[:-1])]


def _is_fair(search: Search, candidate: Candidate, strategy: FairStrategy) -> bool:
    if not candidate.outside:
        return True
    if not search.borrows_over(candidate):
        return False
    mine = share(candidate.near)
    if mine == NOTHING and search.within_own(candidate.near):
        return True
    if strategy is FairStrategy.INITIAL_SHARE:
        return mine < share(candidate.far)
    search.take(candidate)
    final = share(candidate.far)
    search.spare(candidate)
    return mine <= final
