"""The InferenceService kind as this service serves it: columns, name rules and the facts of its coming and going."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from contracts.events.serving.v1 import InferenceServiceCreated, InferenceServiceDeleted
from contracts.kinds.inferenceservice import GROUP, VERSION, InferenceService
from contracts.messages import Message
from contracts.queueing import QUEUE_NAME
from contracts.reaching import reaching
from libs.base import Cause, Invalid
from libs.resources.kinds import Admission, Column, Kind, Object, Right
from services.serving.domain.queued import over, queue_of

FINALIZER = "millstream.dev/workloads"
MAX_NAME = 63 - len("-predictor")


def _admit(obj: Object, old: Object | None, admission: Admission) -> Object:
    causes = [*_name(obj, old), *_queue(obj, old), *_canary(obj)]
    if causes:
        raise Invalid.about(f"inferenceservices.{GROUP}", obj["metadata"].get("name") or "", causes=causes)
    return obj


def _name(obj: Object, old: Object | None) -> Iterator[Cause]:
    name = obj["metadata"].get("name") or ""
    if old is None and len(name) > MAX_NAME:
        yield Cause("metadata.name", f"must have at most {MAX_NAME} characters, it has {len(name)}")


def _queue(obj: Object, old: Object | None) -> Iterator[Cause]:
    """Who could take the label off, or choose another queue, would keep pods that no quota holds."""
    if old is not None and queue_of(obj) != queue_of(old):
        told = f"is immutable ({queue_of(old)!r}); delete the service and create it again"
        yield Cause(f"metadata.labels[{QUEUE_NAME}]", told, "FieldValueForbidden")


def _canary(obj: Object) -> Iterator[Cause]:
    """Two revisions need pods of both, which no quota was asked for."""
    if queue_of(obj) is not None and obj["spec"]["predictor"].get("canaryTrafficPercent") not in (None, 100):
        told = f"cannot be used with the label {QUEUE_NAME}; remove one of them"
        yield Cause("spec.predictor.canaryTrafficPercent", told, "FieldValueForbidden")


def _rights(obj: Object, old: Object | None) -> frozenset[Right]:
    """Serving creates pods, and must not lend that right to who may not: powers of accounts, Secrets, volumes."""
    if old is not None and old.get("spec") == obj.get("spec"):
        return frozenset()
    where = obj["metadata"].get("namespace", "")
    field = next(reaching(obj.get("spec"), "spec"), None)
    return frozenset({Right("create", "", "v1", "pods", where, because=field)} if field else ())


def _events(op: str, obj: Object, old: Object | None) -> Sequence[Message]:
    metadata = obj["metadata"]
    about = {"namespace": metadata.get("namespace", ""), "name": metadata["name"], "uid": metadata["uid"]}
    if op == "ADDED":
        return [InferenceServiceCreated(**about)]
    if op != "DELETED":
        return []
    return [InferenceServiceDeleted(**about), *over(obj)]


def _ready(obj: Object, now: datetime) -> Any:
    conditions = (obj.get("status") or {}).get("conditions") or []
    return next((entry["status"] for entry in conditions if entry["type"] == "Ready"), "")


INFERENCESERVICE = Kind(
    group=GROUP,
    version=VERSION,
    kind="InferenceService",
    plural="inferenceservices",
    singular="inferenceservice",
    model=InferenceService,
    short_names=("isvc",),
    categories=("all", "kserve"),
    columns=(
        Column("URL", "string", ".status.url"),
        Column("Ready", "string", _ready),
        Column("LatestReadyRevision", "string", ".status.components.predictor.latestReadyRevision"),
        Column("Age", "date", ".metadata.creationTimestamp"),
    ),
    finalizer=FINALIZER,
    admit=_admit,
    rights=_rights,
    events=_events,
    name_is_label=True,
    description="InferenceService serves one model over the V1 and Open Inference protocols.",
)
