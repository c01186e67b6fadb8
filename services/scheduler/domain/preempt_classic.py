"""Preemption without fair sharing: reclaim one's own, or borrow over those of lower priority.

Source: Kueue's documentation, Preemption, Classic Preemption.
"""

from services.scheduler.domain.model import Policy
from services.scheduler.domain.preempt import Candidate, Legal, Search, spare_needless


def classic(search: Search, candidates: list[Candidate]) -> list[Candidate] | None:
    """In the candidates' order; as somebody leaves, others may become legal, so the list is gone through again."""
    legal = _rule(search)
    chosen: list[Candidate] = []
    rest, more = candidates, True
    while more and not search.fits():
        more = False
        waiting, rest = rest, []
        for at, candidate in enumerate(waiting):
            if not legal(candidate):
                rest.append(candidate)
                continue
            search.take(candidate)
            chosen.append(candidate)
            more = True
            if search.fits():
                rest += waiting[at + 1 :]
                break
    return spare_needless(search, chosen, legal) if search.fits() else None


def _rule(search: Search) -> Legal:
    """Of one's own queue: anybody on the list. Of another: who runs on borrowed quota, if the preemptor's side stays
    within its own quota, or if `borrowWithinCohort` lets it borrow over this one."""
    rules, mine = search.rules, search.workload

    def legal(candidate: Candidate) -> bool:
        if not candidate.outside:
            return True
        if not search.borrows_over(candidate):
            return False
        if search.within_own(candidate.near):
            return True
        if rules.borrow_within_cohort is Policy.NEVER or candidate.workload.priority >= mine.priority:
            return False
        threshold = rules.max_priority_threshold
        return threshold is None or candidate.workload.priority <= threshold

    return legal
