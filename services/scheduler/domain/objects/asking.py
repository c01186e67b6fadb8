"""What an owner's words change in its Workload. Said twice or late they change nothing: of two wishes the higher
generation holds, quota is free only once its pods are gone, and the end is final.
"""

from datetime import datetime
from typing import Any

from contracts.commands.scheduling.v1 import FinishWorkload, ReportWorkload, SubmitWorkload
from libs.base import milliseconds
from services.scheduler.domain import moves
from services.scheduler.domain.objects.conditions import with_condition
from services.scheduler.domain.objects.workloads import FINISHED, memory, pod_set, workload

Object = dict[str, Any]
FINALIZER = "kueue.x-k8s.io/resource-in-use"
"""While pods may be there: a Workload that is deleted by hand stays until they are gone."""
BY_USER, BY_SCHEDULER = "user", "scheduler"
"""Who set a workload aside: `aside` in its memory, from the eviction until it is taken up again."""


def asked(obj: Object, wish: SubmitWorkload, priority: int | None, now: datetime) -> Object:
    """`priority` is that of the class that it names; None if there is no such class, and then it waits for it."""
    own = memory(obj)
    if wish.generation < own.get("generation", 0):
        return obj
    if own.get("admission") and _is_gone(own["admission"], wish):
        obj = freed(obj, now)
    resumed = bool(memory(obj).get("aside")) and bool(memory(obj).get("suspended")) and not wish.suspended
    if resumed:
        obj = _taken_up(obj)
    own = {**memory(obj), "generation": wish.generation, "suspended": wish.suspended}
    own["last"] = max(own.get("last") or 0, int(wish.after or 0))
    own.pop("held", None)
    if wish.suspended:
        own.pop("since", None)
    elif not own.get("admission"):
        own.setdefault("since", milliseconds(now))
    if priority is None and wish.priority_class and not own.get("admission"):
        own["held"] = f"there is no WorkloadPriorityClass {wish.priority_class!r}: create it, or change the label"
    changed = _remembering(obj, own)
    return changed if own.get("admission") else _asking_for(changed, wish, priority)


def _taken_up(obj: Object) -> Object:
    """Its owner resumed it: active again if the scheduler had set it aside; what a user deactivated waits for one."""
    own, by_user = fresh(memory(obj)), memory(obj)["aside"] == BY_USER
    spec = obj["spec"] if by_user else {**obj["spec"], "active": True}
    return _remembering({**obj, "spec": spec}, own)


def fresh(own: Object) -> Object:
    """The memory of one that was set aside and begins anew."""
    return {key: value for key, value in own.items() if key not in ("aside", "ran", "requeues", "requeueAt")}


def reported(obj: Object, report: ReportWorkload, now: datetime) -> Object:
    """Of the present admission alone."""
    own = memory(obj)
    admission = own.get("admission")
    if not admission or admission["id"] != report.admission:
        return obj
    after = moves.reported(workload(obj), report.ready, report.reclaimable, report.counts, milliseconds(now))
    if after.admission is not None and after.admission.ready_at is not None:
        own = {**own, "admission": {**admission, "ready": after.admission.ready_at}}
    told = {"reclaimable": dict(after.reclaimable), "counts": dict(after.counts), "requeues": after.requeues}
    out = _remembering(obj, {key: value for key, value in {**own, **told}.items() if value not in ({}, 0)})
    over = [{"name": name, "count": count} for name, count in sorted(after.reclaimable.items())]
    words = ("Started", "All pods are ready") if report.ready else ("WaitForStart", "Not all pods are ready")
    status = {**out["status"], "conditions": with_condition(_conditions(out), "PodsReady", report.ready, *words, now)}
    return {**out, "status": {**status, **({"reclaimablePods": over} if over else {})}}


def finished(obj: Object, word: FinishWorkload, now: datetime) -> Object:
    """It keeps its place in lists until its owner is deleted, and holds nothing."""
    own = {
        key: value for key, value in memory(obj).items() if key not in ("admission", "pledge", "told", "held", "since")
    }
    message = word.message or f"{word.kind} {word.name} is over: {word.reason}"
    done = with_condition(_conditions(obj), FINISHED, True, word.reason, message, now)
    return _unlocked(_with_status(_remembering(obj, own), conditions=done))


def freed(obj: Object, now: datetime) -> Object:
    """Its pods are gone: what it held is for others, and it may wait again."""
    own = memory(obj)
    held = own["admission"]
    ran = own.get("ran", 0)
    if held.get("admitted"):
        ran += max(0, milliseconds(now) - held["admitted"])
    kept = {k: v for k, v in own.items() if k not in ("admission", "pledge", "reclaimable", "counts", "told")}
    why = "Pending", "The workload waits for quota again"
    told = with_condition(_conditions(obj), "QuotaReserved", False, *why, now)
    told = with_condition(told, "Admitted", False, "NoReservation", "The workload has no reservation", now)
    told = [c for c in told if c["type"] != "PodsReady"]
    status = {key: value for key, value in obj["status"].items() if key not in _OF_AN_ADMISSION}
    status |= {"conditions": told, "accumulatedPastExecutionTimeSeconds": ran // 1000}
    return _unlocked(_remembering({**obj, "status": status}, {**kept, "ran": ran, "since": milliseconds(now)}))


_OF_AN_ADMISSION = ("admission", "admissionChecks", "reclaimablePods")


def locked(obj: Object) -> Object:
    """Deleted by hand, it stays until its pods are gone."""
    found = obj["metadata"].get("finalizers") or []
    return obj if FINALIZER in found else _finalizers(obj, [*found, FINALIZER])


def _unlocked(obj: Object) -> Object:
    found = obj["metadata"].get("finalizers") or []
    return _finalizers(obj, [one for one in found if one != FINALIZER]) if FINALIZER in found else obj


def _finalizers(obj: Object, names: list[str]) -> Object:
    meta = {key: value for key, value in obj["metadata"].items() if key != "finalizers"}
    return {**obj, "metadata": {**meta, **({"finalizers": names} if names else {})}}


def _is_gone(admission: Object, wish: SubmitWorkload) -> bool:
    """An owner says that it is suspended only when it has no pods."""
    return wish.suspended or (wish.after is not None and int(wish.after) >= int(admission["id"]))


def _asking_for(obj: Object, wish: SubmitWorkload, priority: int | None) -> Object:
    """What it asks for may change as long as it holds nothing; an owner that cannot tell changes nothing."""
    spec = dict(obj["spec"])
    if wish.pod_sets:
        spec["podSets"] = [pod_set(one) for one in wish.pod_sets]
    spec |= {"queueName": wish.queue, "maximumExecutionTimeSeconds": wish.max_execution_s}
    if memory(obj).get("asked") != (now := [wish.priority_class, wish.priority]):
        spec["priority"] = priority if wish.priority_class else wish.priority
        named = {"group": "kueue.x-k8s.io", "kind": "WorkloadPriorityClass", "name": wish.priority_class}
        spec["priorityClassRef"] = named if wish.priority_class else None
        if priority is not None or not wish.priority_class:
            obj = _remembering(obj, {**memory(obj), "asked": now})
    spec = {key: value for key, value in spec.items() if value is not None}
    if spec == obj["spec"]:
        return obj
    meta = {**obj["metadata"], "generation": int(obj["metadata"].get("generation") or 0) + 1}
    return {**obj, "metadata": meta, "spec": spec}


def _remembering(obj: Object, own: Object) -> Object:
    return _with_status(obj, scheduling=own)


def _with_status(obj: Object, **parts: Any) -> Object:
    return {**obj, "status": {**(obj.get("status") or {}), **parts}}


def _conditions(obj: Object) -> list[Object]:
    return (obj.get("status") or {}).get("conditions") or []
