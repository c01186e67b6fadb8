"""How long a job may be active and how long it is kept when it is over: its own word first, then its runtime's."""

from datetime import datetime
from typing import Any

from services.trainer.domain.state import COMPLETE, FAILED, condition

Object = dict[str, Any]
TTL = "ttlSecondsAfterFinished"


def deadline(job: Object, runtime: Object) -> int | None:
    """Seconds from the start of its pods; None for no limit."""
    own = (job.get("spec") or {}).get("activeDeadlineSeconds")
    return own if own is not None else (runtime.get("spec") or {}).get("activeDeadlineSeconds")


def noted(runtime: Object | None) -> dict[str, int]:
    """What a job that ends keeps in its status of its runtime: who is over needs no runtime any more."""
    ttl = ((runtime or {}).get("spec") or {}).get(TTL)
    return {} if ttl is None else {"runtimeTtlSeconds": ttl}


def seconds_left(job: Object, now: datetime) -> float | None:
    """Until a finished job is deleted, at most 0 when it is due; None for one that is kept."""
    own = (job.get("spec") or {}).get(TTL)
    ttl = own if own is not None else (job.get("status") or {}).get("runtimeTtlSeconds")
    ended = condition(job, COMPLETE) or condition(job, FAILED)
    if ttl is None or ended is None:
        return None
    return ttl - (now - datetime.fromisoformat(ended["lastTransitionTime"])).total_seconds()
