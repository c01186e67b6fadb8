"""Server-side apply and the bookkeeping of `metadata.managedFields`; pure: objects in, objects out, nothing stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from libs.base import Cause, Conflict
from libs.resources.ownership import (
    Paths,
    abandoned,
    changed_fields,
    decode,
    encode,
    fields_of,
    merged,
    present,
    readable,
    same_value,
    without,
)
from libs.resources.shapes import Shape

Object = dict[str, Any]
Key = tuple[str, str, str]  # manager, operation, subresource
_ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration"
_NONE: Paths = frozenset()


@dataclass(frozen=True)
class Writer:
    """Who writes: the field manager, through which subresource, when (RFC 3339) and in which version."""

    manager: str
    api_version: str
    now: str
    subresource: str = ""

    def key(self, operation: str) -> Key:
        return (self.manager, operation, self.subresource)


def applied(live: Object | None, wanted: Object, writer: Writer, shape: Shape, *, builtin: bool, force: bool) -> Object:
    """The object after `writer` applied `wanted`; raises Conflict that lists the fields which others own and set
    otherwise.

    Fields that the writer applied before and names no more are removed, unless someone else owns them too.
    """
    base = live or {}
    owners = owners_of(base)
    me = writer.key("Apply")
    mine, before = fields_of(wanted, shape, builtin=builtin), owners.get(me, _NONE)
    clashes = {k: c for k, o in owners.items() if k != me and (c := _clash(base, wanted, mine & o))}
    ceded = _last_applied(base, shape, builtin=builtin) if writer.manager == "kubectl" else _NONE
    if (refused := {k: rest for k, c in clashes.items() if (rest := c - ceded)}) and not force:
        raise _conflict(refused, writer)
    for key, taken in clashes.items():
        owners[key] -= taken
    result = merged(base, wanted, shape, builtin=builtin)
    owners = {key: present(paths, result) for key, paths in owners.items()}
    others = frozenset().union(*(o for k, o in owners.items() if k != me))
    result = without(result, abandoned(before, mine | others), mine | others)
    owners[me] = mine
    return with_owners(result, base, owners, writer)


def _last_applied(live: Object, shape: Shape, *, builtin: bool) -> Paths:
    """Fields that kubectl applied by itself before (its annotation says which): server-side, it may take them over."""
    annotations = (live.get("metadata") or {}).get("annotations") or {}
    try:
        return fields_of(orjson.loads(annotations.get(_ANNOTATION, "{}")), shape, builtin=builtin)
    except orjson.JSONDecodeError:
        return _NONE


def written(old: Object | None, new: Object, writer: Writer, shape: Shape, *, builtin: bool) -> Object:
    """`new` with the ownership that an ordinary create, replace or patch gives its writer."""
    base = old or {}
    owners = owners_of(base)
    touched, removed = changed_fields(base, new, shape, builtin=builtin)
    if not touched and not removed:
        return with_owners(new, base, owners, writer)
    gone = touched | removed
    owners = {key: paths - gone for key, paths in owners.items()}
    me = writer.key("Update")
    owners[me] = owners.get(me, _NONE) | touched
    return with_owners(new, base, owners, writer)


def owners_of(obj: Object) -> dict[Key, Paths]:
    """Fields by owner, from `metadata.managedFields`."""
    entries = (obj.get("metadata") or {}).get("managedFields") or []
    return {_key(e): decode(e.get("fieldsV1")) for e in entries if isinstance(e, dict)}


def _key(entry: Object) -> Key:
    return (str(entry.get("manager", "")), str(entry.get("operation", "Update")), str(entry.get("subresource", "")))


def with_owners(obj: Object, old: Object, owners: dict[Key, Paths], writer: Writer) -> Object:
    """`obj` with its managedFields; an entry whose fields did not change keeps its time."""
    had = {_key(e): e for e in (old.get("metadata") or {}).get("managedFields") or [] if isinstance(e, dict)}
    before = owners_of(old)
    entries = [
        had[key] if key in had and before.get(key) == paths else _entry(key, paths, writer)
        for key, paths in owners.items()
        if paths
    ]
    metadata = {k: v for k, v in (obj.get("metadata") or {}).items() if k != "managedFields"}
    return {**obj, "metadata": {**metadata, **({"managedFields": entries} if entries else {})}}


def _entry(key: Key, paths: Paths, writer: Writer) -> Object:
    manager, operation, subresource = key
    return {
        "manager": manager,
        "operation": operation,
        "apiVersion": writer.api_version,
        "time": writer.now,
        "fieldsType": "FieldsV1",
        "fieldsV1": encode(paths),
        **({"subresource": subresource} if subresource else {}),
    }


def _clash(live: Object, wanted: Object, shared: Paths) -> Paths:
    return frozenset(path for path in shared if not same_value(live, wanted, path))


def _conflict(clashes: dict[Key, Paths], writer: Writer) -> Conflict:
    causes = [
        Cause(readable(path), f'conflict with "{key[0]}"{_how(key)} using {writer.api_version}', "FieldManagerConflict")
        for key, paths in clashes.items()
        for path in sorted(paths)
    ]
    count = f"{len(causes)} conflict{'s' if len(causes) > 1 else ''}"
    told = "; ".join(f"{c.message}: {c.field}" for c in causes)
    return Conflict(f"Apply failed with {count}: {told}", causes=causes)


def _how(key: Key) -> str:
    return f' with subresource "{key[2]}"' if key[2] else ""
