"""Goodput: which part of a job's time made steps that were kept; pure bookkeeping over reported steps.

An attempt's useful time runs from its first report of a step to its last one. When the next attempt begins at an
earlier step, the share of the steps that are done again is taken off; start, waiting in a queue after a preemption and
recovery count as lost, a suspension that the user asked for not at all.
"""

from datetime import datetime
from typing import Any

from libs.base.clock import rfc3339_micro

Work = dict[str, Any]
"""`status.work`: `since` the first start, `usefulSeconds` and `redoneSteps` of closed attempts, `restedSeconds` of
suspensions, `restingSince`; of the present attempt `firstStep`, `firstAt`, `lastStep`, `lastAt`, and `cut` once it
was stopped."""

ATTEMPT = ("firstStep", "firstAt", "lastStep", "lastAt", "cut")


def started(work: Work, now: datetime) -> Work:
    """A pod runs: from the first time on the clock runs, and a rest is over."""
    begun = {"since": rfc3339_micro(now), **work}
    resting = begun.pop("restingSince", None)
    return begun | ({"restedSeconds": _rested(begun) + _between(resting, now)} if resting else {})


def resting(work: Work, now: datetime) -> Work:
    """The user suspended the job, and its pods are gone."""
    return work if not work or "restingSince" in work else {**interrupted(work), "restingSince": rfc3339_micro(now)}


def interrupted(work: Work) -> Work:
    """The attempt's pods are to go; which of its steps were kept, the next attempt's first report tells."""
    return {**work, "cut": True} if "lastStep" in work else work


def stepped(work: Work, step: int, now: datetime) -> Work:
    """So many steps are done."""
    if "lastStep" not in work:
        return {
            **work,
            "firstStep": step,
            "firstAt": rfc3339_micro(now),
            "lastStep": step,
            "lastAt": rfc3339_micro(now),
        }
    if work.get("cut") or step < work["lastStep"]:
        return stepped(_closed(work, step), step, now)
    return {**work, "lastStep": step, "lastAt": rfc3339_micro(now)}


def goodput(work: Work, now: datetime, checkpoint_step: int | None = None) -> float | None:
    """0..1, None while no step was reported. Of an attempt that was stopped, only what a checkpoint holds is useful."""
    if "since" not in work or "lastStep" not in work:
        return None
    known = _closed(work, checkpoint_step or 0) if work.get("cut") else _closed(work, work["lastStep"])
    wall = _between(work["since"], now) - _rested(work)
    if "restingSince" in work:
        wall -= _between(work["restingSince"], now)
    return round(max(0.0, min(1.0, known["usefulSeconds"] / wall)), 4) if wall > 0 else None


def _closed(work: Work, kept: int) -> Work:
    """Without the attempt, whose steps up to `kept` count."""
    first, last = work["firstStep"], work["lastStep"]
    kept = max(first, min(kept, last))
    took = _between(work["firstAt"], datetime.fromisoformat(work["lastAt"]))
    useful = took * (kept - first) / (last - first) if last > first else 0.0
    rest = {key: value for key, value in work.items() if key not in ATTEMPT}
    return rest | {
        "usefulSeconds": round(float(work.get("usefulSeconds") or 0) + useful, 3),
        "redoneSteps": int(work.get("redoneSteps") or 0) + last - kept,
    }


def _rested(work: Work) -> float:
    return float(work.get("restedSeconds") or 0)


def _between(since: str, now: datetime) -> float:
    return max(0.0, (now - datetime.fromisoformat(since)).total_seconds())
