"""Many services' discovery and OpenAPI documents as one; the first to name a resource wins."""

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

Document = dict[str, Any]


def groups(lists: Iterable[Document]) -> Document:
    """APIGroupLists as one; a group's preferred version is the first that was named."""
    found: dict[str, Document] = {}
    for each in lists:
        for group in each.get("groups") or ():
            known = found.setdefault(group["name"], {**group, "versions": []})
            known["versions"] = _union(known["versions"], group["versions"], "groupVersion")
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": list(found.values())}


def group(merged: Document, name: str) -> Document | None:
    """One group of a merged list as an APIGroup."""
    for each in merged["groups"]:
        if each["name"] == name:
            return {"kind": "APIGroup", "apiVersion": "v1", **each}
    return None


def resources(lists: Iterable[Document], group_version: str) -> Document:
    """APIResourceLists of one group version as one."""
    found: list[Document] = []
    for each in lists:
        found = _union(found, each.get("resources") or (), "name")
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": found}


def aggregated(lists: Iterable[Document]) -> Document:
    """APIGroupDiscoveryLists (apidiscovery.k8s.io/v2) as one."""
    found: dict[str, Document] = {}
    for each in lists:
        for item in each.get("items") or ():
            name = item.get("metadata", {}).get("name", "")
            known = found.setdefault(name, {**item, "versions": []})
            known["versions"] = _versions(known["versions"], item.get("versions") or ())
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": list(found.values()),
    }


def _versions(known: list[Document], more: Iterable[Document]) -> list[Document]:
    by_name = {each["version"]: each for each in known}
    for version in more:
        seen = by_name.setdefault(version["version"], {**version, "resources": []})
        seen["resources"] = _union(seen["resources"], version.get("resources") or (), "resource")
    return list(by_name.values())


def openapi_index(indexes: Mapping[str, Document]) -> Document:
    """The `/openapi/v3` documents of services as one; of a group version that several describe, hashes are joined."""
    hashes: dict[str, list[str]] = {}
    for index in indexes.values():
        for path, entry in (index.get("paths") or {}).items():
            hashes.setdefault(path, []).append(_hash_of(entry))
    paths = {path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={'-'.join(each)}"} for path, each in hashes.items()}
    return {"paths": dict(sorted(paths.items()))}


def _hash_of(entry: Document) -> str:
    query = urlsplit(str(entry.get("serverRelativeURL", ""))).query
    return dict(part.partition("=")[::2] for part in query.split("&")).get("hash", "")


def openapi(documents: Iterable[Document]) -> Document | None:
    """OpenAPI v3 documents of one group version as one: paths and schemas together."""
    merged: Document | None = None
    for each in documents:
        if merged is None:
            merged = {**each, "paths": {}, "components": {"schemas": {}}}
        for path, entry in (each.get("paths") or {}).items():
            merged["paths"].setdefault(path, entry)
        for kind, entries in (each.get("components") or {}).items():
            merged["components"].setdefault(kind, {})
            merged["components"][kind] = {**entries, **merged["components"][kind]}
    return merged


def _union(known: Iterable[Document], more: Iterable[Document], key: str) -> list[Document]:
    by_name = {each[key]: each for each in known}
    for each in more:
        by_name.setdefault(each[key], each)
    return list(by_name.values())
