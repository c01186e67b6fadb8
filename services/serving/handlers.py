"""What serving does when it hears of a model version: it remembers it, and rolls it out where that was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from contracts.admission import Answer, heard
from contracts.envelope import Event
from contracts.events.registry.v1 import ModelVersionCreated
from contracts.kinds.inferenceservice import FORMATS
from services.serving.domain.predictor import REGISTRY, KnownVersion
from services.serving.ports import Needs

NUMBER = "serving.millstream.dev/model-version-id"
MODEL = "serving.millstream.dev/model"


async def when_model_version_created(event: ModelVersionCreated, needs: Needs) -> Sequence[Event]:
    """Ids of the registry grow, so the version with the larger one is the newer, in whatever order they are heard."""
    number = int(event.version_id) if event.version_id.isdigit() else 0
    known = KnownVersion(event.model, event.version, number, event.uri, event.format)
    await needs.versions.put(known)
    if event.serve_as and event.namespace:
        await _serve(event.namespace, event.serve_as, known, needs)
    return []


async def when_workload_answered(event: Answer, needs: Needs) -> Sequence[Event]:
    """Remembers what the scheduler said of a service; the reconciler does the rest."""
    isvc = await needs.services.find(event.namespace, event.name) if event.kind == "InferenceService" else None
    if isvc is None or isvc["metadata"]["uid"] != event.uid or isvc["metadata"].get("deletionTimestamp"):
        return []
    note = heard(isvc, event)
    if note is not None:
        await needs.services.set_status(isvc, {**(isvc.get("status") or {}), "admission": note})
    return []


async def _serve(namespace: str, name: str, known: KnownVersion, needs: Needs) -> None:
    present = await needs.services.find(namespace, name)
    notes = {MODEL: known.model, NUMBER: str(known.number)}
    if present is None:
        await needs.services.create(_new(namespace, name, known, notes))
    elif _number(present) < known.number:
        await needs.services.merge(namespace, name, _change(present, known, notes))


def _number(isvc: dict[str, Any]) -> int:
    """The version that this service was last rolled out to by an event; -1 when a person made it."""
    text = (isvc["metadata"].get("annotations") or {}).get(NUMBER, "")
    return int(text) if text.isdigit() else -1


def _model(known: KnownVersion) -> dict[str, Any]:
    uri = f"{REGISTRY}{known.model}/{known.version}"
    return {"modelFormat": {"name": known.format}, "storageUri": uri}


def _new(namespace: str, name: str, known: KnownVersion, notes: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": name, "namespace": namespace, "annotations": notes},
        "spec": {"predictor": {"minReplicas": 1, "model": _model(known)}},
    }


def _change(present: dict[str, Any], known: KnownVersion, notes: dict[str, str]) -> dict[str, Any]:
    """A merge patch: the new model, in the modern form even where the older one was used; the rest is the user's."""
    predictor = present["spec"]["predictor"]
    legacy = {form: None for form in FORMATS if predictor.get(form) is not None}
    return {"metadata": {"annotations": notes}, "spec": {"predictor": {**legacy, "model": _model(known)}}}
