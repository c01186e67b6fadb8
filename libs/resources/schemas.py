"""The OpenAPI v3 schema of a kind, from its pydantic model or as given, and the checks of whole objects against it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from libs.base import Cause
from libs.resources import structural
from libs.resources.kinds import Kind, Object
from libs.resources.merge_keys import marked
from libs.resources.shapes import Schema, Shape

REF = "#/components/schemas/"
OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_TEXT: Schema = {"type": "string"}
_TEXTS: Schema = {"type": "object", "additionalProperties": {"type": "string"}}
_OWNER: Schema = {
    "type": "object",
    "required": ["apiVersion", "kind", "name", "uid"],
    "properties": {
        **dict.fromkeys(("apiVersion", "kind", "name", "uid"), _TEXT),
        "controller": {"type": "boolean"},
        "blockOwnerDeletion": {"type": "boolean"},
    },
}
_MERGE: Schema = {"x-kubernetes-patch-strategy": "merge"}
_MERGE_UID: Schema = {**_MERGE, "x-kubernetes-patch-merge-key": "uid"}
META_SCHEMA: Schema = {
    "type": "object",
    "description": "ObjectMeta is metadata that all persisted resources must have.",
    "properties": {
        "name": _TEXT,
        "generateName": _TEXT,
        "namespace": _TEXT,
        "uid": _TEXT,
        "resourceVersion": _TEXT,
        "selfLink": _TEXT,
        "generation": {"type": "integer", "format": "int64"},
        "creationTimestamp": {"type": "string", "format": "date-time", "nullable": True},
        "deletionTimestamp": {"type": "string", "format": "date-time", "nullable": True},
        "deletionGracePeriodSeconds": {"type": "integer", "format": "int64"},
        "labels": _TEXTS,
        "annotations": _TEXTS,
        "finalizers": {"type": "array", "items": _TEXT, "x-kubernetes-list-type": "set", **_MERGE},
        "ownerReferences": {"type": "array", "items": _OWNER, "x-kubernetes-list-map-keys": ["uid"], **_MERGE_UID},
        "managedFields": {"type": "array", "items": {"type": "object"}},
    },
}


@dataclass(frozen=True)
class KindSchema:
    """One kind's schema: `name` is its component's name, `definitions` all components that it refers to, itself
    included.
    """

    name: str
    definitions: dict[str, Schema]
    shape: Shape

    @property
    def root(self) -> Schema:
        return self.definitions[self.name]


_known: dict[Kind, KindSchema] = {}


def schema_of(kind: Kind) -> KindSchema:
    """The schema of a kind, built once."""
    if kind not in _known:
        _known[kind] = _build(kind)
    return _known[kind]


def component_name(kind: Kind) -> str:
    """`io.kubeflow.trainer.v1alpha1.TrainJob`, `io.k8s.api.apps.v1.Deployment`: the names that kubectl's users know."""
    if "." not in kind.group:
        return f"io.k8s.api.{kind.group or 'core'}.{kind.version}.{kind.kind}"
    return ".".join([*reversed(kind.group.split(".")), kind.version, kind.kind])


def _build(kind: Kind) -> KindSchema:
    name = component_name(kind)
    root, definitions = _from_model(kind, name) if kind.model else _given(kind)
    properties = dict(root.get("properties", {}))
    properties["apiVersion"] = {"type": "string", "description": _API_VERSION}
    properties["kind"] = {"type": "string", "description": _KIND}
    properties["metadata"] = {"description": "Standard object's metadata.", "allOf": [{"$ref": REF + OBJECT_META}]}
    gvk = {"group": kind.group, "version": kind.version, "kind": kind.kind}
    root = {**root, "type": "object", "properties": properties, "x-kubernetes-group-version-kind": [gvk]}
    root.setdefault("description", kind.description or f"{kind.kind} of {kind.api_version}.")
    if set(properties) == {"apiVersion", "kind", "metadata"}:
        root["x-kubernetes-preserve-unknown-fields"] = True
    definitions = {**definitions, name: root}
    definitions = {**(marked(definitions) if kind.builtin else definitions), OBJECT_META: META_SCHEMA}
    return KindSchema(name, definitions, Shape([root], definitions))


_API_VERSION = "APIVersion defines the versioned schema of this representation of an object."
_KIND = "Kind is a string value representing the REST resource this object represents."


def _given(kind: Kind) -> tuple[Schema, dict[str, Schema]]:
    """A given schema may bring its own definitions under `$defs`, referred to as `#/$defs/<name>` or as components."""
    schema = dict(kind.schema or {})
    prefix = component_name(kind) + "."
    definitions = {prefix + k: cast(Schema, _openapi(v, prefix)) for k, v in schema.pop("$defs", {}).items()}
    return cast(Schema, _openapi(schema, prefix)), definitions


def _from_model(kind: Kind, name: str) -> tuple[Schema, dict[str, Schema]]:
    assert kind.model is not None
    raw = kind.model.model_json_schema(by_alias=True)
    prefix = name.rpartition(".")[0] + "."
    definitions = {prefix + k: cast(Schema, _openapi(v, prefix)) for k, v in raw.pop("$defs", {}).items()}
    root = cast(Schema, _openapi(raw, prefix))
    if "$ref" in root:
        root = dict(definitions[root["$ref"].removeprefix(REF)])
    return root, definitions


def _openapi(node: Any, prefix: str) -> Any:
    """JSON Schema 2020-12 as pydantic writes it, told in OpenAPI 3.0's words."""
    if isinstance(node, list):
        return [_openapi(item, prefix) for item in node]
    if not isinstance(node, dict):
        return node
    out = {k: _openapi(v, prefix) for k, v in node.items() if k not in ("title", "const", "examples", "$defs")}
    if isinstance(node.get("title"), dict):
        out["title"] = _openapi(node["title"], prefix)
    if "const" in node:
        out["enum"] = [node["const"]]
    return _nullable(_bounds(_reference(out, node, prefix)))


def _reference(out: Schema, node: Schema, prefix: str) -> Schema:
    ref = node.get("$ref")
    if not isinstance(ref, str):
        return out
    name = ref.rpartition("/")[2]
    target = {"$ref": ref if ref.startswith(REF) else REF + prefix + name}
    beside = {k: v for k, v in out.items() if k != "$ref"}
    return {**beside, "allOf": [target]} if beside else target


def _bounds(out: Schema) -> Schema:
    for word, base in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(out.get(word), (int, float)) and not isinstance(out[word], bool):
            out[base], out[word] = out[word], True
    return out


def _nullable(out: Schema) -> Schema:
    options = out.get("anyOf")
    if out.get("default", 0) is None:
        out.pop("default")
    if not isinstance(options, list) or {"type": "null"} not in options:
        return out
    rest = [o for o in options if o != {"type": "null"}]
    others = {k: v for k, v in out.items() if k != "anyOf"}
    if len(rest) == 1:
        only = rest[0]
        return {**({"allOf": [only]} if "$ref" in only else only), **others, "nullable": True}
    return {**others, "anyOf": rest, "nullable": True}


def problems_of(kind: Kind, obj: Object) -> Iterator[Cause]:
    """What is wrong with an object by its model or schema; metadata is checked elsewhere."""
    if kind.model is None:
        schema = schema_of(kind)
        body = {k: v for k, v in obj.items() if k != "metadata"}
        yield from structural.problems(body, schema.root, schema.definitions)
        return
    from pydantic import ValidationError

    try:
        kind.model.model_validate(obj)
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_context=False):
            yield _cause(problem)


def _cause(problem: Any) -> Cause:
    missing = problem["type"] == "missing"
    text = problem["msg"].removeprefix("Value error, ")
    told = "Required value" if missing else f"Invalid value: {structural.short(problem.get('input'))}: {text}"
    return Cause(_path(problem["loc"]), told, "FieldValueRequired" if missing else "FieldValueInvalid")


def _path(loc: tuple[str | int, ...]) -> str:
    out = ""
    for step in loc:
        out += f"[{step}]" if isinstance(step, int) else f".{step}" if out else step
    return out
