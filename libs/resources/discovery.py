"""Discovery documents, legacy and aggregated (apidiscovery.k8s.io/v2), from the kinds alone; pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from libs.resources.kinds import Kind, Subresource

Document = dict[str, Any]
VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
_PART_VERBS = ("get", "patch", "update")
_HTTP_VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


def groups(kinds: Sequence[Kind]) -> dict[str, list[str]]:
    """Versions by group, in order of declaration; the core group's name is the empty text."""
    found: dict[str, list[str]] = {}
    for kind in kinds:
        versions = found.setdefault(kind.group, [])
        if kind.version not in versions:
            versions.append(kind.version)
    return found


def api_versions(kinds: Sequence[Kind]) -> Document:
    return {"kind": "APIVersions", "versions": groups(kinds).get("", []), "serverAddressByClientCIDRs": []}


def api_group_list(kinds: Sequence[Kind]) -> Document:
    named = [api_group(kinds, group) for group in groups(kinds) if group]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_bare(g) for g in named if g]}


def api_group(kinds: Sequence[Kind], group: str) -> Document | None:
    versions = groups(kinds).get(group)
    if not versions:
        return None
    told = [{"groupVersion": f"{group}/{v}", "version": v} for v in versions]
    return {"kind": "APIGroup", "apiVersion": "v1", "name": group, "versions": told, "preferredVersion": told[0]}


def _bare(document: Document) -> Document:
    return {k: v for k, v in document.items() if k not in ("kind", "apiVersion")}


def api_resource_list(kinds: Sequence[Kind], subresources: Sequence[Subresource]) -> Document:
    """The APIResourceList of one group version; all `kinds` must be of it."""
    resources = [entry for kind in kinds for entry in _entries(kind, subresources)]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": kinds[0].api_version, "resources": resources}


def _entries(kind: Kind, subresources: Sequence[Subresource]) -> list[Document]:
    main: Document = {
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": list(VERBS),
        **({"shortNames": list(kind.short_names)} if kind.short_names else {}),
        **({"categories": list(kind.categories)} if kind.categories else {}),
    }
    parts = [_entry(kind, *part) for part in parts_of(kind, subresources)]
    return [main, *parts]


def _entry(kind: Kind, name: str, returns: Document, verbs: Sequence[str]) -> Document:
    own = {"name": f"{kind.plural}/{name}", "singularName": "", "namespaced": kind.namespaced}
    group = {k: v for k, v in returns.items() if k != "kind"} if returns["kind"] != kind.kind else {}
    return {**own, **group, "kind": returns["kind"], "verbs": list(verbs)}


def parts_of(kind: Kind, subresources: Sequence[Subresource]) -> list[tuple[str, Document, Sequence[str]]]:
    """The subresources of a kind: (name, the kind that they speak, verbs)."""
    own = {"group": kind.group, "version": kind.version, "kind": kind.kind}
    parts: list[tuple[str, Document, Sequence[str]]] = []
    if kind.status_subresource:
        parts.append(("status", own, _PART_VERBS))
    if kind.scale:
        parts.append(("scale", {"group": "autoscaling", "version": "v1", "kind": "Scale"}, _PART_VERBS))
    for sub in subresources:
        if sub.kind is kind:
            parts.append(
                (sub.name, {**own, "kind": sub.returns}, [_HTTP_VERBS[m] for m in sub.methods if m in _HTTP_VERBS])
            )
    return parts


def aggregated(kinds: Sequence[Kind], subresources: Sequence[Subresource], *, core: bool) -> Document:
    """The APIGroupDiscoveryList of the core group (`/api`) or of the named groups (`/apis`)."""
    items = [
        {
            "metadata": {"name": group} if group else {},
            "versions": [_version(kinds, subresources, group, v) for v in versions],
        }
        for group, versions in groups(kinds).items()
        if (group == "") == core
    ]
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}


def _version(kinds: Sequence[Kind], subresources: Sequence[Subresource], group: str, version: str) -> Document:
    mine = [k for k in kinds if (k.group, k.version) == (group, version)]
    return {"version": version, "freshness": "Current", "resources": [_resource(k, subresources) for k in mine]}


def _resource(kind: Kind, subresources: Sequence[Subresource]) -> Document:
    parts = [
        {"subresource": name, "responseKind": returns, "verbs": list(verbs)}
        for name, returns, verbs in parts_of(kind, subresources)
    ]
    return {
        "resource": kind.plural,
        "responseKind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": list(VERBS),
        **({"shortNames": list(kind.short_names)} if kind.short_names else {}),
        **({"categories": list(kind.categories)} if kind.categories else {}),
        **({"subresources": parts} if parts else {}),
    }
