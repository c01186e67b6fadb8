"""A service that names a queue runs as many pods as the scheduler lets it, and none before; pure.

Its memory is `status.admission` (contracts.admission). A service that names no queue is not asked about at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from contracts import admission, queueing
from contracts.commands.scheduling.v1 import FinishWorkload, PodSet, ReportWorkload, SubmitWorkload
from libs.base.clock import rfc3339
from services.serving.domain.predictor import Predictor
from services.serving.domain.status import Verdict

Object = dict[str, Any]
PODS = "predictor"
ASK_AGAIN_S = 15.0
GO_ON = "set spec.active of its Workload to true to queue again"


@dataclass(frozen=True)
class Gate:
    """How many pods may run now, what the service remembers, what is said to the scheduler, and why it waits."""

    replicas: int
    memory: Object = field(default_factory=dict)
    says: Sequence[SubmitWorkload | ReportWorkload] = ()
    waits: Verdict | None = None


def queue_of(isvc: Object) -> str | None:
    return (isvc["metadata"].get("labels") or {}).get(queueing.QUEUE_NAME) or None


def gives_back(isvc: Object, wanted: Predictor) -> bool:
    """Whether it has pods that it is to have no more: what they hold is free when they are gone."""
    given = admission.assignment(isvc, PODS)
    return admission.is_evicted(isvc) or (given is not None and wanted.replicas < given.count)


def gate(isvc: Object, wanted: Predictor, template: Object, now: datetime, *, pods: int) -> Gate:
    """`template` is the pod template before anything was assigned; `pods` is how many there still are, of a service
    that gives quota back."""
    asks = _asks(wanted, template)
    if admission.is_evicted(isvc) and pods:
        return _stopping(isvc)
    if admission.sets_aside(admission.of(isvc)) or admission.of(isvc).get("state") == admission.SET_ASIDE:
        return _resting(isvc, asks)
    if admission.is_evicted(isvc):
        return _asking(isvc, asks, now, released=admission.held(isvc))
    if admission.is_admitted(isvc):
        return _running(isvc, asks, pods)
    return _waiting(isvc, asks, now)


def demand_of(isvc: Object, wanted: Predictor, template: Object) -> SubmitWorkload:
    """What it would ask for first."""
    return queueing.submit(isvc, [_asks(wanted, template)])


def _asks(wanted: Predictor, template: Object) -> PodSet:
    return queueing.pod_set(PODS, wanted.replicas, template)


def over(isvc: Object) -> list[FinishWorkload]:
    """What is said when the service and its pods are gone."""
    return [queueing.finish(isvc, "Deleted")] if queue_of(isvc) else []


def with_place(isvc: Object, wanted: Predictor) -> Predictor:
    """The predictor as it is to run under its admission."""
    return replace(wanted, assignment=admission.assignment(isvc, PODS) if admission.is_admitted(isvc) else None)


def ready_report(isvc: Object, status: Object, *, ready: bool) -> tuple[Object, list[ReportWorkload]]:
    """The status and what is said where the pods of an admission became ready, or ceased to be."""
    note = status.get("admission") or {}
    if note.get("state") != admission.ADMITTED or not note.get("id") or bool(note.get("ready")) == ready:
        return status, []
    return {**status, "admission": {**note, "ready": ready}}, [queueing.report(isvc, note["id"], ready=ready)]


def _running(isvc: Object, asks: PodSet, pods: int) -> Gate:
    """Other amounts per pod take another admission. More pods are asked for and had when they are granted; of fewer
    the scheduler hears when the others are gone."""
    note = admission.of(isvc)
    if note.get("requests", asks.requests) != asks.requests:
        told = "what its pods ask for changed; they stop, and it queues with the new amounts"
        changed = {**note, "state": admission.EVICTED, "reason": "Changed", "message": told}
        return Gate(0, _memory(isvc, changed), waits=Verdict("False", "Changed", told))
    given = admission.assignment(isvc, PODS)
    granted = given.count if given else asks.count
    said: list[ReportWorkload] = []
    still_leave = asks.count < granted and pods > asks.count
    if note.get("id") and asks.count != note.get("counts", granted) and not still_leave:
        ready = bool(note.get("ready"))
        said = [queueing.report(isvc, note["id"], ready=ready, counts={PODS: asks.count})]
        note = {**note, "counts": asks.count}
    return Gate(min(asks.count, granted), _memory(isvc, {**note, "requests": asks.requests}), said)


def _waiting(isvc: Object, asks: PodSet, now: datetime) -> Gate:
    """Asked again from time to time, so that no lost letter strands it."""
    note = admission.of(isvc)
    asked = note.get("asked")
    if asked is None or (now - datetime.fromisoformat(asked)).total_seconds() >= ASK_AGAIN_S:
        return _asking(isvc, asks, now, released=admission.released(isvc))
    return Gate(0, _memory(isvc, note), waits=_why(note))


def _asking(isvc: Object, asks: PodSet, now: datetime, *, released: str | None) -> Gate:
    told = admission.of(isvc)
    if admission.is_evicted(isvc):
        told = {}
    note = {
        "since": rfc3339(now),
        "state": admission.WAITING,
        **told,
        "generation": isvc["metadata"].get("generation") or 0,
        "asked": rfc3339(now),
    }
    ask = queueing.submit(isvc, [asks], after=released)
    return Gate(0, {"admission": note, **({"released": released} if released else {})}, [ask], _why(note))


def _resting(isvc: Object, asks: PodSet) -> Gate:
    """Set aside, by a person or for good reasons, it comes back when its Workload is made active and admitted; what it
    asks for is told again where it changed meanwhile."""
    note, generation = admission.of(isvc), isvc["metadata"].get("generation") or 0
    why = Verdict("False", note.get("reason") or "", f"{note.get('message')}; {GO_ON}")
    if note.get("state") == admission.SET_ASIDE and note.get("generation") == generation:
        return Gate(0, _memory(isvc, note), waits=why)
    last = admission.held(isvc)
    told = {key: note[key] for key in ("reason", "message") if key in note}
    rests = {"admission": {**told, "state": admission.SET_ASIDE, "generation": generation}}
    rest = queueing.submit(isvc, [asks], suspended=True, after=last)
    return Gate(0, {**rests, **({"released": last} if last else {})}, [rest], why)


def _stopping(isvc: Object) -> Gate:
    note = admission.of(isvc)
    why = Verdict("False", note.get("reason") or admission.EVICTED, note.get("message") or "")
    return Gate(0, _memory(isvc, note), waits=why)


def _memory(isvc: Object, note: Object) -> Object:
    last = admission.released(isvc)
    return {"admission": note, **({"released": last} if last else {})}


def _why(note: Object) -> Verdict:
    return Verdict("False", note["state"], note.get("reason") or "the scheduler has not answered yet")
