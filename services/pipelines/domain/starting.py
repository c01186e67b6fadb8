"""Steps whose pod does not come to run: what somebody must mend, what to wait for, and what Events add to it; pure."""

from __future__ import annotations

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


def is_to_be_mended(why: Obstacle) -> bool:
    """Whether the pod starts only after somebody has made or changed something. A pod that no node has room for waits
    for others to end, unless it names a claim that is not there."""
    if why.reason == UNSCHEDULABLE:
        return MISSING in why.message
    return why.reason not in WAITS


def told_by(events: Sequence[Mapping[str, Any]]) -> Obstacle | None:
    """What keeps a pod that has its node from running, where its status does not tell. Of scheduling the status tells,
    and Events of it stay when it is long done."""
    said = [event for event in events if event.get("reason") != "FailedScheduling"]
    begun = {str(event["reason"]): event for event in said if event.get("reason") in BEGUN}
    if not begun:
        return event_obstacle(said)
    if begun.keys() == {PULLING}:
        return Obstacle(PULLING, str(begun[PULLING].get("message") or "its image is being pulled"))
    return None


def given_up(why: Obstacle, patience_s: float, *, there: bool) -> Ended:
    """Nobody mended it in time; whether it is tried again is for the step's own retry policy to say. `there`: a pod
    was made."""
    told = f"the step's pod did not start within {patience_s:.0f} s ({why.reason}): {why.message}"
    return Ended(Failed(Error(told, DEADLINE_EXCEEDED, why.reason)), there=there)
