"""Conditions in `status`, as the API conventions want them; pure, the given list is never changed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from libs.base import rfc3339

Condition = dict[str, Any]


def condition(conditions: Sequence[Condition] | None, type: str) -> Condition | None:
    return next((c for c in conditions or () if c.get("type") == type), None)


def is_true(obj: dict[str, Any], type: str) -> bool:
    """Whether the object's status has this condition with status True."""
    found = condition((obj.get("status") or {}).get("conditions"), type)
    return found is not None and found.get("status") == "True"


def with_condition(
    conditions: Sequence[Condition] | None,
    type: str,
    status: bool | str,
    *,
    reason: str,
    message: str = "",
    now: datetime,
    generation: int | None = None,
) -> list[Condition]:
    """The conditions with this one set; `lastTransitionTime` moves only when its status does."""
    told = status if isinstance(status, str) else "True" if status else "False"
    old = condition(conditions, type)
    since = old["lastTransitionTime"] if old and old.get("status") == told else rfc3339(now)
    new = {"type": type, "status": told, "reason": reason, "message": message, "lastTransitionTime": since}
    if generation is not None:
        new["observedGeneration"] = generation
    if old is None:
        return [*(conditions or ()), new]
    return [new if c.get("type") == type else c for c in conditions or ()]
