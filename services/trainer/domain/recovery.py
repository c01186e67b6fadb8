"""Which failures a job survives: its nodes begin again from the last checkpoint instead of failing the job.

What the cluster or a signal did to a node is made good by itself, MAX_RESTARTS times without a new checkpoint in
between; so is a port of the trainer's choice that was taken, since the next attempt gets another one. What the program
did to itself (an exception, too much memory) fails the job, unless its owner says how often it may be tried (annotation
millstream.dev/max-restarts, or the runtime's elasticPolicy.maxRestarts).
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from libs.base.clock import rfc3339
from services.trainer.domain import disruption, words
from services.trainer.domain.observed import Observed, index, is_leaving, job_condition, uid
from services.trainer.domain.outcome import LOST, Outcome, each_told, failed_pods

MAX_RESTARTS = 3
REMEMBERED_MAX = 20
PAUSE_S_MAX = 60.0
SIGNALLED = range(129, 160)
"""Exit codes of programs that a signal ended, as shells and kubelets tell them."""
HUNG = "Hung"
PORT_TAKEN = "PortTaken"
FINAL = ("DeadlineExceeded", "WorkloadsRefused", "TrainingRuntimeNotFound")

Job = dict[str, Any]
Note = dict[str, Any]


def limit(job: Job, policy: Mapping[str, Any]) -> int | None:
    """How often the job's owner lets it begin again, for whatever reason; None where nobody said."""
    own = words.annotation(job, words.MAX_RESTARTS)
    if own is not None:
        return int(own)
    elastic = [given.get("elasticPolicy") or {} for given in policy.values() if isinstance(given, Mapping)]
    return next((given["maxRestarts"] for given in elastic if isinstance(given.get("maxRestarts"), int)), None)


def cause(job: Job, observed: Observed, why: Outcome, num_nodes: int, most: int | None, now: datetime) -> Note | None:
    """Why a failed attempt deserves another one; None for a failure that is the job's. `most` is the owner's limit."""
    if why.reason in FINAL:
        return None
    if note := disruption.cause(job, observed, why, num_nodes):
        return note
    made = {"job": uid(observed.job), "node": _node_of(observed), "time": rfc3339(now)}
    if (pod := _signalled(observed)) is not None:
        return {**made, "node": f"node-{index(pod)}", "reason": "Killed", "message": why.message[:512]}
    tried = bool(((observed.job or {}).get("spec") or {}).get("backoffLimit"))
    if why.is_echo or why.reason == LOST or _chosen_port_is_taken(observed, why) or (most is not None and not tried):
        return {**made, "reason": why.reason, "message": why.message[:512]}
    return None


def _chosen_port_is_taken(observed: Observed, why: Outcome) -> bool:
    """Pods may share a machine, on a laptop even with the pods of another platform; a port of the program's own choice
    is its own affair."""
    if why.reason != PORT_TAKEN:
        return False
    containers = [each for pod in observed.pods for each in (pod.get("spec") or {}).get("containers") or []]
    ports = {port["containerPort"] for each in containers for port in each.get("ports") or []}
    return any(re.search(rf"\b{port}\b", why.message) for port in ports)


def may_restart(job: Job, most: int | None) -> bool:
    """A job that gets on is not given up: without a limit of its owner's, only restarts in vain are counted."""
    if most is not None:
        return restarts(job) < most
    return len(_in_vain(job)) < MAX_RESTARTS


def restarts(job: Job) -> int:
    return int((job.get("status") or {}).get("restarts") or 0)


def remembered(job: Job, note: Note, now: datetime) -> list[Note]:
    """`status.recoveries` with one more: all nodes begin again."""
    return _with(job, {"reason": note["reason"], "node": note["node"], "restart": restarts(job) + 1}, now)


def interrupted(job: Job, reason: str, now: datetime) -> list[Note]:
    """`status.recoveries` with one more, which is no failure: another size, or the quota was needed for others."""
    return _with(job, {"reason": reason}, now)


def replaced(job: Job, observed: Observed, now: datetime) -> list[Note]:
    """`status.recoveries` with the pods that an elastic job's child Job makes again while the others run on."""
    known = [*((job.get("status") or {}).get("recoveries") or [])]
    child = observed.job
    if not child or not child["spec"].get("backoffLimit") or job_condition(child, "Failed"):
        return known
    seen = {entry.get("pod") for entry in known}
    fresh = [pod for pod in failed_pods(observed) if pod["metadata"]["name"] not in seen]
    told = [{"reason": "NodeReplaced", "node": f"node-{index(pod)}", "pod": pod["metadata"]["name"]} for pod in fresh]
    return [*known, *({"time": rfc3339(now), **entry} for entry in told)][-REMEMBERED_MAX:]


def pause_left_s(job: Job, now: datetime) -> float:
    """The second restart in vain waits a second, the third two, the next four, ...: what is broken mostly stays so."""
    vain = _in_vain(job)
    if len(vain) < 2:
        return 0.0
    pause = min(PAUSE_S_MAX, 2.0 ** (len(vain) - 2))
    return max(0.0, pause - (now - datetime.fromisoformat(vain[-1]["time"])).total_seconds())


def sentence(note: Note) -> str:
    """The cause as people read it: what became of a node is told by itself, what the cluster did by its own words."""
    why = note.get("message") or ""
    return why if why.startswith("node-") or note["reason"] == HUNG else disruption.sentence(note)


def _signalled(observed: Observed) -> Job | None:
    """A node that a signal ended; not one that was on its way out because another one had failed."""
    for pod, why in each_told(observed):
        if is_leaving(pod) or why.reason == "OOMKilled":
            continue
        if why.reason in ("Killed", "Crashed") or _exit_code(pod) in SIGNALLED:
            return pod
    return None


def _node_of(observed: Observed) -> str:
    first = next(iter(failed_pods(observed)), None)
    return f"node-{index(first)}" if first is not None else "node"


def _exit_code(pod: Job) -> int:
    states = [one.get("state") or {} for one in (pod.get("status") or {}).get("containerStatuses") or []]
    return max((int(state["terminated"].get("exitCode") or 0) for state in states if "terminated" in state), default=0)


def _with(job: Job, entry: Note, now: datetime) -> list[Note]:
    """`step` is that of the checkpoint from which it goes on."""
    step = _checkpoint_step(job)
    made = {"time": rfc3339(now), **entry, **({} if step is None else {"step": step})}
    return [*((job.get("status") or {}).get("recoveries") or []), made][-REMEMBERED_MAX:]


def _in_vain(job: Job) -> list[Note]:
    """The restarts since the present checkpoint."""
    known = (job.get("status") or {}).get("recoveries") or []
    return [entry for entry in known if "restart" in entry and entry.get("step") == _checkpoint_step(job)]


def _checkpoint_step(job: Job) -> int | None:
    step = ((job.get("status") or {}).get("checkpoint") or {}).get("step")
    return None if step is None else int(step)
