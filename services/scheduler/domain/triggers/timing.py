"""plan(trigger, now): which scheduled times are to be fired now, and what the status says of the next."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from libs.base import rfc3339
from services.scheduler.domain.triggers import times

LONGEST_WAIT_S = 3600.0


@dataclass(frozen=True)
class Plan:
    """`fire`: the times, in order. `again_s`: when to look again, None when only a change can bring anything."""

    fire: tuple[datetime, ...]
    status: dict[str, Any]
    again_s: float | None


def plan(trigger: Mapping[str, Any], now: datetime) -> Plan:
    """A firing is decided here once: its time is noted in the status in the transaction that says it."""
    spec, before = trigger["spec"], trigger.get("status") or {}
    status = {key: value for key, value in before.items() if key != "nextScheduleTime"}
    status["observedGeneration"] = trigger["metadata"]["generation"]
    schedule = spec.get("schedule")
    if not schedule or spec.get("suspend"):
        return Plan((), status, None)
    coming = times.after(schedule, now)
    if coming is not None:
        status["nextScheduleTime"] = rfc3339(coming)
    again_s = min(LONGEST_WAIT_S, (coming - now).total_seconds()) if coming else None
    forbids = spec.get("concurrencyPolicy") == "Forbid"
    if forbids and before.get("active"):
        return Plan((), status, again_s)  # what it lets pass meanwhile is missed, and made up for as `catchUp` says
    last = datetime.fromisoformat(before.get("lastScheduleTime") or trigger["metadata"]["creationTimestamp"])
    due = times.due(spec, last, now)
    fire = due.fire[-1:] if forbids else due.fire
    if due.latest is not None:
        status["lastScheduleTime"] = rfc3339(due.latest)
        status["missed"] = before.get("missed", 0) + due.given_up + len(due.fire) - len(fire)
    return Plan(fire, status, again_s)
