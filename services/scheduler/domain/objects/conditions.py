"""The conditions of an object: one of each type, whose time is that of its last change from true to false or back."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from libs.base.clock import rfc3339

Condition = dict[str, Any]
MESSAGE_LENGTH_MAX = 1024


def with_condition(
    found: Sequence[Condition] | None, type: str, is_true: bool, reason: str, message: str, now: datetime
) -> list[Condition]:
    """The same conditions with this one in its place, or at the end."""
    status = "True" if is_true else "False"
    before = next((c for c in found or () if c["type"] == type), None)
    kept = before is not None and before["status"] == status
    since = before["lastTransitionTime"] if before and kept else rfc3339(now)
    made = {"type": type, "status": status, "reason": reason, "message": message[:MESSAGE_LENGTH_MAX]}
    made["lastTransitionTime"] = since
    if before is None:
        return [*(found or ()), made]
    return [made if c["type"] == type else c for c in found or ()]


def is_true(obj: Mapping[str, Any], type: str) -> bool:
    found = (obj.get("status") or {}).get("conditions") or []
    return any(c["type"] == type and c["status"] == "True" for c in found)
