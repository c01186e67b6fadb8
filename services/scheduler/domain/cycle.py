"""One decision of the scheduler, told as a numbered story over the book; it changes nothing that the book knows.

Whoever calls it writes the decisions down and then puts them to the book with `apply`; the same book and the same time
give the same decisions. Steps 1 to 6 are those of Kueue's scheduler.
"""

from collections.abc import Iterator, Sequence

from services.scheduler.domain.alike import order_key
from services.scheduler.domain.book import Book
from services.scheduler.domain.flavors import Mode, Verdict
from services.scheduler.domain.model import Decision, Evict, Inadmissible, Workload
from services.scheduler.domain.nominate import nominate
from services.scheduler.domain.order import Entry, fair_order, plain_order
from services.scheduler.domain.quota import distance
from services.scheduler.domain.resize import growth, growth_usage
from services.scheduler.domain.trial import Trial
from services.scheduler.domain.turn import grow, keep_promise, take_turn
from services.scheduler.domain.upkeep import upkeep


def cycle(book: Book, now: int) -> Sequence[Decision]:
    """At most one start, or one preemption, per queue; ask again until nothing is decided any more."""
    decisions: list[Decision] = []
    with Trial(book) as trial:
        # 0. Those who hold quota already: time limits, checks, stopped queues, lost nodes.
        for decision in upkeep(trial, now):
            decisions.append(decision)
            if isinstance(decision, Evict):
                trial.evicted[decision.uid] = None
        decisions += [Inadmissible(uid, book.homeless[uid]) for uid in book.untold]
        # Room that was made for somebody, and is free now, is theirs before anybody else gets a turn.
        for workload in _ripe(trial):
            decisions += keep_promise(trial, workload, now)
        # 1. Heads: the first of every queue that may have got a chance since it was last tried.
        heads = [book.workloads[uid] for uid in book.heads(now)]
        # 2. Nominate: what each would get, by itself.
        entries, refused = _nominate(trial, heads)
        decisions += refused
        # 3. Order: who goes first, since not all of them may fit.
        ordered = fair_order(entries) if book.rules.fair_sharing else plain_order(entries)
        for entry in ordered:
            # 4. Preempt, 5. Admit, or 6. Requeue with the reason: with all that was decided before it counted in.
            decisions += take_turn(trial, entry, now) if entry.workload.admission is None else grow(trial, entry)
    return decisions


def _ripe(trial: Trial) -> list[Workload]:
    """Whoever has room now, its pledge counted in, or awaits nobody any more; in the order of the queues."""
    book = trial.book
    ripe = []
    for uid in book.pledged:
        workload, holding = book.workloads[uid], book.holding(uid)
        leaf = book.forest.queues.get(holding.queue) if holding else None
        if holding is None or workload.pledge is None:
            continue
        has_room = leaf is not None and all(leaf.available(fr) >= 0 for fr, a in holding.usage.items() if a > 0)
        if has_room or not any(trial.is_leaving(other) for other in workload.pledge.awaits):
            ripe.append(workload)
    return sorted(ripe, key=order_key)


def _nominate(trial: Trial, heads: Sequence[Workload]) -> tuple[list[Entry], list[Decision]]:
    book, entries = trial.book, []
    refused: list[Decision] = []
    for workload in heads:
        home = book.home(workload)
        verdict = nominate(trial, workload, home)
        if verdict.mode is Mode.NEVER:
            refused.append(Inadmissible(workload.uid, "; ".join(verdict.reasons)))
        else:
            entries.append(Entry(workload, book.forest.queues[home], verdict, trial.mark))
    return [*entries, *_growing(trial)], refused


def _growing(trial: Trial) -> Iterator[Entry]:
    """Elastic workloads that want more pods compete like anybody else, but make nobody leave."""
    book = trial.book
    for uid in book.restless:
        workload, admission = book.workloads[uid], book.workloads[uid].admission
        if admission is None or admission.admitted_at is None or trial.is_leaving(uid):
            continue
        leaf = book.node(admission.cluster_queue)
        if leaf is not None and (more := growth(workload, admission)):
            usage = growth_usage(admission, more)
            yield Entry(workload, leaf, Verdict(Mode.FIT, (), usage, distance(leaf, usage)), trial.mark)
