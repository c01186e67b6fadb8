"""What is decided about those who hold quota already, before anybody new gets a turn: time limits, stopped queues,
admission checks, other counts wanted, lost nodes."""

from collections.abc import Iterator
from dataclasses import replace

from services.scheduler.domain.backoff import retry_at
from services.scheduler.domain.checks import required, standing
from services.scheduler.domain.holding import Place
from services.scheduler.domain.model import (
    Admission,
    Admit,
    CheckState,
    Decision,
    Evict,
    Reason,
    Stop,
    Update,
    Workload,
)
from services.scheduler.domain.resize import mended, moved, shrunk
from services.scheduler.domain.trial import Trial


def upkeep(trial: Trial, now: int) -> Iterator[Decision]:
    """At most one decision for each."""
    book = trial.book
    book.look_around()
    decided: dict[str, None] = {}
    for uid, reason in book.deadlines.due(now):
        workload = book.workloads[uid]
        if uid not in decided and workload.active:
            decided[uid] = None
            yield _too_late(trial, workload, reason, now)
    for uid in list(book.restless):
        workload, admission = book.workloads[uid], book.workloads[uid].admission
        if uid in decided or admission is None:
            continue
        decision = _look_at(trial, workload, admission, now)
        if decision is not None:
            yield decision


def _too_late(trial: Trial, workload: Workload, reason: Reason, now: int) -> Evict:
    rules = trial.book.rules
    if reason is Reason.MAXIMUM_EXECUTION_TIME:
        limit = (workload.max_execution_ms or 0) // 1000
        return Evict(workload.uid, reason, f"ran longer than its maximum of {limit} s", deactivate=True)
    tries = workload.requeues + 1
    waited = f"its pods were not ready within {(rules.pods_ready_ms or 0) // 1000} s"
    if rules.requeue_limit is not None and tries > rules.requeue_limit:
        return Evict(workload.uid, Reason.DEACTIVATED, f"{waited}, for the {tries}th time", deactivate=True)
    return Evict(workload.uid, reason, waited, requeue_at=retry_at(rules, tries, now))


def _look_at(trial: Trial, workload: Workload, admission: Admission, now: int) -> Decision | None:
    book, uid = trial.book, workload.uid
    if workload.deleted:
        return Evict(uid, Reason.DELETED, "its Workload was deleted; it queues anew")
    if not workload.active:
        return Evict(uid, Reason.DEACTIVATED, "its Workload was deactivated", deactivate=True)
    stop = book.is_stopped(workload)
    if stop is Stop.HOLD_AND_DRAIN or (stop is Stop.HOLD and admission.admitted_at is None):
        return Evict(uid, Reason.QUEUE_STOPPED, f"its queue is stopped ({stop})")
    holding = book.holding(uid)
    if lost := [place for place in holding.places if book.fleet.is_lost(place)] if holding else []:
        mend = mended(book.fleet, workload, admission, lost)
        if mend is None:
            return Evict(uid, Reason.NODE_FAILURE, f"{_say(lost)} failed and no other place as asked for is free")
        trial.move(moved(admission, mend), +1)
        return Update(uid, mend, f"{_say(lost)} failed; its pods go elsewhere")
    if admission.admitted_at is None:
        return _checked(trial, workload, admission, now)
    smaller = shrunk(workload, admission)
    return Update(uid, smaller, "it wants fewer pods") if smaller != admission else None


def _checked(trial: Trial, workload: Workload, admission: Admission, now: int) -> Decision | None:
    spec = trial.book.states[admission.cluster_queue].spec
    names = required(spec, admission.assignments) if spec else []
    state, who = standing(workload, names)
    said = f"admission check {', '.join(who)}"
    if state is CheckState.REJECTED:
        return Evict(workload.uid, Reason.DEACTIVATED, f"{said} rejected it", deactivate=True)
    if state is CheckState.RETRY:
        at = retry_at(trial.book.rules, workload.requeues + 1, now)
        return Evict(workload.uid, Reason.ADMISSION_CHECK, f"{said} asks to try again later", requeue_at=at)
    return Admit(workload.uid, replace(admission, admitted_at=now)) if state is CheckState.READY else None


def _say(lost: list[Place]) -> str:
    return f"node {', '.join(sorted({place.values[-1] for place in lost}))}"
