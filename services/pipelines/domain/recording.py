"""What people record themselves: artifacts that no step told of, and which task read or gave one; checked and pure.

The fields are those of KFP's artifact.proto (v2beta1). It must not assume that anything lies at a URI.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from libs.base.errors import BadRequest, Forbidden
from services.pipelines.domain.catalog import documents
from services.pipelines.domain.catalog.forms import ArtifactForm
from services.pipelines.domain.importing import URI_MAX, foreign
from services.pipelines.domain.lineage import READ, REUSED, TYPES, WROTE, Edge
from services.pipelines.domain.runs import Artifact

METADATA_MAX = 2**20
OUTPUT_TYPES = ("OUTPUT", "ITERATOR_OUTPUT", "ONE_OF_OUTPUT", "TASK_FINAL_STATUS_OUTPUT")
INPUT_TYPES = (
    "TASK_OUTPUT_INPUT", "COMPONENT_INPUT", "COMPONENT_DEFAULT_INPUT", "RUNTIME_VALUE_INPUT", "COLLECTED_INPUTS",
    "ITERATOR_INPUT", "ITERATOR_INPUT_RAW",
)  # fmt: skip
NUMBERS = (
    "COMPONENT_DEFAULT_INPUT", "TASK_OUTPUT_INPUT", "COMPONENT_INPUT", "RUNTIME_VALUE_INPUT", "COLLECTED_INPUTS",
    "ITERATOR_INPUT", "ITERATOR_INPUT_RAW", "ITERATOR_OUTPUT", "OUTPUT", "ONE_OF_OUTPUT", "TASK_FINAL_STATUS_OUTPUT",
)  # fmt: skip
"""KFP's IOType, by their numbers from 1 on."""
Object = dict[str, Any]


def kind_of(sent: Any, where: str) -> str:
    """The schema title. KFP's word, its number or the title itself are understood. Raises BadRequest."""
    words = [*TYPES]
    word = words[sent - 1] if type(sent) is int and 0 < sent <= len(words) else sent
    title = TYPES.get(word, word) if isinstance(word, str) else ""
    if title not in TYPES.values():
        raise BadRequest(f"{where}: {sent!r} is not one of {', '.join(words)}")
    return title


def way_of(sent: Any, where: str) -> str:
    """Whether the task read the artifact or gave it. Raises BadRequest."""
    word = NUMBERS[sent - 1] if type(sent) is int and 0 < sent <= len(NUMBERS) else sent
    if word in OUTPUT_TYPES:
        return WROTE
    if word in INPUT_TYPES:
        return READ
    raise BadRequest(f"{where}: {sent!r} is not one of {', '.join((*OUTPUT_TYPES, *INPUT_TYPES))}")


def metadata_of(form: ArtifactForm, where: str) -> Mapping[str, Any]:
    """A metric's number stands among its metadata under its name, where viewers look for it, as a step's does."""
    metadata = dict(form.metadata or {})
    documents.check_json(metadata, f"{where}.metadata")
    documents.check_json(form.number_value, f"{where}.number_value")
    if len(json.dumps(metadata)) > METADATA_MAX:
        raise BadRequest(f"{where}.metadata: more than {METADATA_MAX} bytes: store it, and give the uri")
    if form.number_value is not None:
        metadata.setdefault(str(form.name), form.number_value)
    if form.description:
        metadata.setdefault("description", form.description)
    return metadata


def uri_of(form: ArtifactForm, namespace: str, bucket: str, where: str) -> str:
    """Raises BadRequest, and Forbidden for what is another namespace's."""
    uri = form.uri or ""
    if len(uri) > URI_MAX or any(c < " " or c == "\x7f" for c in uri):
        raise BadRequest(f"{where}.uri: {uri[:80]!r} is no URI of at most {URI_MAX} characters; give one as s3://...")
    if why := foreign(uri, namespace, bucket):
        raise Forbidden(f"{where}.uri: {why}")
    return uri


def artifact_of(form: ArtifactForm, namespace: str, bucket: str, where: str) -> Artifact:
    """As it is kept, but for its id, its time and the task; nobody has read its bytes yet."""
    if not (form.name or "").strip():
        raise BadRequest(f"{where}.name: missing")
    metadata, kind = metadata_of(form, where), kind_of(form.type, f"{where}.type")
    uri = uri_of(form, namespace, bucket, where)
    return Artifact("", namespace, "", "", str(form.name), kind, uri, "", 0, metadata, 0)


def shown_edge(edge: Edge, task_name: str = "") -> Object:
    """As KFP's ArtifactTask; its id is made of what it says."""
    about = "/".join((edge.task_uid, edge.way, edge.name, edge.artifact_id))
    return {
        "id": str(uuid5(NAMESPACE_URL, about)),
        "artifact_id": edge.artifact_id,
        "run_id": edge.run_id,
        "task_id": edge.task_uid,
        "type": "TASK_OUTPUT_INPUT" if edge.way == READ else "OUTPUT",
        "key": edge.name,
        **({"producer": {"task_name": task_name}} if task_name and edge.way in (WROTE, REUSED) else {}),
    }
