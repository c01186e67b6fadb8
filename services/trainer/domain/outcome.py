"""Why a job ended, in words that a person can act on."""

from dataclasses import dataclass
from typing import Any

from libs.cluster.obstacles import disruption
from services.trainer.domain import words
from services.trainer.domain.observed import Observed, index, job_condition

TAIL_LENGTH_MAX = 800
SIGNALS = {6: "SIGABRT", 9: "SIGKILL", 11: "SIGSEGV", 15: "SIGTERM"}


@dataclass(frozen=True)
class Outcome:
    """`reason` is one CamelCase word, `message` a sentence."""

    succeeded: bool
    reason: str
    message: str


def outcome(observed: Observed) -> Outcome | None:
    """None while the child Job is not over."""
    done = job_condition(observed.job, "Complete")
    if done:
        return Outcome(True, "JobsCompleted", "all nodes completed")
    failed = job_condition(observed.job, "Failed")
    return _failure(failed, observed) if failed else None


def failed_pods(observed: Observed) -> list[dict[str, Any]]:
    """Pods that failed by themselves, first ended first: the first is the cause, the others often its echo."""
    failed = [pod for pod in observed.pods if (pod.get("status") or {}).get("phase") == "Failed"]
    return sorted(failed, key=_ended)


def failed_container(pod: dict[str, Any]) -> str:
    """The container whose log explains the pod's failure; it may be an init container."""
    return str((_terminated(pod) or {}).get("container") or words.NODE)


def _failure(condition: dict[str, Any], observed: Observed) -> Outcome:
    if condition.get("reason") == "DeadlineExceeded":
        return Outcome(False, "DeadlineExceeded", condition.get("message") or "the job was active for too long")
    for pod in sorted(failed_pods(observed), key=lambda pod: disruption(pod) is not None):
        told = _told(pod, observed.tails.get(pod["metadata"]["name"], ""))
        if told:
            return told
    if not observed.pods:
        return Outcome(False, "PodLost", "the job's pods vanished and nothing tells why")
    return Outcome(False, condition.get("reason") or "JobFailed", condition.get("message") or "the child Job failed")


def _told(pod: dict[str, Any], tail: str) -> Outcome | None:
    if taken := disruption(pod):
        return Outcome(False, "PodLost", f"node-{index(pod)} was taken away: {taken[1] or taken[0]}")
    ended = _terminated(pod)
    if not ended:
        status = pod.get("status") or {}
        lost = f"node-{index(pod)} was lost: {status.get('message') or status.get('reason') or 'no reason given'}"
        return Outcome(False, "PodLost", lost)
    code, who = ended.get("exitCode", 0), f"node-{index(pod)} ({ended['container']})"
    last = _tail(ended.get("message") or tail)
    if ended.get("reason") == "OOMKilled":
        limit = _memory_limit(pod, ended["container"])
        return Outcome(False, "OOMKilled", f"{who} used more memory than its limit{limit}{last}")
    if ended.get("reason") in ("StartError", "ContainerCannotRun", "CreateContainerError"):
        return Outcome(False, "StartError", f"{who} could not start{last}")
    if not code:
        return None
    signal = SIGNALS.get(code - 128)
    return Outcome(False, "ExitCode", f"{who} ended with exit code {code}{f' ({signal})' if signal else ''}{last}")


def _terminated(pod: dict[str, Any]) -> dict[str, Any] | None:
    status = pod.get("status") or {}
    states = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    ended = [{**s["state"]["terminated"], "container": s["name"]} for s in states if "terminated" in s.get("state", {})]
    failed = [state for state in ended if state.get("exitCode")]
    return next(iter(sorted(failed, key=lambda state: state.get("finishedAt") or "")), ended[0] if ended else None)


def _ended(pod: dict[str, Any]) -> tuple[str, int]:
    """SIGTERM (143) is what the others get when one has failed; within one second it must not win."""
    ended = _terminated(pod) or {}
    return (str(ended.get("finishedAt") or "9"), int(ended.get("exitCode") == 143), index(pod))[:2]


def _memory_limit(pod: dict[str, Any], name: str) -> str:
    for container in pod["spec"].get("containers") or []:
        limit = ((container.get("resources") or {}).get("limits") or {}).get("memory")
        if container["name"] == name and limit:
            return f" of {limit}"
    return ""


def _tail(text: str) -> str:
    text = text.strip()
    if len(text) > TAIL_LENGTH_MAX:
        text = "..." + text[-TAIL_LENGTH_MAX:]
    return f"; its last words:\n{text}" if text else ""
