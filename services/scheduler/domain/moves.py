"""What a decision, or a word of its owner, makes of a workload; pure, and the only place that changes one."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from services.scheduler.domain.book import Book
from services.scheduler.domain.model import (
    Admit,
    Decision,
    Evict,
    Inadmissible,
    Queue,
    Reason,
    Reserve,
    Update,
    Workload,
)


def after(workload: Workload, decision: Decision) -> Workload:
    """The workload as the decision leaves it."""
    match decision:
        case Reserve() | Admit():
            return replace(workload, admission=decision.admission, pledge=None)
        case Update():
            return replace(workload, admission=decision.admission)
        case Queue():
            return replace(workload, pledge=decision.pledge)
        case Inadmissible():
            return replace(workload, pledge=None)
        case Evict():
            return _evicted(workload, decision)


def _evicted(workload: Workload, decision: Evict) -> Workload:
    """Without pods yet (its checks are open) it has nothing to stop: its quota is free at once."""
    admission = workload.admission
    running = admission is not None and admission.admitted_at is not None
    return replace(
        workload,
        admission=replace(admission, evicted=decision.reason) if admission and running else None,
        active=workload.active and not decision.deactivate,
        requeue_at=max(workload.requeue_at, decision.requeue_at),
        requeues=workload.requeues + (decision.reason is Reason.PODS_READY_TIMEOUT),
        outside_evictions=workload.outside_evictions + decision.outside,
        checks=workload.checks if running else {},
    )


def reported(
    workload: Workload, ready: bool, reclaimable: Mapping[str, int], counts: Mapping[str, int], now: int
) -> Workload:
    """Its owner says how its pods do. Once all were ready, the count of failed tries starts anew. What is over stays
    over, and no more pods are over than there are."""
    admission = workload.admission
    if admission is None or admission.evicted:
        return workload
    sizes = {a.name: a.count for a in admission.assignments}
    known = {n: min(sizes[n], max(c, workload.reclaimable.get(n, 0))) for n, c in reclaimable.items() if n in sizes}
    first = ready and admission.ready_at is None
    return replace(
        workload,
        admission=replace(admission, ready_at=now) if first else admission,
        reclaimable={**workload.reclaimable, **known},
        counts={**workload.counts, **{n: c for n, c in counts.items() if n in sizes}},
        requeues=0 if first else workload.requeues,
    )


def apply(book: Book, decisions: Iterable[Decision]) -> list[Workload]:
    """Put decisions to the book, in their order; the workloads that changed, as they are now."""
    changed = []
    for decision in decisions:
        before = book.workloads.get(decision.uid)
        if before is None:
            continue
        now = after(before, decision)
        if now != before:
            book.put_workload(now)
            changed.append(now)
        if isinstance(decision, Queue | Inadmissible):
            book.park(decision.uid, again=isinstance(decision, Queue) and decision.again)
            book.untold.pop(decision.uid, None)
    return changed
