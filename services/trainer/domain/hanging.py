"""Whether a job's program hangs: its pods run, and it has not told of any progress for longer than its owner allows.

Only jobs that name a time (annotation millstream.dev/hang-timeout, in seconds) are judged: nobody else knows how long a
step, an evaluation or a download may take.
"""

from datetime import datetime
from typing import Any

from libs.base.clock import rfc3339
from services.trainer.domain import words
from services.trainer.domain.observed import Observed, index, is_leaving, phase, uid
from services.trainer.domain.recovery import HUNG

START_S = 300
"""What a program may take at least until its first report: imports, a rendezvous and downloads are no hang."""

Job = dict[str, Any]


def seconds_left(job: Job, observed: Observed, num_nodes: int, now: datetime) -> float | None:
    """Until the job counts as hung, at most 0 when it does; None while that cannot be: not asked for, not all run."""
    given = words.annotation(job, words.HANG_TIMEOUT)
    running = [pod for pod in observed.pods if phase(pod) == "Running" and not is_leaving(pod)]
    if given is None or len(running) < num_nodes:
        return None
    began = max((datetime.fromisoformat(at) for pod in running if (at := _started(pod))), default=None)
    told = (job.get("status") or {}).get("reportedAt")
    if told and (began is None or datetime.fromisoformat(told) > began):
        return int(given) - (now - datetime.fromisoformat(told)).total_seconds()
    return None if began is None else max(int(given), START_S) - (now - began).total_seconds()


def note(job: Job, observed: Observed, now: datetime) -> dict[str, Any]:
    """Why it begins again. Which rank hangs nobody can tell from outside; the stacks in the logs do."""
    step = (job.get("status") or {}).get("steps")
    where = f" after step {step}" if step is not None else ""
    limit = words.annotation(job, words.HANG_TIMEOUT)
    stacks = "the log of each node that used millstream.training holds its stacks"
    message = f"nothing was reported for {limit} s{where}; {stacks}"
    first = min((index(pod) for pod in observed.pods), default=0)
    return {
        "job": uid(observed.job),
        "node": f"node-{first}",
        "reason": HUNG,
        "message": message,
        "time": rfc3339(now),
    }


def _started(pod: Job) -> str | None:
    states = [one.get("state") or {} for one in (pod.get("status") or {}).get("containerStatuses") or []]
    began = [state["running"].get("startedAt") for state in states if state.get("running")]
    return max((at for at in began if at), default=None)
