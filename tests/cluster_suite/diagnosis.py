"""Why a pod or a workload is not ready, in sentences that say what to do; pure, from what the API server tells.

Sources: kubelet's waiting reasons, the scheduler's and the controllers' conditions and events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from tests.cluster_suite.kubectl import Object

Lines = Callable[[str, bool], Sequence[str]]
"""(container, of the attempt before) -> the last lines of its log."""

NO_PULL = ("ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable")
NO_CONFIG = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")


def no_lines(container: str, before: bool) -> Sequence[str]:
    """A pod whose log nobody reads."""
    return ()


def of_pod(pod: Object, events: Iterable[Object] = (), lines: Lines = no_lines) -> list[str]:
    """What is wrong with a pod; empty when it is ready, has succeeded or is being deleted."""
    status, name = pod.get("status") or {}, pod["metadata"]["name"]
    if status.get("phase") == "Succeeded" or _ready(pod) or pod["metadata"].get("deletionTimestamp"):
        return []
    if status.get("phase") == "Failed" and status.get("reason"):
        return [f"pod {name} was ended: {status['reason']}: {status.get('message', '')}".rstrip(": ")]
    if told := _unscheduled(pod):
        return told
    told = [line for one in _containers(status) for line in _of_container(name, one, lines)]
    news = _news(events)
    if told:
        return told + ([f"  events: {news}"] if news and "Failed" in news else [])
    why = next((c.get("message", "") for c in status.get("conditions") or [] if c["type"] == "Ready"), "")
    return [f"pod {name} is {status.get('phase', 'Pending')} and not ready{': ' if why else ''}{why}"] + (
        [f"  events: {news}"] if news else []
    )


def of_workload(workload: Object, pods: Sequence[Object], events: Iterable[Object] = ()) -> list[str]:
    """What keeps a Deployment, StatefulSet or Job from having pods at all; empty when it has some."""
    kind, name = workload["kind"], workload["metadata"]["name"]
    conditions = {c["type"]: c for c in (workload.get("status") or {}).get("conditions") or []}
    failure = conditions.get("ReplicaFailure", {})
    if failure.get("status") == "True":
        return [_refused(f"{kind} {name} cannot make its pods", failure.get("message", ""))]
    if conditions.get("Failed", {}).get("status") == "True":
        failed = conditions["Failed"]
        return [f"{kind} {name} failed: {failed.get('reason')}: {failed.get('message', '')}"]
    if pods:
        return []
    warned = [e for e in events if e.get("type") == "Warning" and e.get("reason") in ("FailedCreate", "FailedMount")]
    if warned:
        return [_refused(f"{kind} {name} cannot make its pods", warned[-1].get("message", ""))]
    return [f"{kind} {name} has no pods; `kubectl describe {kind.lower()} {name}` may tell why"]


def of_claim(claim: Object, default_class: str | None) -> list[str]:
    """Why a volume claim is not bound."""
    if (claim.get("status") or {}).get("phase") == "Bound":
        return []
    wanted = claim["spec"].get("storageClassName") or default_class
    name = claim["metadata"]["name"]
    if not wanted:
        return [f"claim {name} waits for a volume: the cluster has no default StorageClass, and it names none"]
    return [f"claim {name} waits for a volume of class {wanted}: its provisioner has not made one (yet)"]


def _ready(pod: Object) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _unscheduled(pod: Object) -> list[str]:
    name = pod["metadata"]["name"]
    for condition in (pod.get("status") or {}).get("conditions") or []:
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            message = condition.get("message", "")
            return [f"pod {name} fits on no node: {message}{_scheduling_hint(message)}"]
    return []


def _scheduling_hint(message: str) -> str:
    if "Insufficient" in message:
        return " -> lower the requests, or add a node"
    if "unbound immediate PersistentVolumeClaims" in message or "volume node affinity" in message:
        return " -> look at its claims: `kubectl get pvc`"
    if "taint" in message:
        return " -> the nodes' taints want a toleration"
    return ""


def _containers(status: Object) -> list[Object]:
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]


def _of_container(pod: str, status: Object, lines: Lines) -> list[str]:
    state, name = status.get("state") or {}, status["name"]
    where = f"pod {pod}, container {name}"
    waiting = state.get("waiting") or {}
    reason, message = waiting.get("reason", ""), waiting.get("message", "")
    if reason in NO_PULL:
        return [
            f"{where}: the image {status.get('image')} cannot be pulled ({reason}): {message}"
            " -> is it pushed (`make images PUSH=1`), the prefix right, and may the nodes pull from there?"
        ]
    if reason in NO_CONFIG:
        hint = " -> the bootstrap job makes the Secrets: is job/bootstrap complete?" if "secret" in message else ""
        return [f"{where}: {reason}: {message}{hint}"]
    if reason == "CrashLoopBackOff":
        return _ended(where, name, (status.get("lastState") or {}).get("terminated") or {}, True, lines, status)
    if ended := state.get("terminated"):
        return [] if ended.get("exitCode") == 0 else _ended(where, name, ended, False, lines, status)
    if "running" in state and not status.get("ready"):
        return [f"{where} runs but is not ready", *_quoted(lines(name, False))]
    return []


def _ended(where: str, name: str, ended: Object, before: bool, lines: Lines, status: Object) -> list[str]:
    code, reason = ended.get("exitCode", "?"), ended.get("reason", "")
    words = f"{where}: ended with {code} ({reason}), {status.get('restartCount', 0)} restarts"
    if reason == "OOMKilled":
        words += " -> its memory limit is too low"
    if ended.get("message"):
        words += f": {ended['message']}"
    return [words, *_quoted(lines(name, before))]


def _quoted(lines: Sequence[str]) -> list[str]:
    return [f"  | {line}" for line in lines]


def _refused(what: str, message: str) -> str:
    if "PodSecurity" in message:
        return f"{what}: Pod Security refuses them: {message}"
    if "exceeded quota" in message:
        return f"{what}: the namespace's quota is used up: {message}"
    if "denied the request" in message:
        return f"{what}: an admission webhook refuses them: {message}"
    return f"{what}: {message}"


def _news(events: Iterable[Object]) -> str:
    """The latest warnings, once each."""
    warned = [f"{e.get('reason')}: {e.get('message')}" for e in events if e.get("type") == "Warning"]
    return "; ".join(dict.fromkeys(warned[-4:]))
