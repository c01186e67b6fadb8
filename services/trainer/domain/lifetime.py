"""How long a job may be active and how long it is kept when it is over: its own word first, then its runtime's."""

from datetime import datetime
from typing import Any

from services.trainer.domain.state import COMPLETE, FAILED, condition

Object = dict[str, Any]


def deadline(job: Object, runtime: Object) -> int | None:
    """Seconds from the start of its pods; None for no limit."""
    return _first("activeDeadlineSeconds", job, runtime)


def seconds_left(job: Object, runtime: Object, now: datetime) -> float | None:
    """Until a finished job is deleted, at most 0 when it is due; None for one that is kept."""
    ttl = _first("ttlSecondsAfterFinished", job, runtime)
    ended = condition(job, COMPLETE) or condition(job, FAILED)
    if ttl is None or ended is None:
        return None
    return ttl - (now - datetime.fromisoformat(ended["lastTransitionTime"])).total_seconds()


def _first(field: str, job: Object, runtime: Object) -> int | None:
    own = (job.get("spec") or {}).get(field)
    return own if own is not None else (runtime.get("spec") or {}).get(field)
