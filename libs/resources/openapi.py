"""OpenAPI v3 documents, one per group version, as kubectl apply, explain and diff need them; pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from libs.resources.discovery import parts_of
from libs.resources.kinds import Kind, Subresource
from libs.resources.patches import APPLY_YAML, JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH
from libs.resources.schemas import REF, schema_of

Document = dict[str, Any]
STATUS = "io.k8s.apimachinery.pkg.apis.meta.v1.Status"
_LIST_META = {"type": "object", "properties": {"resourceVersion": {"type": "string"}, "continue": {"type": "string"}}}
_STATUS_SCHEMA: Document = {
    "type": "object",
    "description": "Status is a return value for calls that don't return other objects.",
    "properties": {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
        "status": {"type": "string"},
        "message": {"type": "string"},
        "reason": {"type": "string"},
        "code": {"type": "integer", "format": "int32"},
        "details": {"type": "object"},
    },
}
_TEXT, _WHOLE, _FLAG = {"type": "string"}, {"type": "integer", "minimum": 0}, {"type": "boolean"}
_LISTING: dict[str, Document] = {
    "labelSelector": _TEXT, "fieldSelector": _TEXT, "limit": _WHOLE, "continue": _TEXT, "resourceVersion": _TEXT,
    "resourceVersionMatch": _TEXT, "watch": _FLAG, "allowWatchBookmarks": _FLAG, "sendInitialEvents": _FLAG,
    "timeoutSeconds": _WHOLE,
}  # fmt: skip
_WRITING: dict[str, Document] = {
    "dryRun": _TEXT,
    "fieldManager": _TEXT,
    "fieldValidation": {"type": "string", "enum": ["Ignore", "Warn", "Strict"]},
}
_DELETING: dict[str, Document] = {"dryRun": _TEXT, "gracePeriodSeconds": _WHOLE, "propagationPolicy": _TEXT}


def document(kinds: Sequence[Kind], subresources: Sequence[Subresource]) -> Document:
    """The document of one group version; all `kinds` must be of it."""
    schemas: Document = {STATUS: _STATUS_SCHEMA}
    paths: Document = {}
    for kind in kinds:
        known = schema_of(kind)
        schemas |= known.definitions
        schemas[known.name + "List"] = _list_schema(kind, known.name)
        paths |= _paths(kind, known.name, subresources)
    return {
        "openapi": "3.0.0",
        "info": {"title": "Millstream", "version": kinds[0].version},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _list_schema(kind: Kind, name: str) -> Document:
    return {
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": _TEXT,
            "kind": _TEXT,
            "metadata": _LIST_META,
            "items": {"type": "array", "items": {"$ref": REF + name}},
        },
        "x-kubernetes-group-version-kind": [{**_gvk(kind), "kind": kind.kind + "List"}],
    }


def _paths(kind: Kind, name: str, subresources: Sequence[Subresource]) -> Document:
    scope = "/namespaces/{namespace}" if kind.namespaced else ""
    collection = f"/{kind.prefix}{scope}/{kind.plural}"
    given = ["namespace"] if kind.namespaced else []
    paths = {
        collection: {**_params(given), **_collection(kind, name)},
        f"{collection}/{{name}}": {**_params([*given, "name"]), **_item(kind, name)},
    }
    if kind.namespaced:
        paths[f"/{kind.prefix}/{kind.plural}"] = {
            "get": _operation(kind, "list", _LISTING, name + "List", tag="ForAllNamespaces")
        }
    for part, returns, verbs in parts_of(kind, subresources):
        paths[f"{collection}/{{name}}/{part}"] = {
            **_params([*given, "name"]),
            **_part(kind, name, part, returns, verbs),
        }
    return paths


def _collection(kind: Kind, name: str) -> Document:
    return {
        "get": _operation(kind, "list", _LISTING, name + "List"),
        "post": _operation(
            kind, "post", _WRITING, name, body={"application/json": name, "application/yaml": name}, code="201"
        ),
        "delete": _operation(kind, "deletecollection", _DELETING | _LISTING, STATUS),
    }


def _item(kind: Kind, name: str, tag: str = "") -> Document:
    types = [JSON_PATCH, MERGE_PATCH, APPLY_YAML, *([STRATEGIC_PATCH] if kind.builtin else [])]
    item = {
        "get": _operation(kind, "get", {}, name, tag=tag),
        "put": _operation(
            kind, "put", _WRITING, name, body={"application/json": name, "application/yaml": name}, tag=tag
        ),
        "patch": _operation(kind, "patch", _WRITING | {"force": _FLAG}, name, body=dict.fromkeys(types, ""), tag=tag),
    }
    return item if tag else {**item, "delete": _operation(kind, "delete", _DELETING, STATUS)}


def _part(kind: Kind, name: str, part: str, returns: Document, verbs: Sequence[str]) -> Document:
    if part == "status":
        return _item(kind, name, tag="Status")
    methods = {"get": "get", "create": "post", "update": "put", "patch": "patch", "delete": "delete"}
    return {methods[v]: _operation(kind, v, {}, "", tag=part.title(), speaks=returns) for v in verbs}


def _operation(
    kind: Kind,
    action: str,
    query: dict[str, Document],
    answer: str,
    *,
    body: dict[str, str] | None = None,
    code: str = "200",
    tag: str = "",
    speaks: Document | None = None,
) -> Document:
    scope = "Namespaced" if kind.namespaced and tag != "ForAllNamespaces" else ""
    group = "".join(part.title() for part in (kind.group or "core").removesuffix(".k8s.io").split("."))
    told: Document = {
        "operationId": f"{action}{group}{kind.version.title()}{scope}{kind.kind}{tag}",
        "tags": [f"{group}_{kind.version}"],
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": speaks or _gvk(kind),
        "responses": _responses(answer, code),
    }
    if query:
        told["parameters"] = list(map(_query, query.items()))
    if body:
        told["requestBody"] = {"required": True, "content": {t: {"schema": _body(n)} for t, n in body.items()}}
    return told


def _query(parameter: tuple[str, Document]) -> Document:
    return {"name": parameter[0], "in": "query", "schema": parameter[1]}


def _body(name: str) -> Document:
    return {"$ref": REF + name} if name else {"description": "A patch of the object."}


def _responses(answer: str, code: str) -> Document:
    content = {"application/json": {"schema": {"$ref": REF + answer}}} if answer else {}
    failure = {"description": "Failure", "content": {"application/json": {"schema": {"$ref": REF + STATUS}}}}
    good = {"description": "Success", **({"content": content} if content else {})}
    return {code: good, **({"200": good} if code != "200" else {"201": good}), "default": failure}


def _params(names: Sequence[str]) -> Document:
    return {"parameters": [{"name": n, "in": "path", "required": True, "schema": _TEXT} for n in names]}


def _gvk(kind: Kind) -> Document:
    return {"group": kind.group, "version": kind.version, "kind": kind.kind}
