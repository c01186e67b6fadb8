"""What keeps a job's pods from running, in words to act on; a job waits meanwhile, as Kubeflow's does."""

from datetime import datetime
from typing import Any

from libs.cluster.obstacles import Obstacle, event_obstacle, pod_obstacle
from services.trainer.domain.observed import Observed, called, index, is_leaving, phase, uid

ASK_EVENTS_AFTER_S = 5.0
"""What starts as it should is never asked about: reading Events costs a call."""
ASK_EVENTS_PODS_MAX = 3


def is_starting(observed: Observed, num_nodes: int) -> bool:
    """Whether fewer pods run (or ran well) than the job has nodes."""
    return len([pod for pod in observed.pods if _runs(pod)]) < num_nodes


def obstacle(observed: Observed, now: datetime) -> Obstacle | None:
    """The one to tell of: a hopeless one first, then that of the first node; Events only where all pods are mute."""
    found = [(index(pod), told.of(called(pod))) for pod in observed.pods if (told := pod_obstacle(pod, now))]
    if found:
        return min(found, key=lambda entry: (not entry[1].hopeless, entry[0]))[1]
    return event_obstacle(observed.events)


def stuck(observed: Observed, now: datetime) -> Obstacle | None:
    """The pod that holds up what waits for the last one to go: its node does not answer."""
    return obstacle(Observed(pods=tuple(pod for pod in observed.pods if is_leaving(pod))), now)


def unexplained(observed: Observed, now: datetime) -> list[str]:
    """The uids of what is late for no reason that its status tells: the Job if pods are missing, else such pods."""
    child = observed.job
    if child is None or child["spec"].get("suspend") or not _is_late(child, now):
        return []
    here = [pod for pod in observed.pods if not is_leaving(pod)]
    if len(here) < int(child["spec"].get("completions") or 1):
        return [uid(child)]
    mute = [pod for pod in here if phase(pod) == "Pending" and pod_obstacle(pod, now) is None and _is_late(pod, now)]
    return [uid(pod) for pod in sorted(mute, key=index)[:ASK_EVENTS_PODS_MAX]]


def _runs(pod: dict[str, Any]) -> bool:
    return phase(pod) in ("Running", "Succeeded") and not is_leaving(pod)


def _is_late(obj: dict[str, Any], now: datetime) -> bool:
    since = (obj.get("status") or {}).get("startTime") or obj["metadata"].get("creationTimestamp")
    return bool(since) and (now - datetime.fromisoformat(since)).total_seconds() >= ASK_EVENTS_AFTER_S
