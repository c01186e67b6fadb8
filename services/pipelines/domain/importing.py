"""An importer's artifact: named, not read; it must not assume that anything lies at its URI."""

from __future__ import annotations

from typing import Any

from services.pipelines.domain.codes import INVALID_ARGUMENT, PERMISSION_DENIED
from services.pipelines.domain.engine.records import Artifact, Error, Outputs, TaskRecord
from services.pipelines.domain.engine.words import Failed, Succeeded
from services.pipelines.domain.ir.model import ImporterExecutor, Pipeline
from services.pipelines.domain.steps.placeholders import PlaceholderError, Scope
from services.pipelines.domain.steps.places import IN_WORKSPACE

URI_MAX = 2000
OWNED = ("pipelines", "models", "checkpoints")
"""First segments of the platform's bucket below which each namespace has a folder of its own: what runs made, what
TrainJobs trained and kept. Steps read nothing else of it, since they read with the service's key."""


def imported(pipeline: Pipeline, record: TaskRecord, namespace: str, bucket: str) -> Succeeded | Failed:
    """What the importer comes to, at once."""
    executor = pipeline.executor_of(record.component)
    assert isinstance(executor, ImporterExecutor)
    uri = executor.uri or record.inputs.parameters.get(executor.uri_input)
    if not isinstance(uri, str) or not uri or len(uri) > URI_MAX:
        what = f"{record.name}: uri: {str(uri)[:80]!r} is no URI of at most {URI_MAX} characters; give one as s3://..."
        return Failed(Error(what, INVALID_ARGUMENT, "BadUri"), final=True)
    if why := foreign(uri, namespace, bucket):
        return Failed(Error(f"{record.name}: uri: {why}", PERMISSION_DENIED, "ForeignUri"), final=True)
    outputs = pipeline.components[record.component].outputs.artifacts
    try:
        metadata = _resolved(dict(executor.metadata), Scope(record.inputs))
    except PlaceholderError as error:
        return Failed(Error(f"{record.name}: metadata: {error}", INVALID_ARGUMENT, "BadMetadata"), final=True)
    if executor.to_workspace and pipeline.config.get("workspace"):
        metadata[IN_WORKSPACE] = True  # the first step that reads it brings it there
    made = {name: (Artifact(name, uri, executor.schema_title, executor.schema_version, metadata),) for name in outputs}
    return Succeeded(Outputs({}, made))


def foreign(uri: str, namespace: str, bucket: str) -> str:
    """Why a run of `namespace` may not name this URI; empty where it may."""
    for scheme in ("s3://", "minio://"):
        if uri.startswith(f"{scheme}{bucket}/"):
            parts = uri.removeprefix(f"{scheme}{bucket}/").split("/")
            if any(part in (".", "..") for part in parts):
                return f"{uri!r} has a segment '.' or '..'; write the path without"
            if len(parts) > 2 and parts[0] in OWNED and parts[1] != namespace:
                return f"{uri!r} belongs to another namespace than {namespace!r}: copy it, or import it there"
            if len(parts) < 3 or parts[0] not in OWNED:
                own = ", ".join(f"{scheme}{bucket}/{first}/{namespace}/" for first in OWNED)
                return f"{uri!r} lies outside of this namespace's places: {own}"
    return ""


def _resolved(value: Any, scope: Scope) -> Any:
    """The value with the placeholders in its texts replaced, also in names and in depth."""
    if isinstance(value, str):
        return scope.value(value)
    if isinstance(value, dict):
        return {str(_resolved(name, scope)): _resolved(one, scope) for name, one in value.items()}
    return [_resolved(one, scope) for one in value] if isinstance(value, list) else value
