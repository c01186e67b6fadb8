"""Objects as kubectl's Table and as PartialObjectMetadata; pure renderings that never change what they show."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from libs.base import parse_rfc3339
from libs.resources.jsonpath import compiled
from libs.resources.kinds import Column, Kind, Object

_NAME: Object = {
    "name": "Name",
    "type": "string",
    "format": "name",
    "description": "Name must be unique within a namespace.",
    "priority": 0,
}
_AGE: Object = {
    "name": "Age",
    "type": "string",
    "format": "",
    "description": "Time since the object was created.",
    "priority": 0,
}


def table(
    kind: Kind, objects: Sequence[Object], now: datetime, *, metadata: Object, include: str, head: bool = True
) -> Object:
    """A `meta.k8s.io/v1` Table; `include` is Metadata, Object or None, `head` is False for later events of one
    watch.
    """
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": _definitions(kind) if head else None,
        "rows": [_row(kind, obj, now, include) for obj in objects],
    }


def _definitions(kind: Kind) -> list[Object]:
    told = [
        {"name": c.name, "type": c.type if c.type != "date" else "string", "format": "", "description": c.description}
        | {"priority": c.priority}
        for c in kind.columns
    ]
    if kind.only_columns:
        return told
    return [_NAME, *told] if _has_age(kind) else [_NAME, *told, _AGE]


def _has_age(kind: Kind) -> bool:
    return any(c.name == "Age" for c in kind.columns)


def _row(kind: Kind, obj: Object, now: datetime, include: str) -> Object:
    metadata = obj.get("metadata") or {}
    cells = [cell(c, obj, now) for c in kind.columns]
    if not kind.only_columns:
        cells = [metadata.get("name", ""), *cells]
        cells += [] if _has_age(kind) else [age(metadata.get("creationTimestamp"), now)]
    shown = obj if include == "Object" else partial(obj)
    return {"cells": cells} if include == "None" else {"cells": cells, "object": shown}


def cell(column: Column, obj: Object, now: datetime) -> Any:
    """One cell; a column that fails on an odd object shows `<invalid>` instead of failing the list."""
    try:
        value = column.value(obj, now) if callable(column.value) else compiled(column.value)(obj)
    except Exception:
        return "<invalid>"
    if column.type == "date":
        return age(value, now)
    if isinstance(value, (dict, list)):
        return str(value)
    if column.type == "string" and value is not None and not isinstance(value, str):
        return "true" if value is True else "false" if value is False else str(value)
    return value


def partial(obj: Object) -> Object:
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj.get("metadata") or {}}


def age(timestamp: Any, now: datetime) -> str:
    """The time since `timestamp` as kubectl says it: `42s`, `3m12s`, `5h`, `12d`."""
    try:
        seconds = int((now - parse_rfc3339(timestamp)).total_seconds())
    except (TypeError, ValueError):
        return "<unknown>"
    return duration(max(seconds, 0))


def duration(seconds: int) -> str:
    """`k8s.io/apimachinery` HumanDuration: two units while young, one when old."""
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return f"{minutes}m{seconds % 60}s" if seconds % 60 else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    return _long(hours, days)


def _long(hours: int, days: int) -> str:
    if days < 8:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    if days < 730:
        return f"{days}d"
    years = days // 365
    return f"{years}y{days % 365}d" if years < 8 and days % 365 else f"{years}y"
