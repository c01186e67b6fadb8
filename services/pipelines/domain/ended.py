"""What a step's pod tells by its status: that it runs, or how it ended without a word of its own; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.pipelines.domain.codes import DEADLINE_EXCEEDED, INVALID_ARGUMENT, UNAVAILABLE
from services.pipelines.domain.engine.records import Error
from services.pipelines.domain.engine.words import Failed, Succeeded
from services.pipelines.domain.steps.pod import ATTEMPT, TASK

Object = Mapping[str, Any]


@dataclass(frozen=True)
class Ended:
    """`outcome` is what the attempt comes to if no result came; `well`: its program ended with 0; `there`: its pod is
    still to go."""

    outcome: Succeeded | Failed
    well: bool = False
    there: bool = False


def key_of(pod: Object) -> tuple[str, int] | None:
    """The task's uid and the attempt; None for a pod that is none of ours."""
    labels = (pod.get("metadata") or {}).get("labels") or {}
    uid, attempt = labels.get(TASK), str(labels.get(ATTEMPT) or "")
    return (uid, int(attempt)) if uid and attempt.isdecimal() else None


def is_running(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") == "Running"


def ended(pod: Object, gone: bool = False) -> Ended | None:
    """How it ended; None while it goes on. `gone`: the cluster has it no more."""
    status = pod.get("status") or {}
    phase = status.get("phase")
    name = pod["metadata"]["name"]
    if phase == "Succeeded":
        return Ended(_lost(f"pod {name} ended without handing in a result", "NoResult"), well=True)
    if phase == "Failed":
        return Ended(_failure(name, status))
    return Ended(_lost(f"pod {name} was deleted before its end", "PodDeleted")) if gone else None


def refused(message: str) -> Ended:
    """The cluster will never have this pod."""
    return Ended(
        Failed(Error(f"the cluster refuses the step's pod: {message}", INVALID_ARGUMENT, "Refused"), final=True)
    )


def indescribable(error: Exception) -> Ended:
    """What the step asks for makes no pod."""
    why = Error(f"no pod can be made of what the step asks for: {error!r}", INVALID_ARGUMENT, "BadStep")
    return Ended(Failed(why, final=True))


def hopeless(reason: str, message: str) -> Ended:
    """The pod is there and will never run, whatever one waits for."""
    why = Error(f"the step's pod cannot start: {message}", INVALID_ARGUMENT, reason)
    return Ended(Failed(why, final=True), there=True)


def vanished(name: str) -> Ended:
    """The cluster does not have it, and told nobody of its end."""
    return Ended(_lost(f"pod {name} is gone", "PodDeleted"))


def _failure(name: str, status: Object) -> Failed:
    if status.get("reason") == "DeadlineExceeded":
        why = f"pod {name} ran longer than its activeDeadlineSeconds"
        return Failed(Error(why, DEADLINE_EXCEEDED, "DeadlineExceeded"))
    for container in status.get("containerStatuses") or ():
        if end := (container.get("state") or {}).get("terminated"):
            reason = end.get("reason") or "Error"
            why = f"{reason}, exit code {end.get('exitCode')}"
            if reason == "OOMKilled":
                why = "out of memory (OOMKilled); give the step a higher memory limit"
            return _lost(f"pod {name} ended without handing in a result: {why}", reason)
    why = status.get("message") or status.get("reason") or "no reason told"
    return _lost(f"pod {name} failed: {why}", str(status.get("reason") or "PodFailed"))


def _lost(message: str, reason: str) -> Failed:
    return Failed(Error(message, UNAVAILABLE, reason), lost=True)
