"""Pipelines and versions as objects of pipelines.kubeflow.org/v2beta1: from what the catalog holds and back; pure.

The fields and the names of objects are those of KFP's CRDs. A name that no object may have is kept beside a made one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from contracts.kinds.pipeline import GROUP, VERSION
from libs.base.errors import Cause
from services.pipelines.domain.catalog.documents import Document
from services.pipelines.domain.catalog.forms import NAME_MAX
from services.pipelines.domain.catalog.items import Pipeline, Version, shown_time

Object = dict[str, Any]
API_VERSION = f"{GROUP}/{VERSION}"
NAME = "millstream.dev/name"
"""The annotation with the name of what cannot be called so as an object."""
OF_PIPELINE, OF_PIPELINE_ID = f"{GROUP}/pipeline", f"{GROUP}/pipeline-id"
FIXED = ("pipelineName", "versionName", "pipelineSpec", "platformSpec")
READY = {"conditions": [{"type": "PipelineVersionStatus", "status": "True", "reason": "READY", "message": "READY"}]}
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_MADE_MAX = 200


def is_name(text: str) -> bool:
    return len(text) <= 253 and _SUBDOMAIN.fullmatch(text) is not None


def made_name(text: str, id: str) -> str:
    """A name for what is called otherwise, or whose name is taken; the same for the same id."""
    slug = re.sub(r"[^a-z0-9]+", "-", text.lower())[:_MADE_MAX].strip("-")
    return f"{slug or 'unnamed'}-{sha256(id.encode()).hexdigest()[:8]}"


def plain_name(pipeline: Pipeline, version: Version | None = None) -> str:
    """As KFP names the object: a version PIPELINE-VERSION, unless it is called as its pipeline."""
    if version is None or version.name == pipeline.name:
        return pipeline.name
    return f"{pipeline.name}-{version.name}"


def pipeline_object(item: Pipeline, name: str) -> Object:
    shown = item.display_name if item.display_name != item.name else ""
    spec = _given(displayName=shown, description=item.description, tags=item.tags)
    return _object("Pipeline", item, item.namespace, name, spec)


def version_object(item: Version, below: Pipeline, owner: str, document: Document, name: str) -> Object:
    """`owner` is the name of the pipeline's object."""
    spec = {
        "pipelineName": owner,
        **_given(
            versionName=item.name if is_name(item.name) else "",
            displayName=item.display_name if item.display_name != item.name else "",
            description=item.description,
            codeSourceURL=item.code_source_url,
            tags=item.tags,
        ),
        "pipelineSpec": document.spec,
        **_given(platformSpec=document.platform),
    }
    made = _object("PipelineVersion", item, below.namespace, name, spec)
    return belonging({**made, "status": READY}, below, owner)


def belonging(obj: Object, below: Pipeline, owner: str) -> Object:
    """With the labels and the owner by which KFP finds a pipeline's versions."""
    meta = obj["metadata"]
    others = [each for each in meta.get("ownerReferences") or [] if not is_of_pipeline(each)]
    reference = {"apiVersion": API_VERSION, "kind": "Pipeline", "name": owner, "uid": below.id}
    labels = {**(meta.get("labels") or {}), OF_PIPELINE_ID: below.id}
    if _LABEL.fullmatch(owner):
        labels[OF_PIPELINE] = owner
    owners = [*others, {**reference, "blockOwnerDeletion": True}]
    return {**obj, "metadata": {**meta, "labels": labels, "ownerReferences": owners}}


def is_of_pipeline(reference: Object) -> bool:
    return reference.get("kind") == "Pipeline" and str(reference.get("apiVersion", "")).startswith(f"{GROUP}/")


def pipeline_of(obj: Object, created_ms: int, name: str = "") -> Pipeline:
    """`name` is what it was called when it was made; that stays."""
    meta, spec = obj["metadata"], obj.get("spec") or {}
    name = name or (meta.get("annotations") or {}).get(NAME) or meta["name"]
    shown, about, tags = spec.get("displayName") or name, spec.get("description") or "", spec.get("tags") or {}
    return Pipeline(meta["uid"], meta["namespace"], name, shown, created_ms, about, tags)


def version_of(obj: Object, pipeline_id: str, digest: str, created_ms: int, name: str = "") -> Version:
    meta, spec = obj["metadata"], obj["spec"]
    name = name or (meta.get("annotations") or {}).get(NAME) or spec.get("versionName") or meta["name"]
    return Version(
        meta["uid"],
        pipeline_id,
        name,
        spec.get("displayName") or name,
        digest,
        created_ms,
        spec.get("description") or "",
        spec.get("tags") or {},
        spec.get("codeSourceURL") or "",
    )


def misnamed(obj: Object) -> Iterator[Cause]:
    """What a name may not be that is told beside the object's own."""
    told = (obj["metadata"].get("annotations") or {}).get(NAME) or ""
    if len(told) > NAME_MAX:
        yield Cause(f"metadata.annotations[{NAME}]", f"has {len(told)} characters, may have {NAME_MAX}")


def unchanging(obj: Object, old: Object) -> Iterator[Cause]:
    """A version is what it was when it was made: runs refer to it."""
    for field in FIXED:
        if obj["spec"].get(field) != old["spec"].get(field):
            yield Cause(f"spec.{field}", "cannot be changed: make another version", "FieldValueForbidden")


def _object(kind: str, item: Pipeline | Version, namespace: str, name: str, spec: Object) -> Object:
    meta = {
        "name": name,
        "namespace": namespace,
        "uid": item.id,
        "creationTimestamp": f"{shown_time(item.created_ms)[:19]}Z",
        "generation": 1,
    }
    if not is_name(item.name):
        meta["annotations"] = {NAME: item.name}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": meta, "spec": spec}


def _given(**named: Any) -> Object:
    return {name: value for name, value in named.items() if value}
