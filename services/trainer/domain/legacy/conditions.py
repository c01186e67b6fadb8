"""The conditions of these jobs, kept as the Training Operator keeps them: pkg/util/status.go of its version 1.9.

Running and Restarting drive each other out; an end makes them False; what is said again changes nothing.
"""

from datetime import datetime
from typing import Any

from libs.base.clock import rfc3339
from services.trainer.domain.legacy.state import FAILED, RESTARTING, RUNNING, SUCCEEDED
from services.trainer.domain.state import PODS_READY

Conditions = list[dict[str, Any]]
_DRIVES_OUT = {RUNNING: (RESTARTING,), RESTARTING: (RUNNING,)}
_ENDS = (SUCCEEDED, FAILED)


def with_condition(
    conditions: Conditions, kind: str, why: tuple[str, str], now: datetime, *, true: bool = True
) -> Conditions:
    """`conditions` with one more at the end; `why` is (reason, message)."""
    reason, message = why
    before = next((c for c in conditions if c["type"] == kind), None)
    told = "True" if true else "False"
    if before and (before["status"], before["reason"], before["message"]) == (told, reason, message):
        return conditions
    since = before["lastTransitionTime"] if before and before["status"] == told else rfc3339(now)
    made = {"type": kind, "status": told, "reason": reason, "message": message}
    kept = [c for c in conditions if c["type"] != kind and c["type"] not in _DRIVES_OUT.get(kind, ())]
    if kind in _ENDS:
        kept = [_ended(c, now) for c in kept if c["type"] != PODS_READY]
    return [*kept, {**made, "lastUpdateTime": rfc3339(now), "lastTransitionTime": since}]


def without(conditions: Conditions, *kinds: str) -> Conditions:
    return [c for c in conditions if c["type"] not in kinds]


def hindered(conditions: Conditions, told: dict[str, Any] | None) -> Conditions:
    """`told` is the condition PodsReady=False, None when nothing is in the way."""
    kept = without(conditions, PODS_READY)
    return [told, *kept] if told else kept


def _ended(condition: dict[str, Any], now: datetime) -> dict[str, Any]:
    if condition["type"] != RUNNING or condition["status"] == "False":
        return condition
    return {**condition, "status": "False", "lastTransitionTime": rfc3339(now), "lastUpdateTime": rfc3339(now)}
