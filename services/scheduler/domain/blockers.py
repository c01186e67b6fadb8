"""Who would have to finish for a workload to fit: found by letting the running ones finish on trial."""

from dataclasses import dataclass

from services.scheduler.domain.flavors import Mode, Verdict
from services.scheduler.domain.holding import Holding
from services.scheduler.domain.model import Workload
from services.scheduler.domain.nominate import nominate
from services.scheduler.domain.trial import Trial


@dataclass(frozen=True)
class Blockers:
    """`alone`: each of these by itself would be enough. `together`: otherwise, a set of which nobody can be left out;
    the longest running are taken first, for they are likely to finish first."""

    alone: tuple[str, ...] = ()
    together: tuple[str, ...] = ()


NOBODY = Blockers()


def find_blockers(trial: Trial, workload: Workload, verdict: Verdict, home: str) -> Blockers:
    """Empty if nobody's end would help. Leaves the trial as it was."""
    if verdict.mode is Mode.NEVER:
        return NOBODY
    running = _running(trial, home)
    start = trial.mark
    try:
        alone = tuple(uid for uid, holding in running if _helps(trial, workload, home, [holding]))
        if alone:
            return Blockers(alone=alone)
        return Blockers(together=tuple(_together(trial, workload, home, running)))
    finally:
        trial.back_to(start)


def _running(trial: Trial, home: str) -> list[tuple[str, Holding]]:
    """Of the whole tree, or of all queues where places in a topology matter, the longest running first."""
    book = trial.book
    wired = any(book.fleet.is_wired(name) for name in book.flavors)
    root = book.forest.queues[home].root
    leaves = book.forest.queues.values() if wired else book.forest.leaves(root)
    found = []
    for leaf in leaves:
        for uid, holder in book.states[leaf.name].holders.items():
            holding, admission = book.holding(uid), holder.admission
            if holding is not None and admission is not None:
                found.append((admission.reserved_at, uid, holding))
    return [(uid, holding) for _, uid, holding in sorted(found, key=lambda one: one[:2])]


def _together(trial: Trial, workload: Workload, home: str, running: list[tuple[str, Holding]]) -> list[str]:
    """The fewest first ones that do, then without those who need not have finished."""
    low, high = 0, len(running)
    if not _helps(trial, workload, home, [holding for _, holding in running]):
        return []
    while low < high:
        middle = (low + high) // 2
        if _helps(trial, workload, home, [holding for _, holding in running[:middle]]):
            high = middle
        else:
            low = middle + 1
    needed = running[:high]
    for one in list(needed):
        rest = [other for other in needed if other is not one]
        if _helps(trial, workload, home, [holding for _, holding in rest]):
            needed = rest
    return [uid for uid, _ in needed]


def _helps(trial: Trial, workload: Workload, home: str, gone: list[Holding]) -> bool:
    start = trial.mark
    for holding in gone:
        trial.move(holding, -1)
    fits = nominate(trial, workload, home).mode is Mode.FIT
    trial.back_to(start)
    return fits
