"""Steps whose pod does not come to run: what somebody must mend, what to wait for, and what Events add to it; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from libs.cluster.obstacles import Obstacle, event_obstacle
from services.pipelines.domain.codes import DEADLINE_EXCEEDED
from services.pipelines.domain.ended import Ended
from services.pipelines.domain.engine.records import Error
from services.pipelines.domain.engine.words import Failed

PULLING = "Pulling"
WAITS = frozenset(
    (
        "SchedulingGated", "QuotaExceeded", "NodeLost", "NamespaceTerminating", "AdmissionUnavailable", "ClusterError",
        PULLING,
    )
)  # fmt: skip
"""Reasons that go away by themselves, when others are done, a machine is back or a large image has come."""
UNSCHEDULABLE = "Unschedulable"
MISSING = "not found"
BEGUN = (PULLING, "Pulled", "Created", "Started")
"""What a kubelet says after all volumes were mounted."""
BUSY = ("Multi-Attach error", "is already in use by another pod")
"""Of a volume that others have: the attach-detach controller says so once, the kubelet of one that is for one pod."""
VAGUE = "Unable to attach or mount volumes"
"""What the kubelet says besides, every two minutes, whatever it is that keeps a volume away."""
ATTACHED = "SuccessfulAttachVolume"
VOLUME = re.compile(r'for volume "([^"]+)"')


def is_to_be_mended(why: Obstacle) -> bool:
    """Whether the pod starts only after somebody has made or changed something. A pod that no node has room for waits
    for others to end, unless it names a claim that is not there; so does one whose volume others have."""
    if any(words in why.message for words in BUSY):
        return False
    if why.reason == UNSCHEDULABLE:
        return MISSING in why.message
    return why.reason not in WAITS


def told_by(events: Sequence[Mapping[str, Any]]) -> Obstacle | None:
    """What keeps a pod that has its node from running, where its status does not tell. Of scheduling the status tells,
    and Events of it stay when it is long done."""
    said = [event for event in events if event.get("reason") != "FailedScheduling"]
    begun = {str(event["reason"]): event for event in said if event.get("reason") in BEGUN}
    if not begun:
        left = _still_so(said)
        return event_obstacle(one for one in left if VAGUE not in _message(one)) or event_obstacle(left)
    if begun.keys() == {PULLING}:
        return Obstacle(PULLING, str(begun[PULLING].get("message") or "its image is being pulled"))
    return None


def _still_so(said: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """But for what was said of volumes before others gave them back."""
    come = {volume for one in said if one.get("reason") == ATTACHED for volume in VOLUME.findall(_message(one))}
    busy = [one for one in said if BUSY[0] in _message(one)]
    return [one for one in said if one not in busy or come.isdisjoint(VOLUME.findall(_message(one)))]


def _message(event: Mapping[str, Any]) -> str:
    return str(event.get("message") or "")


def given_up(why: Obstacle, patience_s: float, *, there: bool) -> Ended:
    """Nobody mended it in time; whether it is tried again is for the step's own retry policy to say. `there`: a pod
    was made."""
    told = f"the step's pod did not start within {patience_s:.0f} s ({why.reason}): {why.message}"
    return Ended(Failed(Error(told, DEADLINE_EXCEEDED, why.reason)), there=there)
