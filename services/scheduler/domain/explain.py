"""Why a workload waits, in what place, and what would have to finish; and what would happen to one not submitted yet.

The answers come from the same functions as the decision, on trial: they are exact for this moment and change nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from services.scheduler.domain.alike import order_key
from services.scheduler.domain.blockers import NOBODY, Blockers, find_blockers
from services.scheduler.domain.book import Book
from services.scheduler.domain.flavors import Mode
from services.scheduler.domain.model import CheckState, Workload
from services.scheduler.domain.nominate import nominate, victims
from services.scheduler.domain.trial import Trial


@dataclass(frozen=True)
class Explanation:
    """`state` is Admitted, Checking, Leaving, Waiting, Suspended, Inactive, BackingOff or Unknown. `position` counts
    from 1 and is 0 unless it waits in a queue of `waiting`. `ahead`: the first few before it. `awaits`: being evicted
    for it. `blockers`: who would have to finish."""

    uid: str
    state: str
    queue: str = ""
    position: int = 0
    waiting: int = 0
    ahead: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    awaits: tuple[str, ...] = ()
    blockers: Blockers = NOBODY
    sentences: tuple[str, ...] = ()


@dataclass(frozen=True)
class Forecast:
    """`starts`: at once. `preempts`: who would have to leave for it first. `counts`: pods per pod set it would get,
    `flavors`: per pod set and resource. `position`: the place it would take in its queue."""

    starts: bool
    queue: str = ""
    position: int = 0
    preempts: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    flavors: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    blockers: Blockers = NOBODY
    sentences: tuple[str, ...] = ()


Seen = Callable[[str], bool]
SHOWN = 5
SET_ASIDE = "It was set aside; set spec.active of its Workload to true to queue again."


def anybody(namespace: str) -> bool:
    """Who asks may know of the workloads of every namespace."""
    return True


def explain(book: Book, uid: str, seen: Seen = anybody) -> Explanation:
    """Workloads of a namespace that is not `seen` are counted in the sentences, and not named."""
    book.look_around()
    workload = book.workloads.get(uid)
    if workload is None:
        return Explanation(uid, "Unknown", sentences=("No such workload is known.",))
    home = book.home(workload)
    if workload.admission is not None:
        return _holding(book, workload, home)
    if not workload.active:
        return Explanation(uid, "Inactive", home, sentences=(SET_ASIDE,))
    if workload.suspended:
        return Explanation(uid, "Suspended", home, sentences=("Its owner suspended it; resume it to queue again.",))
    if workload.pledge is not None:
        awaits = tuple(other for other in workload.pledge.awaits if other in book.leaving)
        told = f"Room is kept for it; it starts when {_names(book, awaits, seen)} has left."
        return Explanation(uid, "Waiting", home, awaits=awaits, sentences=(told,))
    if uid in book.homeless:
        why = book.homeless[uid]
        return Explanation(uid, "Waiting", reasons=(why,), sentences=(f"{why}.",))
    if not home or uid not in book.states[home].line:
        told = f"It failed {workload.requeues} times; it tries again at {workload.requeue_at} ms."
        return Explanation(uid, "BackingOff", home, sentences=(told,))
    return _waiting(book, workload, home, seen)


def what_if(book: Book, workload: Workload, seen: Seen = anybody) -> Forecast:
    """As if it were submitted now; it may be known already or not."""
    book.look_around()
    home, why = book.find_home(workload)
    if not home:
        return Forecast(False, reasons=(why,), sentences=(f"{why}.",))
    line = book.states[home].line
    position = line.place_of(order_key(workload))
    with Trial(book) as trial:
        verdict = nominate(trial, workload, home)
        counts = {a.name: a.count for a in verdict.assignments}
        flavors = {a.name: a.flavors for a in verdict.assignments}
        if line.strict and position > 1:
            told = f"It would wait behind {position - 1} others in the strict queue {home}."
            return Forecast(False, home, position, reasons=verdict.reasons, sentences=(told,))
        if verdict.mode is Mode.FIT:
            used = "; ".join(f"{a.count} {a.name} on {_said(a.flavors)}" for a in verdict.assignments)
            return Forecast(True, home, 1, (), counts, flavors, sentences=(f"It would start at once: {used}.",))
        found = victims(trial, workload, verdict, home) if verdict.mode is Mode.PREEMPT else None
        if found is not None:
            leaving = tuple(c.workload.uid for c in found)
            who = _names(book, leaving, seen) or "those who are leaving already"
            told = f"It would start after {who} made room for it."
            return Forecast(False, home, 1, leaving, counts, flavors, verdict.reasons, sentences=(told,))
        blockers = find_blockers(trial, workload, verdict, home)
        told = f"It would wait in place {position} of queue {home}: {_sentence(verdict.reasons)}."
        more = _blocked(book, blockers, verdict.mode, seen)
        return Forecast(False, home, position, (), {}, {}, verdict.reasons, blockers, (told, *more))


def _holding(book: Book, workload: Workload, home: str) -> Explanation:
    admission = workload.admission
    assert admission is not None, "asked by explain() of those alone"
    if admission.evicted:
        told = f"It was evicted ({admission.evicted}); its quota is free when its pods are gone."
        return Explanation(workload.uid, "Leaving", home, sentences=(told,))
    if admission.admitted_at is None:
        open_checks = [name for name, state in workload.checks.items() if state is not CheckState.READY]
        missing = ", ".join(open_checks) or "none said anything yet"
        told = f"Quota is reserved; it starts when its admission checks are ready: {missing}."
        return Explanation(workload.uid, "Checking", home, reasons=tuple(open_checks), sentences=(told,))
    return Explanation(workload.uid, "Admitted", home, sentences=(f"It was admitted by queue {home}.",))


def _waiting(book: Book, workload: Workload, home: str, seen: Seen) -> Explanation:
    line = book.states[home].line
    position, ahead = line.position(workload.uid), line.first(SHOWN)
    before = tuple(uid for uid in ahead[: position - 1])
    with Trial(book) as trial:
        verdict = nominate(trial, workload, home)
        told = [f"It waits in place {position} of {len(line)} in queue {home}."]
        if line.strict and position > 1:
            told.append(f"The queue is strict: {_names(book, before[:1], seen)} has to start first.")
        if verdict.mode is Mode.FIT:
            told.append("It fits: its turn comes with the next decision.")
            return Explanation(workload.uid, "Waiting", home, position, len(line), before, sentences=tuple(told))
        blockers = find_blockers(trial, workload, verdict, home)
    told.append(f"It {_sentence(verdict.reasons)}.")
    told += _blocked(book, blockers, verdict.mode, seen)
    return Explanation(
        workload.uid, "Waiting", home, position, len(line), before, verdict.reasons, (), blockers, tuple(told)
    )


def _blocked(book: Book, blockers: Blockers, mode: Mode, seen: Seen) -> list[str]:
    if mode is Mode.NEVER:
        return ["It cannot start whoever finishes; change the workload or the queue."]
    if blockers.alone:
        return [f"It fits when any one of these finishes: {_names(book, blockers.alone, seen)}."]
    if blockers.together:
        return [f"It fits when these finish: {_names(book, blockers.together, seen)}."]
    return []


def _names(book: Book, uids: tuple[str, ...], seen: Seen) -> str:
    known = [book.workloads[uid] for uid in uids if uid in book.workloads]
    named = [f"{w.kind or 'workload'} {w.namespace}/{w.name}" for w in known if seen(w.namespace)]
    hidden = sum(not seen(w.namespace) for w in known)
    more = [f"{len(named) - SHOWN} more"] if len(named) > SHOWN else []
    if hidden:
        more.append("a workload of another team" if hidden == 1 else f"{hidden} workloads of other teams")
    return " and ".join(part for part in (", ".join(named[:SHOWN]), *more) if part)


def _sentence(reasons: tuple[str, ...]) -> str:
    return "; ".join(reasons) or "cannot start"


def _said(flavors: Mapping[str, str]) -> str:
    return ", ".join(sorted(set(flavors.values()))) or "no flavor"
