"""What a batch/v1 Job wants next: count what ended, then create or delete pods; pure.

A finished pod is counted in the transaction that takes its tracking finalizer away, so it is counted exactly once.
Source: k8s.io/kubernetes pkg/controller/job; but a pod that is still ending keeps its place
(podReplacementPolicy: Failed).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from libs.base.clock import parse_rfc3339, rfc3339, span
from services.node.domain import conditions
from services.node.domain.attempts import Backoff
from services.node.domain.indexes import format_indexes, parse_indexes
from services.node.domain.job_pods import TRACKING, counted, failures_of, index_of, job_pod
from services.node.domain.job_policy import Verdict, judge
from services.node.domain.owned import active, phase, ready

Object = dict[str, Any]


@dataclass(frozen=True)
class JobPlan:
    """`release`: pods whose tracking finalizer goes with this status. `delete`: pods to end (released when `drop`)."""

    status: Object
    release: tuple[str, ...] = ()
    create: tuple[Object, ...] = ()
    delete: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    wake_at: datetime | None = None
    expire: bool = False
    events: tuple[tuple[str, str, str], ...] = field(default=())  # (type, reason, message)


@dataclass
class _Tally:
    succeeded: int
    failed: int
    done: set[int]
    lost: set[int]
    why: tuple[str, str] | None = None
    release: list[str] = field(default_factory=list)


def plan_job(job: Object, pods: Sequence[Object], now: datetime, names: Sequence[str], backoff: Backoff) -> JobPlan:
    """`names` are spare suffixes for pods to be made. 1. count; 2. over? 3. suspended? 4. fill up."""
    old = job.get("status") or {}
    tally = _count(job, pods, old)
    living = [p for p in pods if active(p)]
    ending = [p for p in pods if p["metadata"].get("deletionTimestamp") and counted(p) and phase(p) not in _OVER]
    status = _numbers(old, tally, living, ending)
    if _finished(old):
        return _after_the_end(job, status, tally, living, now)
    verdict = _verdict(job, tally, living, pods, status, now)
    if verdict:
        return _end(status, tally, living, ending, verdict, now)
    if job["spec"].get("suspend"):
        return _suspend(status, tally, living, now)
    return _run(job, pods, status, tally, living, ending, now, names, backoff)


_OVER = ("Succeeded", "Failed")


def _finished(status: Object) -> bool:
    return any(conditions.is_true({"status": status}, kind) for kind in ("Complete", "Failed"))


def _count(job: Object, pods: Sequence[Object], old: Object) -> _Tally:
    tally = _Tally(
        int(old.get("succeeded") or 0), int(old.get("failed") or 0),
        parse_indexes(old.get("completedIndexes")), parse_indexes(old.get("failedIndexes")),
    )  # fmt: skip
    indexed = job["spec"].get("completionMode") == "Indexed"
    for pod in pods:
        if counted(pod) and phase(pod) in _OVER:
            tally.release.append(pod["metadata"]["name"])
            _count_one(job, pod, tally, index_of(pod) if indexed else None)
    return tally


def _count_one(job: Object, pod: Object, tally: _Tally, index: int | None) -> None:
    if phase(pod) == "Succeeded":
        if index is not None and (index in tally.done or index >= int(job["spec"].get("completions") or 0)):
            return
        tally.succeeded += 1
        if index is not None:
            tally.done.add(index)
        return
    verdict = judge(job, pod)
    if verdict.action == "Ignore":
        return
    tally.failed += 1
    if verdict.action == "FailJob":
        tally.why = tally.why or ("PodFailurePolicy", verdict.message)
    limit = job["spec"].get("backoffLimitPerIndex")
    if index is not None and limit is not None and (verdict.action == "FailIndex" or failures_of(pod) >= limit):
        tally.lost.add(index)


def _numbers(old: Object, tally: _Tally, living: Sequence[Object], ending: Sequence[Object]) -> Object:
    status = {k: v for k, v in old.items() if k not in ("succeeded", "failed", "completedIndexes", "failedIndexes")}
    status |= {"active": len(living), "ready": sum(map(ready, living)), "terminating": len(ending)}
    status |= {k: v for k, v in (("succeeded", tally.succeeded), ("failed", tally.failed)) if v}
    status |= {"uncountedTerminatedPods": {}}
    if tally.done:
        status["completedIndexes"] = format_indexes(tally.done)
    if tally.lost:
        status["failedIndexes"] = format_indexes(tally.lost)
    return status


def _verdict(
    job: Object, tally: _Tally, living: Sequence[Object], pods: Sequence[Object], status: Object, now: datetime
) -> Verdict | None:
    spec = job["spec"]
    target = conditions.find(status.get("conditions"), "FailureTarget")
    if target and target["status"] == "True":
        return Verdict("FailJob", target.get("message", ""), target.get("reason", ""))
    if tally.why:
        return Verdict("FailJob", tally.why[1], tally.why[0])
    if over := _too_long(spec, status, now):
        return over
    if _past_backoff(spec, tally, living):
        return Verdict("FailJob", "Job has reached the specified backoff limit", "BackoffLimitExceeded")
    return _completion(spec, tally, living)


def _too_long(spec: Object, status: Object, now: datetime) -> Verdict | None:
    limit, began = spec.get("activeDeadlineSeconds"), status.get("startTime")
    if limit is None or not began or spec.get("suspend") or now < parse_rfc3339(began) + span(limit):
        return None
    return Verdict("FailJob", "Job was active longer than specified deadline", "DeadlineExceeded")


def _past_backoff(spec: Object, tally: _Tally, living: Sequence[Object]) -> bool:
    default = 2**31 - 1 if spec.get("backoffLimitPerIndex") is not None else 6
    limit = spec["backoffLimit"] if spec.get("backoffLimit") is not None else default
    if tally.failed > limit:
        return True
    if (spec["template"].get("spec") or {}).get("restartPolicy") != "OnFailure":
        return False
    restarts = sum(_restarts(pod) for pod in living)
    return restarts > 0 if limit == 0 else restarts >= limit


def _restarts(pod: Object) -> int:
    status = pod.get("status") or {}
    both = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    return sum(int(one.get("restartCount") or 0) for one in both)


def _completion(spec: Object, tally: _Tally, living: Sequence[Object]) -> Verdict | None:
    wanted = spec.get("completions")
    if wanted is None:
        done = tally.succeeded > 0 and not living
        return Verdict("Complete", "Reached expected number of succeeded pods", "CompletionsReached") if done else None
    most_lost = spec.get("maxFailedIndexes")
    if most_lost is not None and len(tally.lost) > most_lost:
        return Verdict(
            "FailJob", "Job has exceeded the specified maximal number of failed indexes", "MaxFailedIndexesExceeded"
        )
    if tally.succeeded >= wanted:
        return Verdict("Complete", "Reached expected number of succeeded pods", "CompletionsReached")
    if tally.lost and len(tally.lost | tally.done) >= wanted:
        return Verdict("FailJob", "Job has failed indexes", "FailedIndexes")
    return None


def _end(
    status: Object, tally: _Tally, living: Sequence[Object], ending: Sequence[Object], verdict: Verdict, now: datetime
) -> JobPlan:
    """Completes at once, or first stops what still runs (FailureTarget), then says Failed."""
    told = list(status.get("conditions") or [])
    good = verdict.action == "Complete"
    why = {"reason": verdict.reason, "message": verdict.message}
    told = conditions.put(told, "SuccessCriteriaMet" if good else "FailureTarget", True, now, stamps=_PROBED, **why)
    names = tuple(p["metadata"]["name"] for p in living)
    release = tuple(tally.release)
    if living or ending:
        return JobPlan({**status, "conditions": told}, release, delete=names, drop=names if good else ())
    told = conditions.put(told, "Complete" if good else "Failed", True, now, stamps=_PROBED, **why)
    status = {**status, "conditions": told, **({"completionTime": rfc3339(now)} if good else {})}
    event = ("Normal", "Completed", "Job completed") if good else ("Warning", verdict.reason, verdict.message)
    return JobPlan(status, release, events=(event,))


_PROBED = ("lastProbeTime",)


def _after_the_end(job: Object, status: Object, tally: _Tally, living: Sequence[Object], now: datetime) -> JobPlan:
    """Removes the job `ttlSecondsAfterFinished` after its end; a stray pod is stopped and not counted."""
    names = tuple(p["metadata"]["name"] for p in living)
    old = job["status"]
    kept = {**status, **{k: old[k] for k in ("succeeded", "failed", "completedIndexes", "failedIndexes") if k in old}}
    ttl = job["spec"].get("ttlSecondsAfterFinished")
    ends = [c for c in old.get("conditions") or [] if c["type"] in ("Complete", "Failed") and c["status"] == "True"]
    wake = parse_rfc3339(ends[0]["lastTransitionTime"]) + span(ttl) if ttl is not None and ends else None
    expired = wake is not None and now >= wake
    return JobPlan(
        kept, tuple(tally.release), delete=names, drop=names, wake_at=None if expired else wake, expire=expired
    )


def _suspend(status: Object, tally: _Tally, living: Sequence[Object], now: datetime) -> JobPlan:
    """Ends the running pods without counting them; `startTime` begins anew on resumption."""
    names = tuple(p["metadata"]["name"] for p in living)
    before = conditions.is_true({"status": status}, "Suspended")
    why = {"reason": "JobSuspended", "message": "Job suspended"}
    told = conditions.put(status.get("conditions"), "Suspended", True, now, stamps=_PROBED, **why)
    status = {k: v for k, v in status.items() if k != "startTime"} | {"conditions": told, "active": 0, "ready": 0}
    events = () if before else (("Normal", "Suspended", "Job suspended"),)
    return JobPlan(status, tuple(tally.release), delete=names, drop=names, events=events)


def _run(
    job: Object, pods: Sequence[Object], status: Object, tally: _Tally, living: Sequence[Object],
    ending: Sequence[Object], now: datetime, names: Sequence[str], backoff: Backoff,
) -> JobPlan:  # fmt: skip
    status, events = _resumed(status, now)
    release = tuple(tally.release)
    excess = _excess(job, living, tally)
    if excess:
        return JobPlan(status, release, delete=excess, drop=excess, events=events, wake_at=_deadline(job, status))
    wait_until = _retry_at(pods, tally, backoff)
    room = _room(job, tally, len(living) + len(ending))
    if room > 0 and wait_until and wait_until > now:
        return JobPlan(status, release, wake_at=wait_until, events=events)
    new = _new_pods(job, pods, tally, [*living, *ending], room, names)
    status["active"] = len(living) + len(new)
    return JobPlan(status, release, tuple(new), wake_at=_deadline(job, status), events=events)


def _resumed(status: Object, now: datetime) -> tuple[Object, tuple[tuple[str, str, str], ...]]:
    status = {**status, "startTime": status.get("startTime") or rfc3339(now)}
    if not conditions.is_true({"status": status}, "Suspended"):
        return status, ()
    why = {"reason": "JobResumed", "message": "Job resumed"}
    told = conditions.put(status["conditions"], "Suspended", False, now, stamps=_PROBED, **why)
    return {**status, "conditions": told, "startTime": rfc3339(now)}, (("Normal", "Resumed", "Job resumed"),)


def _deadline(job: Object, status: Object) -> datetime | None:
    limit = job["spec"].get("activeDeadlineSeconds")
    return None if limit is None else parse_rfc3339(status["startTime"]) + span(limit)


def _retry_at(pods: Sequence[Object], tally: _Tally, backoff: Backoff) -> datetime | None:
    """The wait after the newest failure: none for the first, then doubling."""
    ends = [_ended_at(p) for p in pods if phase(p) == "Failed"]
    last = max((e for e in ends if e), default=None)
    return last + timedelta(seconds=backoff.wait_s(tally.failed - 1)) if last and tally.failed > 1 else None


def _ended_at(pod: Object) -> datetime | None:
    states = [
        (one.get("state") or {}).get("terminated") for one in (pod.get("status") or {}).get("containerStatuses") or []
    ]
    return max((parse_rfc3339(s["finishedAt"]) for s in states if s), default=None)


def _room(job: Object, tally: _Tally, occupied: int) -> int:
    spec = job["spec"]
    parallel, wanted = _parallelism(spec), spec.get("completions")
    if wanted is None:
        return 0 if tally.succeeded else parallel - occupied
    return int(min(parallel, wanted - tally.succeeded - len(tally.lost)) - occupied)


def _parallelism(spec: Object) -> int:
    return int(spec["parallelism"] if spec.get("parallelism") is not None else 1)


def _excess(job: Object, living: Sequence[Object], tally: _Tally) -> tuple[str, ...]:
    """Pods beyond `parallelism`, those not ready first; pods of indexes that are done or twice there."""
    wrong: list[Object] = []
    seen: set[int] = set()
    if job["spec"].get("completionMode") == "Indexed":
        for pod in living:
            index = index_of(pod)
            if index in seen or index in tally.done | tally.lost or index >= int(job["spec"].get("completions") or 0):
                wrong.append(pod)
            seen.add(index)
    rest = sorted((p for p in living if p not in wrong), key=lambda p: (not ready(p), p["metadata"]["name"]))
    too_many = len(rest) - _parallelism(job["spec"])
    wrong += rest[:0] if too_many <= 0 else sorted(rest, key=ready)[:too_many]
    return tuple(p["metadata"]["name"] for p in wrong)


def _new_pods(
    job: Object, pods: Sequence[Object], tally: _Tally, occupied: Sequence[Object], room: int, names: Sequence[str]
) -> list[Object]:
    if room <= 0:
        return []
    if job["spec"].get("completionMode") != "Indexed":
        return [job_pod(job, None, suffix) for suffix in names[:room]]
    taken = tally.done | tally.lost | {index_of(p) for p in occupied}
    free = [i for i in range(int(job["spec"].get("completions") or 0)) if i not in taken][:room]
    failures = {i: _failures(pods, i) for i in free}
    return [job_pod(job, i, suffix, failures[i]) for i, suffix in zip(free, names, strict=False)]


def _failures(pods: Sequence[Object], index: int) -> int:
    failed = [failures_of(p) + 1 for p in pods if phase(p) == "Failed" and index_of(p) == index]
    return max(failed, default=0)


__all__ = ["TRACKING", "JobPlan", "plan_job"]
