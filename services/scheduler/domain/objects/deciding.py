"""What a decision changes in a Workload, and what its owner is told of it."""

from collections.abc import Sequence
from datetime import datetime
from string import digits as DIGITS
from typing import Any

from contracts.events.scheduling.v1 import WorkloadAdmitted, WorkloadEvicted, WorkloadQueued
from contracts.messages import Event
from libs.base.clock import rfc3339
from services.scheduler.domain.model import (
    Admission,
    Admit,
    Decision,
    Evict,
    Inadmissible,
    Queue,
    Reason,
    Reserve,
    Update,
)
from services.scheduler.domain.objects import packing, shown
from services.scheduler.domain.objects.asking import BY_SCHEDULER, BY_USER, freed, fresh, locked
from services.scheduler.domain.objects.conditions import with_condition
from services.scheduler.domain.objects.workloads import memory, owner

Object = dict[str, Any]


INACTIVE = "its Workload is not active; set spec.active of it to true"


def decided(obj: Object, decision: Decision, checks: Sequence[str], now: datetime) -> tuple[Object, Event | None]:
    """The Workload after the decision, and the fact for its owner; the very same object if nothing is new.

    `checks` are the admission checks that its queue asks for.
    """
    match decision:
        case Reserve():
            return _reserved(obj, decision.admission, checks, now), None
        case Admit():
            return _admitted(obj, decision.admission, now)
        case Update():
            return _updated(obj, decision.admission)
        case Evict():
            return _evicted(obj, decision, now)
        case Queue():
            return _queued(obj, decision, now)
    return _inadmissible(obj, decision, now)


def answer(obj: Object) -> Event | None:
    """What its owner was told last, for one that asks again."""
    own = memory(obj)
    held = own.get("admission")
    if held and held.get("evicted"):
        return _eviction(obj, held["evicted"], own.get("why") or "")
    if held:
        return _admission(obj) if held.get("admitted") else None
    if own.get("held"):
        return WorkloadQueued(**_about(obj), position=1, reason=own["held"])
    if obj["spec"].get("active") is False and not own.get("suspended"):
        return WorkloadQueued(**_about(obj), position=1, reason=INACTIVE)
    told = own.get("told")
    return WorkloadQueued(**_about(obj), **told) if told and not own.get("suspended") else None


def is_news(told: Object | None, position: int, reason: str) -> bool:
    """Whether a place differs enough from the one told last. The first in the queue hears all; another only when its
    place is half of what it was told, or twice: O(log n) letters on its way through a queue of n.
    """
    if told is None:
        return True
    before = told["position"]
    if 1 in (position, before) or reason.lstrip(DIGITS) != told["reason"].lstrip(DIGITS):
        return (position, reason) != (before, told["reason"])
    return not 2 * position > before > position / 2


def _reserved(obj: Object, given: Admission, checks: Sequence[str], now: datetime) -> Object:
    own = memory(obj)
    if own.get("aside"):
        own = {**fresh(own), "suspended": False}
    number = (own.get("last") or 0) + 1
    packed = {**packing.packed(given), "id": str(number)}
    kept = {key: value for key, value in own.items() if key not in ("pledge", "told", "requeueAt", "why")}
    words = "QuotaReserved", f"Quota reserved in ClusterQueue {given.cluster_queue}"
    told = with_condition(_conditions(obj), "QuotaReserved", True, *words, now)
    for past in ("Evicted", "Preempted"):
        if any(c["type"] == past for c in told):
            told = with_condition(told, past, False, "QuotaReserved", f"Previously: {_message(told, past)}", now)
    status = {**obj["status"], "conditions": told, "admission": shown.admission(given)}
    if checks:
        pending = {"state": "Pending", "lastTransitionTime": rfc3339(now), "message": ""}
        status["admissionChecks"] = [{"name": name, **pending} for name in checks]
    status["scheduling"] = {**kept, "last": number, "admission": packed}
    return locked({**obj, "status": status})


def _admitted(obj: Object, given: Admission, now: datetime) -> tuple[Object, Event]:
    """Anew, or with what was reserved before."""
    if not memory(obj).get("admission"):
        obj = _reserved(obj, given, (), now)
    own = memory(obj)
    packed = {**packing.packed(given), "id": own["admission"]["id"]}
    told = with_condition(_conditions(obj), "Admitted", True, "Admitted", "The workload is admitted", now)
    status = {**obj["status"], "conditions": told, "admission": shown.admission(given)}
    kept = {key: value for key, value in own.items() if key != "since"}
    after = {**obj, "status": {**status, "scheduling": {**kept, "admission": packed}}}
    return after, _admission(after)


def _updated(obj: Object, given: Admission) -> tuple[Object, Event]:
    own = memory(obj)
    held = own["admission"]
    packed = {**packing.packed(given), "id": held["id"], "revision": held.get("revision", 0) + 1}
    status = {**obj["status"], "admission": shown.admission(given), "scheduling": {**own, "admission": packed}}
    after = {**obj, "status": status}
    return after, _admission(after)


def _evicted(obj: Object, decision: Evict, now: datetime) -> tuple[Object, Event | None]:
    own, reason = memory(obj), decision.reason.value
    told = with_condition(_conditions(obj), "Evicted", True, reason, decision.message, now)
    if decision.by:
        told = with_condition(told, "Preempted", True, _preempted(decision), decision.message, now)
    own = {**own, "why": decision.message, "admission": {**own["admission"], "evicted": reason}}
    status = {**obj["status"], "conditions": told, "schedulingStats": _counted(obj, decision.reason)}
    if decision.requeue_at:
        more = decision.reason is Reason.PODS_READY_TIMEOUT
        own |= {"requeueAt": decision.requeue_at, "requeues": own.get("requeues", 0) + more}
        at = rfc3339(datetime.fromtimestamp(decision.requeue_at / 1000, now.tzinfo))
        status["requeueState"] = {"count": own["requeues"], "requeueAt": at}
    if decision.outside:
        own["outsideEvictions"] = own.get("outsideEvictions", 0) + 1
    spec = obj["spec"]
    if decision.deactivate:
        own["aside"] = BY_USER if spec.get("active") is False else BY_SCHEDULER
        spec = {**spec, "active": False}
    after = {**obj, "spec": spec, "status": {**status, "scheduling": own}}
    told = _eviction(after, reason, decision.message)
    if own["admission"].get("admitted"):
        return after, told
    # It never started: nobody has pods to stop. An owner that is to rest hears of it all the same.
    return freed(after, now), told if decision.deactivate else None


def _counted(obj: Object, reason: Reason) -> Object:
    """`schedulingStats` with one eviction more, by Kueue's reason and underlying cause: there a limit deactivates."""
    limit = reason is Reason.MAXIMUM_EXECUTION_TIME
    cause = reason.value if limit else "WaitForStart" if reason is Reason.PODS_READY_TIMEOUT else ""
    key = {"reason": Reason.DEACTIVATED.value if limit else reason.value, "underlyingCause": cause}
    before = (obj["status"].get("schedulingStats") or {}).get("evictions") or []
    others = [each for each in before if {**each, "count": 0} != {**key, "count": 0}]
    count = next((each["count"] for each in before if each not in others), 0)
    return {"evictions": [*others, {**key, "count": count + 1}]}


def _preempted(decision: Evict) -> str:
    return "InCohortReclamation" if decision.outside else "InClusterQueue"


def _queued(obj: Object, decision: Queue, now: datetime) -> tuple[Object, Event | None]:
    own = memory(obj)
    pledge = packing.packed_pledge(decision.pledge) if decision.pledge else None
    news = is_news(own.get("told"), decision.position, decision.reason)
    if not news and pledge == own.get("pledge"):
        return obj, None
    told = {"position": decision.position, "reason": decision.reason} if news else own["told"]
    own = {key: value for key, value in own.items() if key != "pledge"} | {"told": told}
    after = _waiting(obj, {**own, **({"pledge": pledge} if pledge else {})}, "Pending", decision.reason, now)
    return after, WorkloadQueued(**_about(obj), **told) if news else None


def _inadmissible(obj: Object, decision: Inadmissible, now: datetime) -> tuple[Object, Event | None]:
    own, told = memory(obj), {"position": 1, "reason": decision.reason}
    if own.get("told") == told and not own.get("pledge"):
        return obj, None
    own = {key: value for key, value in own.items() if key != "pledge"} | {"told": told}
    after = _waiting(obj, own, "Inadmissible", decision.reason, now)
    return after, WorkloadQueued(**_about(obj), **told)


def _waiting(obj: Object, own: Object, reason: str, message: str, now: datetime) -> Object:
    told = with_condition(_conditions(obj), "QuotaReserved", False, reason, message, now)
    return {**obj, "status": {**(obj.get("status") or {}), "conditions": told, "scheduling": own}}


def _admission(obj: Object) -> WorkloadAdmitted:
    own = memory(obj)
    given = packing.unpacked(own["admission"])
    return WorkloadAdmitted(
        **_about(obj),
        generation=max(0, own.get("generation") or 0),
        admission=given.id,
        revision=own["admission"].get("revision", 0),
        cluster_queue=given.cluster_queue,
        pod_sets=shown.assignments(given),
    )


def _eviction(obj: Object, reason: str, message: str) -> WorkloadEvicted:
    own = memory(obj)
    more = {"reason": reason, "message": message, "generation": max(0, own.get("generation") or 0)}
    return WorkloadEvicted(**_about(obj), admission=own["admission"]["id"], **more)


def _about(obj: Object) -> dict[str, str]:
    return {"namespace": obj["metadata"]["namespace"], **owner(obj)}


def _conditions(obj: Object) -> list[Object]:
    return (obj.get("status") or {}).get("conditions") or []


def _message(conditions: list[Object], type: str) -> str:
    found = next(c["message"] for c in conditions if c["type"] == type)
    return str(found.removeprefix("Previously: "))
