"""One workload's turn in a cycle: it starts, or makes others leave, or waits with a reason."""

from collections.abc import Sequence

from services.scheduler.domain.checks import required
from services.scheduler.domain.flavors import Mode, Verdict
from services.scheduler.domain.holding import hold
from services.scheduler.domain.model import (
    Admission,
    Admit,
    Decision,
    Evict,
    Inadmissible,
    Pledge,
    Preemption,
    Queue,
    Reason,
    Reserve,
    Update,
    Workload,
)
from services.scheduler.domain.nominate import nominate, smaller, victims
from services.scheduler.domain.order import Entry
from services.scheduler.domain.preempt import Candidate
from services.scheduler.domain.quota import fits
from services.scheduler.domain.resize import grown, growth, newly_held
from services.scheduler.domain.topology.place import NoPlace
from services.scheduler.domain.trial import Trial


def take_turn(trial: Trial, entry: Entry, now: int) -> Sequence[Decision]:
    """What was nominated is nominated again if others of this cycle changed what there is."""
    workload, verdict, home = entry.workload, entry.verdict, entry.leaf.name
    if trial.mark != entry.nominated_at and not _still_fits(trial, entry):
        verdict = nominate(trial, workload, home)
    return _decide(trial, workload, verdict, home, now)


def keep_promise(trial: Trial, workload: Workload, now: int) -> Sequence[Decision]:
    """Its pledge becomes its admission; if the configuration changed meanwhile, it gets what there is now."""
    holding = trial.book.holding(workload.uid)
    if holding is None:
        return []
    trial.move(holding, -1)
    verdict = nominate(trial, workload, holding.queue)
    if verdict.mode is not Mode.FIT and workload.pledge and any(map(trial.is_leaving, workload.pledge.awaits)):
        trial.move(holding, +1)
        return []
    if verdict.mode is Mode.NEVER:
        return [Inadmissible(workload.uid, "; ".join(verdict.reasons))]
    return _decide(trial, workload, verdict, holding.queue, now)


def grow(trial: Trial, entry: Entry) -> Sequence[Decision]:
    """More pods for a running workload, if there is room without anybody leaving."""
    workload, admission = entry.workload, entry.workload.admission
    if admission is None or not fits(entry.leaf, entry.usage):
        return []
    more = growth(workload, admission)
    try:
        larger = grown(trial.book.fleet, workload, admission, more)
    except NoPlace:
        return []
    trial.move(newly_held(larger, admission, more), +1)
    wanted = ", ".join(f"{count} more of {name}" for name, count in sorted(more.items()))
    return [Update(workload.uid, larger, f"it wanted {wanted}")]


def _still_fits(trial: Trial, entry: Entry) -> bool:
    """Neither its quota nor its places were given to somebody else meanwhile."""
    verdict = entry.verdict
    if verdict.mode is not Mode.FIT or not fits(entry.leaf, verdict.usage):
        return False
    places = hold(_admission(entry.workload, verdict, entry.leaf.name, 0, None)).places
    return not places or trial.book.fleet.has_room(places)


def _decide(trial: Trial, workload: Workload, verdict: Verdict, home: str, now: int) -> Sequence[Decision]:
    if verdict.mode is Mode.FIT:
        return [_start(trial, workload, verdict, home, now)]
    reasons = list(verdict.reasons)
    if verdict.mode is Mode.PREEMPT:
        found = victims(trial, workload, verdict, home)
        if found:
            return _make_room(trial, workload, verdict, home, found, now)
        if found is not None:
            return [_wait(trial, workload, home, [*reasons, "enough others are leaving"])]
        if (less := smaller(trial, workload, home)) is not None:
            return [_start(trial, workload, less, home, now)]
        reasons.append("nobody may be preempted for it")
    if verdict.mode is Mode.NEVER:
        return [Inadmissible(workload.uid, "; ".join(reasons))]
    return [_wait(trial, workload, home, reasons)]


def _start(trial: Trial, workload: Workload, verdict: Verdict, home: str, now: int) -> Reserve | Admit:
    """All of it or nothing of it. With admission checks to pass it holds quota first and starts when they are ready."""
    spec = trial.book.states[home].spec
    waits = bool(spec and required(spec, verdict.assignments))
    admission = _admission(workload, verdict, home, now, None if waits else now)
    trial.admit(workload, hold(admission, workload.reclaimable))
    return Reserve(workload.uid, admission) if waits else Admit(workload.uid, admission)


def _make_room(
    trial: Trial, workload: Workload, verdict: Verdict, home: str, found: list[Candidate], now: int
) -> Sequence[Decision]:
    """Whoever leaves holds its quota until its pods are gone; meanwhile nobody else may count on that room."""
    admission = _admission(workload, verdict, home, now, None)
    trial.admit(workload, hold(admission, workload.reclaimable))
    out: list[Decision] = []
    for candidate in found:
        trial.evicted[candidate.workload.uid] = None
        out.append(_evict(workload, home, candidate))
    awaits = tuple(trial.leaving(trial.book.forest.queues[home].root))
    names = ", ".join(dict.fromkeys(_named(c.workload, workload) for c in found))
    reason = f"waits until {names} has left" if len(found) == 1 else f"waits until {names} have left"
    return [*out, Queue(workload.uid, 1, reason, Pledge(admission, awaits))]


def _evict(workload: Workload, home: str, candidate: Candidate) -> Evict:
    who = f"{_named(workload, candidate.workload)} of queue {home}"
    why = "on quota that was borrowed" if candidate.outside else "of a later place in the queue"
    message = f"makes room for {who}, being {why}"
    return Evict(candidate.workload.uid, Reason.PREEMPTED, message, by=workload.uid, outside=candidate.outside)


def _named(other: Workload, to: Workload) -> str:
    """As it is told to the owner of `to`: what runs in the namespaces of others is not its business."""
    if other.namespace != to.namespace:
        return "a workload of another namespace"
    return f"{other.kind or 'workload'} {other.namespace}/{other.name}"


def _admission(workload: Workload, verdict: Verdict, home: str, now: int, admitted_at: int | None) -> Admission:
    """Its id is made of facts, so that the same decision has the same id."""
    name = f"{workload.uid}-{now}-{workload.requeues}"
    return Admission(name, home, verdict.assignments, reserved_at=now, admitted_at=admitted_at)


def _wait(trial: Trial, workload: Workload, home: str, reasons: list[str]) -> Queue:
    state = trial.book.states[home]
    position = state.line.position(workload.uid) if workload.uid in state.line else 1
    preempts = state.spec is not None and state.spec.preemption != Preemption()
    again = preempts and trial.has_newcomers(trial.book.forest.queues[home].root)
    return Queue(workload.uid, position, "; ".join(dict.fromkeys(reasons)), again=again)
