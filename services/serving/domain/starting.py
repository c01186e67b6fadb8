"""What keeps a predictor's pods from running: images, nodes, volumes, quota and policy; serving waits and says so."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from libs.cluster.obstacles import Obstacle, denial, disruption, event_obstacle, pod_obstacle

Object = dict[str, Any]

ASK_EVENTS_AFTER_S = 5.0
ASK_EVENTS_PODS_MAX = 3


def obstacle(deployment: Object, pods: Sequence[Object], events: Iterable[Object], now: datetime) -> Obstacle | None:
    """That of a pod, else why the Deployment cannot make one, else what Events tell of pods that are mute."""
    for pod in sorted(pods, key=lambda pod: str(pod["metadata"]["name"])):
        if found := pod_obstacle(pod, now):
            return found
    return _of_deployment(deployment) or event_obstacle(events)


def present(pods: Iterable[Object]) -> list[Object]:
    """Those that count: a pod that ends, was evicted or lost with its node has a successor, and says nothing of it."""
    return [pod for pod in pods if not _is_passing(pod)]


def unexplained(pods: Iterable[Object], now: datetime) -> list[str]:
    """The uids of pods that have been pending for a while without saying why."""
    mute = [pod for pod in pods if _is_late(pod, now) and pod_obstacle(pod, now) is None]
    return [str(pod["metadata"]["uid"]) for pod in mute[:ASK_EVENTS_PODS_MAX]]


def is_leaving(pod: Object) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))


def _of_deployment(deployment: Object) -> Obstacle | None:
    """Source: condition ReplicaFailure of apps/v1, which carries what admission said to the ReplicaSet controller."""
    for condition in (deployment.get("status") or {}).get("conditions") or []:
        if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
            message = str(condition.get("message") or "no pod can be made")
            return denial(message) or Obstacle(condition.get("reason") or "FailedCreate", message)
    return None


def _is_passing(pod: Object) -> bool:
    over = (pod.get("status") or {}).get("phase") in ("Failed", "Succeeded")
    return over or is_leaving(pod) or disruption(pod) is not None


def _is_late(pod: Object, now: datetime) -> bool:
    created = pod["metadata"].get("creationTimestamp")
    pending = (pod.get("status") or {}).get("phase") == "Pending"
    return pending and bool(created) and (now - datetime.fromisoformat(created)).total_seconds() >= ASK_EVENTS_AFTER_S
