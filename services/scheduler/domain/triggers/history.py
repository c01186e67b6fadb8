"""The status of a trigger as its firings come and go; it keeps no more of them than the limits say."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from libs.base import rfc3339

Status = dict[str, Any]
Firing = dict[str, Any]
LISTS = ("active", "succeeded", "failed")


def firing(name: str, kind: str, key: str, now: datetime) -> Firing:
    return {"name": name, "kind": kind, "key": key, "time": rfc3339(now)}


def knows(status: Mapping[str, Any], name: str) -> bool:
    """Whether an object of this name is one that the trigger made."""
    return any(each["name"] == name for part in LISTS for each in status.get(part) or ())


def fired(status: Mapping[str, Any], new: Firing, *, replaces: bool) -> tuple[Status, list[Firing]]:
    """The status after a firing, and those it replaces."""
    before = [each for each in status.get("active") or () if each["name"] != new["name"]]
    active = [new] if replaces else [*before, new]
    return {**status, "active": active, "lastFiredTime": new["time"]}, before if replaces else []


def over(
    status: Mapping[str, Any], name: str, part: str, limit: int, why: Mapping[str, str]
) -> tuple[Status, list[Firing]]:
    """The status after the object ended, and those of its like that are too old to be kept."""
    ended = [each for each in status.get("active") or () if each["name"] == name]
    rest = [each for each in status.get("active") or () if each["name"] != name]
    kept = [each for each in status.get(part) or () if each["name"] != name] + [{**each, **why} for each in ended]
    cut = max(0, len(kept) - limit)
    return {**status, "active": rest, part: kept[cut:]}, kept[:cut]


def gone(status: Mapping[str, Any], name: str) -> Status:
    """The status after the object was deleted."""
    return {**status, **{part: [e for e in status[part] if e["name"] != name] for part in LISTS if status.get(part)}}
