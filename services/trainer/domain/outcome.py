"""Why a job ended, in words that a person can act on."""

from dataclasses import dataclass
from typing import Any

from libs.cluster.obstacles import disruption
from services.trainer.domain import words
from services.trainer.domain.failures import SIGNALS, finding, own_words
from services.trainer.domain.observed import Observed, called, index, job_condition

TAIL_LENGTH_MAX = 800
SAID_LENGTH_MAX = 300
LOST = "PodLost"


@dataclass(frozen=True)
class Outcome:
    """`reason` is one CamelCase word, `message` a sentence; an echo only tells that another process died first."""

    succeeded: bool
    reason: str
    message: str
    is_echo: bool = False


def outcome(observed: Observed) -> Outcome | None:
    """None while the child Job is not over."""
    done = job_condition(observed.job, "Complete")
    if done:
        return Outcome(True, "JobsCompleted", "all nodes completed")
    failed = next((told for job in observed.jobs if (told := job_condition(job, "Failed"))), None)
    return _failure(failed, observed) if failed else None


def failed_pods(observed: Observed) -> list[dict[str, Any]]:
    """Pods that failed by themselves, first ended first: the first is the cause, the others often its echo."""
    failed = [pod for pod in observed.pods if (pod.get("status") or {}).get("phase") == "Failed"]
    return sorted(failed, key=_ended)


def each_told(observed: Observed) -> list[tuple[dict[str, Any], Outcome]]:
    """What every failed pod tells of its end, first ended first."""
    return [(pod, found) for pod in failed_pods(observed) if (found := _told(pod, _text(pod, observed)))]


def explained(observed: Observed) -> Outcome | None:
    """The first pod that tells a cause of its own; a pod that was taken away explains what its peers only echo."""
    told = [found for _, found in each_told(observed)]
    fitting = (found for sort in (_is_own, _is_loss, _is_any) for found in told if sort(found))
    return next(fitting, None)


def failed_container(pod: dict[str, Any]) -> str:
    """The container whose log explains the pod's failure; it may be an init container."""
    return str((_terminated(pod) or {}).get("container") or words.NODE)


def _failure(condition: dict[str, Any], observed: Observed) -> Outcome:
    if condition.get("reason") == "DeadlineExceeded":
        why = condition.get("message") or "the job was active for too long"
        return Outcome(False, "DeadlineExceeded", f"{why}; {_DEADLINE}")
    if why := explained(observed):
        return why
    if not observed.pods:
        return Outcome(False, "PodLost", "the job's pods vanished and nothing tells why")
    return Outcome(False, condition.get("reason") or "JobFailed", condition.get("message") or "the child Job failed")


def _is_own(why: Outcome) -> bool:
    return why.reason != LOST and not why.is_echo


def _is_loss(why: Outcome) -> bool:
    return why.reason == LOST


def _is_any(why: Outcome) -> bool:
    return True


def _text(pod: dict[str, Any], observed: Observed) -> str:
    """The most that is known of a pod's last words: its status holds 2 KiB of them, which a launcher's own can fill."""
    tail, message = observed.tails.get(pod["metadata"]["name"], ""), (_terminated(pod) or {}).get("message") or ""
    return max(tail, message, key=len)


def _told(pod: dict[str, Any], text: str) -> Outcome | None:
    if taken := disruption(pod):
        return Outcome(False, LOST, f"{called(pod)} was taken away: {taken[1] or taken[0]}")
    ended = _terminated(pod)
    if not ended:
        status = pod.get("status") or {}
        lost = f"{called(pod)} was lost: {status.get('message') or status.get('reason') or 'no reason given'}"
        return Outcome(False, LOST, lost)
    who = f"{called(pod)} ({ended['container']})"
    if ended.get("reason") == "OOMKilled":
        limit = _memory_limit(pod, ended["container"])
        return Outcome(False, "OOMKilled", f"{who} used more memory than its limit{limit}; {_MEMORY}{_tail(text)}")
    if ended.get("reason") in ("StartError", "ContainerCannotRun", "CreateContainerError"):
        return Outcome(False, "StartError", f"{who} could not start{_tail(text)}")
    return _exited(who, int(ended.get("exitCode") or 0), text)


def _exited(who: str, code: int, text: str) -> Outcome | None:
    """A failure that nobody knows is told by the program's own last words."""
    if not code:
        return None
    signal = SIGNALS.get(code - 128)
    ended = f"{who} ended with exit code {code}{f' ({signal})' if signal else ''}"
    last = _tail(own_words(text))
    found = finding(text, code)
    if found is None:
        return Outcome(False, "ExitCode", ended + last)
    said = f": {found.said[:SAID_LENGTH_MAX]}" if found.line >= 0 else ""
    return Outcome(False, found.reason, f"{ended}{said}; {found.remedy}{last}", found.is_echo)


_DEADLINE = "raise activeDeadlineSeconds, or let the program save checkpoints and go on from the last one"
_MEMORY = "ask for more (resourcesPerNode) or use less: a smaller batch, fewer data loader workers"


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
