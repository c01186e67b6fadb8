"""What the registry does when it hears of a trained model, and when the others hear of a version.

registry.modelversion.created.v1 is said once for each version: in the transaction in which its first model artifact
with a non-empty `uri` is recorded (created or patched, over REST or from a job). Its namespace is the version's custom
property `namespace`, a string; without one the version belongs to no namespace ("").
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from contracts.envelope import Event
from contracts.events.registry.v1 import ModelVersionCreated
from contracts.events.training.v1 import ModelArtifact, TrainJobSucceeded
from services.registry.domain import lineage
from services.registry.domain.paging import Page
from services.registry.domain.records import Record, custom_string, new_record, next_version
from services.registry.ports import Needs

_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


async def when_train_job_succeeded(event: TrainJobSucceeded, needs: Needs) -> Sequence[Event]:
    """A job that asked for it becomes model, version and artifact; a job seen before changes nothing."""
    if not event.register_model or event.model is None or await needs.records.of_job(event.uid):
        return []
    version = await _record_version(event, event.model, await _model_named(event.model.name, needs), needs)
    await _record_artifact(event.model, version, needs)
    said = await announcement(version, needs, serve_as=event.serve_as)
    return [said] if said else []


async def _model_named(name: str, needs: Needs) -> Record:
    known = await needs.records.find("model", name=name)
    return known or await needs.records.add(new_record("model", name, {"state": "LIVE"}, now_ms=needs.now_ms()))


async def _record_version(event: TrainJobSucceeded, model: ModelArtifact, parent: Record, needs: Needs) -> Record:
    taken = await needs.records.names("version", parent.id)
    name = model.version or next_version(taken)
    if name in taken:
        # Somebody registered that version already; the model is too dear to be lost over a name.
        name = f"{name}-{event.uid[:8]}"
    fields = {
        "description": lineage.sentence(event),
        "state": "LIVE",
        "author": f"trainjob/{event.name}",
        "customProperties": lineage.properties(event),
    }
    record = new_record("version", name, fields, parent=parent.id, now_ms=needs.now_ms())
    record.job_uid = event.uid
    return await needs.records.add(record)


async def _record_artifact(model: ModelArtifact, version: Record, needs: Needs) -> Record:
    fields = {
        "artifactType": "model-artifact",
        "uri": model.uri,
        "state": "LIVE",
        "modelFormatName": model.format,
        "modelSourceKind": "trainjob",
        "modelSourceId": version.job_uid or "",
    }
    return await needs.records.add(new_record("artifact", model.name, fields, parent=version.id, now_ms=needs.now_ms()))


async def announcement(version: Record, needs: Needs, serve_as: str | None = None) -> ModelVersionCreated | None:
    """The event to say now, or None when there is nothing to point at yet or it was said before."""
    if version.announced:
        return None
    artifacts, _ = await needs.records.list("artifact", Page(1000), parent=version.id, artifact_type="model-artifact")
    artifact = next((a for a in artifacts if a.fields.get("uri")), None)
    if artifact is None:
        return None
    model = await needs.records.get("model", version.parent)
    assert model is not None
    version.announced = True
    await needs.records.put(version)
    return ModelVersionCreated(
        namespace=_namespace(version),
        model=model.name,
        version=version.name,
        model_id=str(model.id),
        version_id=str(version.id),
        uri=artifact.fields["uri"],
        format=_format(artifact),
        job_uid=version.job_uid,
        serve_as=serve_as,
        metrics=_metrics(version.fields.get("customProperties", {})),
    )


def _format(artifact: Record) -> str:
    """People write "ONNX" or nothing at all; the event wants one lower-case word."""
    words = re.sub(r"[^a-z0-9]+", "-", (artifact.fields.get("modelFormatName") or "").lower()).strip("-")
    return words if words[:1].isalpha() else "unknown"


def _namespace(version: Record) -> str:
    named = custom_string(version, "namespace") or ""
    return named if _NAMESPACE.fullmatch(named) else ""


def _metrics(properties: dict[str, Any]) -> dict[str, float]:
    prefix = "metric."
    return {
        name.removeprefix(prefix): value["double_value"]
        for name, value in properties.items()
        if name.startswith(prefix) and value.get("metadataType") == "MetadataDoubleValue"
    }
