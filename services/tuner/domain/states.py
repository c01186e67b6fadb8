"""Where Experiments and trials are in their lives, as their conditions tell, and how conditions move; pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from libs.base.clock import rfc3339
from services.tuner.domain import words

Object = dict[str, Any]
Conditions = list[Object]
ENDS = (words.KILLED, words.FAILED, words.SUCCEEDED, words.METRICS_UNAVAILABLE)
PENDING = "Pending"


def has(obj: Object, type: str) -> bool:
    return any(c["type"] == type and c["status"] == "True" for c in conditions(obj))


def conditions(obj: Object) -> Conditions:
    return (obj.get("status") or {}).get("conditions") or []


def is_over(experiment: Object) -> bool:
    return has(experiment, words.SUCCEEDED) or has(experiment, words.FAILED)


def is_restartable(experiment: Object) -> bool:
    """Whether more budget would let it go on."""
    spent = (words.MAX_TRIALS_REACHED,)
    return any(c["type"] == words.SUCCEEDED and c["reason"] in spent for c in conditions(experiment))


def trial_state(trial: Object) -> str:
    """One of ENDS, Running or Pending."""
    return next((end for end in (*ENDS, words.RUNNING) if has(trial, end)), PENDING)


def is_done(trial: Object) -> bool:
    return trial_state(trial) in ENDS


def moved(before: Conditions, type: str, status: bool, reason: str, message: str, now: datetime) -> Conditions:
    """With this condition set; one that is as it was keeps its times."""
    told = "True" if status else "False"
    old = next((c for c in before if c["type"] == type), None)
    if old is not None and (old["status"], old["reason"], old["message"]) == (told, reason, message):
        return before
    same = old is not None and old["status"] == told
    since = old["lastTransitionTime"] if same and old else rfc3339(now)
    new = {
        "type": type,
        "status": told,
        "reason": reason,
        "message": message,
        "lastUpdateTime": rfc3339(now),
        "lastTransitionTime": since,
    }
    return [new if c["type"] == type else c for c in before] if old else [*before, new]
