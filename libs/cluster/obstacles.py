"""Why a workload does not come to run, from pods, Events and refusals; pure, it must not assume which cluster it is.

Words are those of kubelet, scheduler and admission (Kubernetes 1.28 and later). What is told here is steady: what the
kubelet says by turns (ErrImagePull, ImagePullBackOff) is one reason, so that a status made of it does not flap.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from libs.base.errors import ApiError, Forbidden, Internal

Object = Mapping[str, Any]

IMAGE_PULL = "ImagePullBackOff"
INVALID_IMAGE = "InvalidImageName"
STUCK_AFTER_S = 60.0
"""How long after its grace period a pod that still ends counts as stuck: its node does not answer."""

_PULLS = ("ErrImagePull", IMAGE_PULL, "ImageInspectError", "RegistryUnavailable", "SignatureValidationFailed")
_CANNOT_START = (
    "ErrImageNeverPull", "CreateContainerConfigError", "CreateContainerError", "RunContainerError",
    "PreCreateHookError", "PreStartHookError", "PostStartHookError",
)  # fmt: skip
_EVENTS = ("FailedCreate", "FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox", "FailedScheduling")
_PULL_ADVICE = "check the image's name and, for a private registry, imagePullSecrets"
_POLICY_ADVICE = "waiting does not help: change the workload, or have the policy changed"
_DENIALS = (
    ("exceeded quota", "QuotaExceeded", "it goes on when others free quota, or when the quota is raised"),
    ("failed quota", "QuotaExceeded", "say how much the workload needs, or give the namespace a LimitRange"),
    ("violates podsecurity", "PodSecurityViolation", _POLICY_ADVICE),
    ("error looking up service account", "ServiceAccountMissing", "make it, or name another one"),
    ("denied the request", "AdmissionDenied", _POLICY_ADVICE),
    ("validatingadmissionpolicy", "AdmissionDenied", _POLICY_ADVICE),
    ("it is being terminated", "NamespaceTerminating", "the namespace is going away"),
    ("usage per container", "QuotaExceeded", _POLICY_ADVICE),
    ("usage per pod", "QuotaExceeded", _POLICY_ADVICE),
    ("failed calling webhook", "AdmissionUnavailable", "it is tried again; who runs the webhook must see to it"),
)


@dataclass(frozen=True)
class Obstacle:
    """`reason` is one CamelCase word, `message` a sentence; `hopeless` means that no waiting ever helps."""

    reason: str
    message: str
    hopeless: bool = False

    def of(self, who: str) -> "Obstacle":
        """The same with the name of whom it concerns."""
        return Obstacle(self.reason, f"{who}: {self.message}", self.hopeless)


def pod_obstacle(pod: Object, now: datetime) -> Obstacle | None:
    """What keeps a pod from running (or from ending), as its own status tells; None for one that is as it should be."""
    if pod["metadata"].get("deletionTimestamp"):
        return _stuck(pod, now)
    status = pod.get("status") or {}
    if status.get("phase") == "Unknown":
        return Obstacle("NodeLost", f"node {_node(pod)} does not answer; nobody knows how the pod is")
    return _scheduling(status) or _containers(status)


def event_obstacle(events: Iterable[Object]) -> Obstacle | None:
    """The newest Warning that tells why pods cannot be made or started: their status does not tell of volumes."""
    told = [event for event in events if event.get("type") == "Warning" and event.get("reason") in _EVENTS]
    if not told:
        return None
    newest = max(told, key=_last_seen)
    message = str(newest.get("message") or newest["reason"])
    return denial(message) or Obstacle(str(newest["reason"]), message)


def refusal(error: ApiError) -> Obstacle | None:
    """What admission, authorisation or a broken API server (500) said to a write; None for an error of another kind.

    An API server older than a field we set also says 500, so a silent retry would hide for ever why nothing runs.
    """
    if found := denial(error.message):
        return found
    if isinstance(error, Forbidden):
        return Obstacle("Forbidden", f"{error.message}; who runs the platform must grant this")
    if isinstance(error, Internal):
        return Obstacle("ClusterError", f"{error.message.rstrip('.')}; it is tried again")
    return None


def denial(message: str) -> Obstacle | None:
    """A refusal by quota or policy, read from its wording: the API has no reason codes for these."""
    lower = message.lower()
    for mark, reason, advice in _DENIALS:
        if mark in lower:
            return Obstacle(reason, f"{message.rstrip('.')}; {advice}")
    return None


def is_fleeting(reason: str) -> bool:
    """Told by Events or by a refusal, which are gone when looked for later, not by the present state of a pod."""
    return reason in (*_EVENTS, "Forbidden", "ClusterError") or any(reason == known for _, known, _ in _DENIALS)


def disruption(pod: Object) -> tuple[str, str, str] | None:
    """(reason, message, RFC 3339 time) when not the pod's own program ended it: eviction, preemption, node loss.

    Source: KEP-3329, condition DisruptionTarget; the reasons in `status.reason` are those of nodes that set no such
    condition.
    """
    status = pod.get("status") or {}
    for condition in status.get("conditions") or []:
        if condition.get("type") == "DisruptionTarget" and condition.get("status") == "True":
            at = condition.get("lastTransitionTime") or ended_at(pod)
            return condition.get("reason") or "DisruptionTarget", condition.get("message") or "", at
    if status.get("phase") == "Failed" and status.get("reason") in _LOST:
        return status["reason"], status.get("message") or "", ended_at(pod)
    return None


_LOST = ("Evicted", "NodeLost", "NodeShutdown", "Preempting", "Shutdown", "Terminated", "UnexpectedAdmissionError")


def steady(before: Object | None, now: Obstacle) -> Obstacle:
    """`now`, unless the condition `before` told more of the same: "Back-off pulling image" alone explains nothing."""
    if before and before.get("reason") == now.reason == IMAGE_PULL and _is_back_off(now.message):
        return Obstacle(now.reason, str(before.get("message") or now.message), now.hopeless)
    return now


def _is_back_off(message: str) -> bool:
    """The bare wording; kubelets since 1.32 add the cause after it, which is worth telling."""
    return "Back-off pulling image" in message and ": Err" not in message


def _stuck(pod: Object, now: datetime) -> Obstacle | None:
    ended = (pod.get("status") or {}).get("phase") in ("Failed", "Succeeded")
    due = datetime.fromisoformat(pod["metadata"]["deletionTimestamp"]) + timedelta(seconds=STUCK_AFTER_S)
    if ended or now < due:
        return None
    name, space = pod["metadata"]["name"], pod["metadata"].get("namespace", "")
    way = f"bring the node back or remove it; if it is surely off: kubectl delete pod {name} -n {space} --force"
    return Obstacle("NodeLost", f"the pod should have ended by now, but node {_node(pod)} does not answer; {way}")


def _scheduling(status: Object) -> Obstacle | None:
    for condition in status.get("conditions") or []:
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return Obstacle(condition.get("reason") or "Unschedulable", condition.get("message") or "no node fits")
    return None


def _containers(status: Object) -> Obstacle | None:
    states: Sequence[Object] = [
        *(status.get("initContainerStatuses") or []),
        *(status.get("containerStatuses") or []),
    ]
    for container in states:
        waiting = (container.get("state") or {}).get("waiting") or {}
        if found := _waiting(waiting.get("reason") or "", waiting.get("message") or "", container.get("name", "")):
            return found
    return None


def _waiting(reason: str, message: str, container: str) -> Obstacle | None:
    who = f"container {container}: "
    told = message if message.startswith(who) else who + (message or "it cannot be made")
    if reason == INVALID_IMAGE:
        return Obstacle(reason, told, hopeless=True)
    if reason in _PULLS:
        return Obstacle(IMAGE_PULL, f"{told}; {_PULL_ADVICE}")
    return Obstacle(reason, told) if reason in _CANNOT_START else None


def _last_seen(event: Object) -> str:
    series = event.get("series") or {}
    at = series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime")
    return str(at or event["metadata"].get("creationTimestamp") or "")


def ended_at(pod: Object) -> str:
    """When the pod's last container ended; of one that tells nothing, when it was asked to go or made."""
    status, meta = pod.get("status") or {}, pod["metadata"]
    ended = [(c.get("state") or {}).get("terminated") or {} for c in status.get("containerStatuses") or []]
    begun = meta.get("deletionTimestamp") or meta.get("creationTimestamp") or ""
    return max((end["finishedAt"] for end in ended if end.get("finishedAt")), default=begun)


def _node(pod: Object) -> str:
    return str((pod.get("spec") or {}).get("nodeName") or "of no name")
