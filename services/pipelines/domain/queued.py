"""A step that names a queue: what it asks the scheduler for, what its answers mean, and when its pod may be; pure.

A seat lasts from the start of an attempt until its last pod is gone; evictions do not end it: the step keeps its place
in the queue and comes back as its next attempt. A step that names no queue asks nobody.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal
from uuid import UUID, uuid5

from contracts import admission, queueing
from contracts.admission import Answer
from contracts.commands.scheduling.v1 import FinishWorkload, PodSet, ReportWorkload, SubmitWorkload
from contracts.events.scheduling.v1 import Assignment
from contracts.kinds.pipelinerun import GROUP, VERSION
from libs.base import parse_rfc3339, rfc3339_micro
from services.pipelines.domain.claims import is_claim
from services.pipelines.domain.codes import DEADLINE_EXCEEDED, UNAVAILABLE
from services.pipelines.domain.engine.records import Error, State
from services.pipelines.domain.engine.words import Failed
from services.pipelines.domain.runs import RunOptions
from services.pipelines.domain.steps.attached import attached
from services.pipelines.domain.steps.naming import label_value, pod_name
from services.pipelines.domain.steps.pod import KFP_RUN, NAME
from services.pipelines.domain.steps.values import StepOrder

Json = dict[str, Any]
KIND, API_VERSION = "PipelineTask", "millstream.dev/v1alpha1"
"""What the scheduler's Workload says that it stands for."""
PODS = "step"
TOO_LONG = "MaximumExecutionTimeExceeded"
ASK_AGAIN_S = 15.0
ASKS_A_S = 20
"""However many wait, they ask again no faster than this all together."""
EVICTED = "Evicted"
End = Literal["Succeeded", "Failed", "Deleted"]


@dataclass(frozen=True)
class Ask:
    """What an attempt wants of the scheduler."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    pods: PodSet
    owners: Sequence[dict[str, str]] = ()


@dataclass(frozen=True)
class Seat:
    """`attempt` is the one that is to run, `pod` the one whose pod may be there (0: none). `memory` is what
    contracts.admission keeps; `over` how its task ended, while its last pod is still there."""

    uid: str
    run_id: str
    task: str
    path: str
    namespace: str
    name: str
    attempt: int
    ask: Json
    pod: int = 0
    memory: Json = field(default_factory=dict)
    over: str = ""

    def to_json(self) -> Json:
        return dict(vars(self))

    @property
    def obj(self) -> Json:
        """As contracts.queueing and contracts.admission read an owner."""
        about = {"namespace": self.namespace, "name": self.name, "uid": self.uid, "generation": self.attempt}
        told = {"labels": self.ask["labels"], "annotations": self.ask["annotations"]}
        return {"apiVersion": API_VERSION, "kind": KIND, "metadata": {**about, **told}, "status": self.memory}

    @property
    def pod_name(self) -> str:
        """Pods differ in the attempt at their end."""
        return f"{self.name.rpartition('-')[0]}-{self.pod}"

    @property
    def queue(self) -> str:
        return str(self.ask["labels"][queueing.QUEUE_NAME])

    @property
    def state(self) -> str:
        return str(admission.of(self.obj).get("state") or "")

    @property
    def is_evicted(self) -> bool:
        return admission.is_evicted(self.obj)

    @property
    def may_run(self) -> bool:
        return not self.over and admission.is_admitted(self.obj)

    @property
    def is_leaving(self) -> bool:
        """Its pod is to go, and what it holds with it."""
        return self.pod > 0 and (bool(self.over) or self.is_evicted)

    @property
    def waits(self) -> bool:
        return not self.over and self.pod == 0 and self.state in (admission.WAITING, admission.QUEUED)

    @property
    def given(self) -> Assignment | None:
        return admission.assignment(self.obj, PODS)


_NAME = re.compile(r"[a-z0-9]([-.a-z0-9]{0,61}[a-z0-9])?")
_NAMES = (queueing.QUEUE_NAME, queueing.PRIORITY_CLASS)


def options(queue: str, priority_class: str, documents: Mapping[str, Mapping[str, Any]]) -> RunOptions:
    """What a run asks for, by itself and in the kubernetes documents of its executors. Raises ValueError for names that
    no queue and no class can have."""
    if priority_class and not queue:
        raise ValueError("priority_class: it counts in a queue; name one in `queue`")
    for what, name in (("queue", queue), ("priority_class", priority_class)):
        _check(what, name)
    for executor, document in documents.items():
        labels = (document.get("podMetadata") or {}).get("labels") or {}
        for key in _NAMES:
            _check(f"executor {executor}: label {key}", str(labels.get(key) or ""))
        _limit(f"executor {executor}: ", labels)
    return RunOptions(queue=queue, priority_class=priority_class)


def _check(field: str, name: str) -> None:
    if name and not _NAME.fullmatch(name):
        raise ValueError(f"{field}: {name!r} is not a name of lower-case letters, digits, - and ., at most 63")


def _limit(where: str, labels: Mapping[str, str]) -> None:
    limit = labels.get(queueing.MAX_EXECUTION, "1")
    if not limit.isdecimal() or int(limit) < 1:
        raise ValueError(f"{where}label {queueing.MAX_EXECUTION}: {limit!r} is no number of seconds of 1 or more")


def wanted(order: StepOrder, options: RunOptions) -> Ask | None:
    """None for a step that names no queue, by itself or by its run. Raises ValueError for amounts that are none."""
    named = (order.platform.get("podMetadata") or {}).get("labels") or {}
    queue = named.get(queueing.QUEUE_NAME) or options.queue
    if not queue or is_claim(order.image):
        return None
    extra = attached(order.platform)
    labels = {key: value for key, value in extra.labels.items() if key.startswith(queueing.PREFIX)}
    ours = {KFP_RUN: order.run_id, NAME: label_value(order.name)}
    asked = {queueing.QUEUE_NAME: queue, queueing.PRIORITY_CLASS: options.priority_class, **labels, **ours}
    _limit("", labels)
    spec: Json = {key: extra.spec[key] for key in ("nodeSelector", "tolerations") if extra.spec.get(key)}
    spec["containers"] = [{"resources": order.resources}]
    template = {"metadata": {"annotations": extra.annotations}, "spec": spec}
    pods = queueing.pod_set(PODS, 1, template)
    return Ask({key: value for key, value in asked.items() if value}, extra.annotations, pods, _owners(order, options))


def _owners(order: StepOrder, options: RunOptions) -> list[dict[str, str]]:
    """A task is no object that is served; its run's PipelineRun is, if it has one."""
    if not options.pipeline_run:
        return []
    about = {"kind": "PipelineRun", "name": options.pipeline_run, "uid": order.run_id}
    return [{"apiVersion": f"{GROUP}/{VERSION}", **about}]


def seat(order: StepOrder, ask: Ask) -> Seat:
    """The seat of an attempt that asks for the first time; the same however often it is made."""
    return Seat(
        uid=str(uuid5(UUID(order.uid), f"queue/{order.attempt}")),
        run_id=order.run_id,
        task=order.uid,
        path=order.path,
        namespace=order.namespace,
        name=pod_name(order.run_id, order.name, order.path, order.attempt),
        attempt=order.attempt,
        ask={
            "labels": dict(ask.labels),
            "annotations": dict(ask.annotations),
            "pods": ask.pods.model_dump(mode="json"),
            "owners": list(ask.owners),
        },
    )


def asks(seat: Seat, now: datetime) -> tuple[Seat, SubmitWorkload]:
    """For the first time, again because no answer came, or anew after an eviction. Whoever was set aside by a person
    rests until that person, or another, makes its Workload active again."""
    note, last = admission.of(seat.obj), admission.released(seat.obj)
    rests = admission.sets_aside(note) or note.get("state") == admission.SET_ASIDE
    if rests:
        told: Json = {key: note[key] for key in ("reason", "message") if key in note}
        note = {**told, "state": admission.SET_ASIDE}
    elif admission.is_evicted(seat.obj):
        note = {}
    at = rfc3339_micro(now)
    note = {"state": admission.WAITING, "since": at, **note, "generation": seat.attempt, "asked": at}
    asking = replace(seat, memory={**seat.memory, "admission": note})
    pods = [PodSet.read(seat.ask["pods"])]
    return asking, queueing.submit(asking.obj, pods, suspended=rests, after=last, owners=seat.ask.get("owners", []))


def heard(seat: Seat, answer: Answer) -> Seat | None:
    """None where it says nothing new. An admission lets its attempt have a pod from now on."""
    note = None if seat.over else admission.heard(seat.obj, answer)
    if note is None:
        return None
    after = replace(seat, memory={**seat.memory, "admission": note})
    return replace(after, pod=seat.attempt) if after.may_run and not seat.pod else after


def freed(seat: Seat) -> Seat:
    """Its pod is gone, and with it what it held."""
    held = admission.held(seat.obj)
    return replace(seat, pod=0, memory={**seat.memory, **({"released": held} if held else {})})


def ready(seat: Seat) -> tuple[Seat, ReportWorkload | None]:
    """Its program runs."""
    note = admission.of(seat.obj)
    if not seat.may_run or not note.get("id") or note.get("ready"):
        return seat, None
    told = queueing.report(seat.obj, note["id"], ready=True)
    return replace(seat, memory={**seat.memory, "admission": {**note, "ready": True}}), told


def ends(seat: Seat) -> FinishWorkload:
    """Its Workload goes with it: the task tells how it was, and runs of thousands of steps leave nothing behind."""
    return queueing.finish(seat.obj, "Deleted")


def how(state: State) -> End:
    return "Succeeded" if state is State.SUCCEEDED else "Failed"


def outcome(seat: Seat) -> Failed:
    """What an attempt comes to that had to give its place back: no failure, unless its own time limit ended it."""
    note = admission.of(seat.obj)
    if note.get("reason") == TOO_LONG:
        limit = seat.ask["labels"].get(queueing.MAX_EXECUTION)
        told = f"it ran longer than the {limit} s of its label {queueing.MAX_EXECUTION}"
        return Failed(Error(told, DEADLINE_EXCEEDED, TOO_LONG))
    return Failed(Error(why(seat), UNAVAILABLE, EVICTED), evicted=True)


def why(seat: Seat) -> str:
    """Why there is no pod of it, or why its pod has to go; a sentence for people."""
    note, queue = admission.of(seat.obj), f"queue {seat.queue}"
    told = str(note.get("message") or note.get("reason") or "")
    match note.get("state"):
        case admission.EVICTED:
            return f"evicted from {queue} ({note.get('reason')}): {told}"
        case admission.SET_ASIDE:
            return f"set aside in {queue}: {told}; set spec.active of its Workload to true to queue again"
        case admission.QUEUED:
            return f"waits in {queue}: {told}"
    return f"waits in {queue}: the scheduler has not answered yet"


def asked_at(seat: Seat) -> datetime | None:
    told = admission.of(seat.obj).get("asked")
    return parse_rfc3339(told) if told else None


def patience_s(waiting: int) -> float:
    """After how long one of so many asks again, so that no lost letter strands it."""
    return max(ASK_AGAIN_S, waiting / ASKS_A_S)
