"""The `conditions` list of a status: set one without forgetting when it last changed; pure."""

from datetime import datetime
from typing import Any

from libs.base.clock import rfc3339

Object = dict[str, Any]


def find(conditions: list[Object] | None, kind: str) -> Object | None:
    """The condition of that type, if any."""
    return next((c for c in conditions or [] if c.get("type") == kind), None)


def is_true(obj: Object, kind: str) -> bool:
    """Whether the object's status says `kind` is True."""
    found = find((obj.get("status") or {}).get("conditions"), kind)
    return found is not None and found["status"] == "True"


def put(
    conditions: list[Object] | None, kind: str, status: bool | str, now: datetime, *,
    reason: str = "", message: str = "", stamps: tuple[str, ...] = (),
) -> list[Object]:  # fmt: skip
    """The list with the condition set; `lastTransitionTime` moves only with the status. `stamps` name further times
    (`lastUpdateTime`, `lastProbeTime`) that move with any change."""
    told = ("True" if status else "False") if isinstance(status, bool) else status
    before = find(conditions, kind)
    new: Object = {"type": kind, "status": told}
    new |= {key: text for key, text in (("reason", reason), ("message", message)) if text}
    same = before is not None and {k: before.get(k) for k in ("status", "reason", "message") if before.get(k)} == {
        k: new[k] for k in ("status", "reason", "message") if k in new
    }
    moved = before is None or before["status"] != told
    new["lastTransitionTime"] = rfc3339(now) if moved or before is None else before["lastTransitionTime"]
    for stamp in stamps:
        new[stamp] = before[stamp] if same and before and stamp in before else rfc3339(now)
    kept = list(conditions or [])
    if before is None:
        return [*kept, new]
    return [new if c is before else c for c in kept]
