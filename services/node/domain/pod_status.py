"""The status of a pod as `kubectl` and the controllers read it; pure. Source: kubelet `generateAPIPodStatus`."""

from datetime import datetime
from typing import Any

from libs.base.clock import rfc3339
from services.node.domain import conditions
from services.node.domain.attempts import Attempt, latest
from services.node.domain.pods import FINISHED, Health, PodPlan, Seen, Waiting, init_failed, mains_over, sidecars

Object = dict[str, Any]


def pod_status(pod: Object, seen: Seen, plan: PodPlan, now: datetime) -> Object:
    """The new `status`; a finished pod keeps its phase for ever."""
    old = pod.get("status") or {}
    spec = pod["spec"]
    status = {k: v for k, v in old.items() if k not in ("containerStatuses", "initContainerStatuses")}
    inits, mains = spec.get("initContainers") or [], spec["containers"]
    if inits:
        status["initContainerStatuses"] = [_container(pod, c, seen, plan, init=True) for c in inits]
    status["containerStatuses"] = [_container(pod, c, seen, plan) for c in mains]
    status["phase"] = _phase(pod, seen, plan)
    if plan.failed:
        status["reason"], status["message"] = plan.failed
    status["conditions"] = _conditions(pod, status, seen, now)
    return status


def _phase(pod: Object, seen: Seen, plan: PodPlan) -> str:
    before = (pod.get("status") or {}).get("phase")
    if before in FINISHED:
        return str(before)
    spec = pod["spec"]
    last = [latest(seen.attempts, c["name"]) for c in spec["containers"]]
    if plan.over and (plan.failed or pod["metadata"].get("deletionTimestamp")):
        done = bool(last) and all(a and a.exit and a.exit.exit_code == 0 for a in last) and not plan.failed
        return "Succeeded" if done else "Failed"
    if init_failed(spec, seen):
        return "Failed"
    if any(a is None or (a.number == 0 and not a.started_at and a.running) for a in last):
        return "Pending"
    if any(a and a.running for a in last) or not mains_over(spec, seen):
        return "Running"
    if any((s := latest(seen.attempts, c["name"])) and s.running for c in sidecars(spec)):
        return "Running"
    return "Succeeded" if all(a and a.exit and a.exit.exit_code == 0 for a in last) else "Failed"


def _container(pod: Object, container: Object, seen: Seen, plan: PodPlan, *, init: bool = False) -> Object:
    name = container["name"]
    history = seen.attempts.get(name) or ()
    last = history[-1] if history else None
    health = seen.health.get(name) or Health()
    running = bool(last and last.running and last.started_at)
    done = bool(init and last and last.exit and last.exit.exit_code == 0)
    return {
        "name": name,
        "state": _state(last, plan.waiting.get(name), init=init),
        "lastState": _last_state(history, last, plan.waiting.get(name)),
        "ready": done or (running and health.started and health.ready),
        "started": running and health.started,
        "restartCount": last.number if last else 0,
        "image": container.get("image", ""),
        "imageID": container.get("image", ""),
        **({"containerID": _container_id(pod, last)} if last else {}),
    }


def _container_id(pod: Object, attempt: Attempt) -> str:
    return f"millstream://{pod['metadata']['uid']}/{attempt.name}/{attempt.number}"


def _state(last: Attempt | None, waiting: Waiting | None, *, init: bool) -> Object:
    if last and last.running and last.started_at:
        return {"running": {"startedAt": rfc3339(last.started_at)}}
    if waiting is not None:
        told = {"reason": waiting.reason, **({"message": waiting.message} if waiting.message else {})}
        return {"waiting": told}
    if last and last.exit:
        return {"terminated": terminated(last)}
    return {"waiting": {"reason": "ContainerCreating" if last else "PodInitializing"}}


def _last_state(history: tuple[Attempt, ...], last: Attempt | None, waiting: Waiting | None) -> Object:
    if last and last.exit and waiting is not None:
        return {"terminated": terminated(last)}
    before = history[-2] if len(history) > 1 else None
    return {"terminated": terminated(before)} if before and before.exit else {}


def terminated(attempt: Attempt) -> Object:
    """`ContainerStateTerminated`; the signal appears only where one ended the process."""
    end = attempt.exit
    if end is None:
        raise ValueError(f"attempt {attempt.number} of {attempt.name} has not ended")
    return {
        "exitCode": end.exit_code,
        **({"signal": end.signal} if end.signal else {}),
        "reason": end.reason,
        **({"message": end.message} if end.message else {}),
        "startedAt": rfc3339(end.started_at),
        "finishedAt": rfc3339(end.finished_at),
    }


def _conditions(pod: Object, status: Object, seen: Seen, now: datetime) -> list[Object]:
    known = list(status.get("conditions") or [])
    inits = status.get("initContainerStatuses") or []
    finished = status["phase"] in FINISHED
    initialised = all(s["ready"] or s["started"] for s in inits) or _past_init(seen, pod)
    ready = not finished and initialised and all(s["ready"] for s in status["containerStatuses"])
    unready = [s["name"] for s in status["containerStatuses"] if not s["ready"]]
    why = ("PodCompleted", "") if status["phase"] == "Succeeded" else ("PodFailed", "") if finished else (
        "ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]")  # fmt: skip
    known = conditions.put(known, "PodScheduled", True, now)
    if status["phase"] == "Failed" and _was_lost(seen):
        why_lost = {"reason": "TerminationByKubelet", "message": "the node lost what ran in the pod"}
        known = conditions.put(known, "DisruptionTarget", True, now, **why_lost)
    known = _put(
        known, "Initialized", initialised, ("ContainersNotInitialized", "init containers have not completed"), now
    )
    known = _put(known, "ContainersReady", ready, why, now)
    return _put(known, "Ready", ready and not pod["metadata"].get("deletionTimestamp"), why, now)


def _was_lost(seen: Seen) -> bool:
    ends = [history[-1].exit for history in seen.attempts.values() if history]
    return any(end is not None and end.was_lost for end in ends)


def _past_init(seen: Seen, pod: Object) -> bool:
    return any(seen.attempts.get(c["name"]) for c in pod["spec"]["containers"])


def _put(known: list[Object], kind: str, value: bool, why: tuple[str, str], now: datetime) -> list[Object]:
    reason, message = ("", "") if value else why
    return conditions.put(known, kind, value, now, reason=reason, message=message)
