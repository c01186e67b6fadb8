"""What must happen next for one of the Training Operator's jobs: a pure answer, the same at every retry."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from contracts import admission
from contracts.messages import Message
from libs.base.clock import span
from libs.base.errors import ApiError, BadRequest, Invalid, NotFound
from libs.cluster import POD, SECRET, SERVICE
from libs.cluster.obstacles import Obstacle, event_obstacle, pod_obstacle, refusal
from libs.resources.plan import Ensure, Plan, Remove
from services.trainer.domain.legacy import announce, failure, restarts, state, status
from services.trainer.domain.legacy.crew import crew
from services.trainer.domain.legacy.family import Crew, Family, Job, Replica, succeeded
from services.trainer.domain.legacy.observed import Observed, is_leaving, is_over, phase
from services.trainer.domain.legacy.pods import holder, pod, secret, service
from services.trainer.domain.notes import note
from services.trainer.domain.outcome import Outcome
from services.trainer.domain.state import (
    FAILED,
    PODS_READY,
    SUSPENDED,
    condition,
    hindrance,
    is_admitted,
    is_finished,
    is_suspended,
    rests_as_told,
)

ASK_AGAIN_S = 15.0
NAMESPACE_GRACE_S = 10.0
LOOK_AGAIN_S = 1.0
LOOK_FOR_PODS_S = 10.0
"""How often pods that do not come are looked for: what is wrong with them may be told by Events alone."""
TRY_AGAIN_S = 15.0
CLEAN_AFTER_S = 10.0
"""How long pods that still run when the job is over have to end by themselves, and to say their last words."""


@dataclass(frozen=True)
class World:
    """All that a decision rests on. `asked` says whether the scheduler was asked within the last ASK_AGAIN_S,
    `restricted` that the namespace enforces the Pod Security level of that name; `files` are those that every job of a
    family with files gets, its token among them; tickets for ports are counted from `first_ticket`."""

    job: Job
    family: Family
    observed: Observed
    now: datetime
    asked: bool = False
    restricted: bool = False
    files: Mapping[str, str] = field(default_factory=dict)
    first_ticket: int = 0


def plan(world: World) -> Plan:
    """1. going away, 2. over, 3. suspended, 4. evicted, 5. not admitted, 6. just ended, 7. pods to be made anew,
    8. never to start, 9. about to start, 10. to run."""
    job = world.job
    if job["metadata"].get("deletionTimestamp"):
        return _tear_down(world)
    if is_finished(job):
        return _clean(world)
    if is_suspended(job):
        return _suspend(world)
    if admission.is_evicted(job):
        return _give_back(world)
    if not is_admitted(job):
        return _wait(world)
    if ended := _ended(world):
        return ended
    if again := [one for one in _failed(world) if one.again]:
        return _make_anew(world, again)
    told = _obstacle(world)
    if told and told.hopeless:
        return _fail(world, Outcome(False, told.reason, f"{told.message}; create a new job with a valid one"))
    if not (job.get("status") or {}).get("startTime"):
        return Plan(status=status.starting(job, world.family, world.now, world.first_ticket), requeue_after=0.0)
    return _run(world, told)


def _ended(world: World) -> Plan | None:
    """Success first: what happens to others when the ones that decide are done is of no account."""
    job, family, seen = world.job, world.family, world.observed
    if succeeded(family, job, status.tallies(job, family, seen)):
        return _succeed(world)
    found = _failed(world)
    if final := [one for one in found if not one.again]:
        return _fail(world, failure.sentence(job, family, seen, final))
    if restarts.spent(job, family, seen, found):
        return _fail(world, failure.over_limit(job, seen, found))
    if _seconds_left(world) == 0:
        return _fail(world, failure.too_late(job))
    return None


def _failed(world: World) -> list[restarts.Failed]:
    return restarts.failed_pods(world.job, world.family, world.observed)


def _tear_down(world: World) -> Plan:
    """The object goes when the last pod has gone, never before: no pod may outlive what explains it."""
    if world.observed.nothing_left:
        return Plan(done_finalizer=True)
    actions = [*_remove_pods(world, world.observed.pods), *_remove_others(world)]
    lost = _stuck(world)
    if lost is None:
        return Plan(actions=actions, requeue_after=LOOK_AGAIN_S)
    after = status.hindered(world.job, lost, world.now)
    return Plan(actions=[*actions, *_news(world, after)], status=after, requeue_after=LOOK_AGAIN_S)


def _clean(world: World) -> Plan:
    """As cleanPodPolicy says; the scheduler is told as soon as nothing of the job runs any more."""
    job, seen = world.job, world.observed
    policy = state.run_policy(job).get("cleanPodPolicy")
    alive = [one for one in seen.pods if not is_over(one)]
    due = _due(job, "completionTime", CLEAN_AFTER_S, world.now)
    if policy == "All":
        actions = [*_remove_pods(world, seen.pods), *_remove_others(world)]
    else:
        actions = _remove_pods(world, alive) if policy != "None" and due == 0 else []
    if alive:
        wait = due if policy == "Running" and due else LOOK_AGAIN_S if policy != "None" else None
        after = status.over(job, world.family, seen, settled=False)
        return Plan(actions=actions, status=after, requeue_after=wait)
    if (job.get("status") or {}).get("settled"):
        return Plan(actions=actions)
    after = status.over(job, world.family, seen, settled=True)
    reason = "Failed" if condition(job, FAILED) else "Succeeded"
    return Plan(actions=actions, status=after, events=[announce.finish(job, reason, _message(job))], requeue_after=0.0)


def _suspend(world: World) -> Plan:
    job, family, seen = world.job, world.family, world.observed
    after = status.suspended(job, family, seen, world.now)
    actions = [*_remove_pods(world, seen.pods), *_remove_others(world)]
    if seen.pods:
        return Plan(actions=actions, status=after, requeue_after=LOOK_AGAIN_S)
    rests = condition(job, SUSPENDED) is not None
    told = [] if rests_as_told(job) else [announce.submit(job, family, after=admission.held(job))]
    said = (
        [] if rests else [Ensure(_note(world, f"{job['kind']}Suspended", "its pods are gone", str(_generation(job))))]
    )
    return Plan(actions=[*actions, *said], status=after, events=told)


def _give_back(world: World) -> Plan:
    """The scheduler wants the quota for others. It is told when the last pod has gone, and is asked again with that."""
    job, family, seen = world.job, world.family, world.observed
    if not seen.pods:
        after = status.evicted(job, family, seen, world.now)
        ask = announce.submit(job, family, after=admission.held(job))
        return Plan(status=after, events=[ask], requeue_after=ASK_AGAIN_S)
    told = admission.of(job)
    why = Obstacle(told.get("reason") or "Evicted", told.get("message") or "the scheduler wants its quota for others")
    after = status.hindered(job, why, world.now)
    return Plan(
        actions=[*_remove_pods(world, seen.pods), *_news(world, after)], status=after, requeue_after=LOOK_AGAIN_S
    )


def _wait(world: World) -> Plan:
    """Says the job's demand when first seen and again from time to time: no lost letter may strand a job."""
    after = status.waiting(world.job, world.now)
    asked = world.asked and (world.job.get("status") or {}).get("admission")
    ask = [] if asked else [announce.submit(world.job, world.family)]
    return Plan(status=after, events=ask, requeue_after=ASK_AGAIN_S)


def _make_anew(world: World, again: Sequence[restarts.Failed]) -> Plan:
    """The count is stored before anything is removed, and pods of one name follow one another: nothing twice."""
    known = set((world.job.get("status") or {}).get("replaced") or ())
    fresh = [one for one in again if one.pod["metadata"]["uid"] not in known]
    if not fresh:
        return Plan(actions=_remove_pods(world, [one.pod for one in again]), requeue_after=LOOK_AGAIN_S)
    counted = len([one for one in fresh if one.counts])
    after = status.restarting(world.job, world.family, world.observed, fresh[0].role, counted, world.now)
    after["replaced"] = sorted(one.pod["metadata"]["uid"] for one in again)
    why = failure.cause(world.observed, list(again))
    told = condition({**world.job, "status": after}, state.RESTARTING) or {}
    said = f"{told.get('message')} {why.message if why else ''}".strip()
    kind = f"{world.job['kind']}Restarting"
    return Plan(
        actions=[Ensure(_note(world, kind, said, fresh[0].pod["metadata"]["uid"][:8], "Warning"))],
        status=after,
        requeue_after=0.0,
    )


def _run(world: World, told: Obstacle | None) -> Plan:
    job, family, seen = world.job, world.family, world.observed
    after = status.active(job, family, seen, told, world.now)
    people = _crew(world)
    missing = [replica for replica in people.replicas if seen.pod(replica) is None]
    ready = not missing and all(phase(one) in ("Running", "Succeeded") and not is_leaving(one) for one in seen.pods)
    said: list[Message] = []
    if condition({"status": after}, state.RUNNING) and not condition(job, state.RUNNING) and not _ran(job):
        said.append(announce.started(job))
        after["ran"] = True
    if admission.of(job).get("id") and ready != bool(admission.of(job).get("ready")):
        after["admission"] = {**admission.of(job), "ready": ready}
        said.append(announce.report(job, ready=ready))
    looks = [wait for wait in (_seconds_left(world), None if ready else LOOK_FOR_PODS_S) if wait is not None]
    return Plan(
        actions=[*_ensure(world, people, missing), *_news(world, after)],
        status=after,
        events=said,
        requeue_after=min(looks, default=None),
    )


def _ensure(world: World, people: Crew, missing: Sequence[Replica]) -> list[Any]:
    """Services before pods: programs look for one another's names when they start. A pod on its way out keeps its name
    until it is gone; then the next one is made."""
    actions: list[Any] = []
    if world.files and not world.observed.secret:
        actions.append(Ensure(secret(people, world.family, world.files)))
    actions += [
        Ensure(service(people, world.family, replica))
        for replica in people.replicas
        if replica.host not in world.observed.services
    ]
    for replica in missing:
        given = admission.assignment(world.job, replica.role.lower())
        actions.append(Ensure(pod(people, world.family, replica, given, restricted=world.restricted)))
    return actions


def _succeed(world: World) -> Plan:
    after = status.succeeded(world.job, world.family, world.observed, world.now)
    message = _message({**world.job, "status": after})
    said = Ensure(_note(world, f"{world.job['kind']}Succeeded", message))
    told = announce.succeeded({**world.job, "status": after}, world.now)
    return Plan(actions=[said], status=after, events=[told], requeue_after=0.0)


def _fail(world: World, why: Outcome) -> Plan:
    after = status.failed(world.job, world.family, world.observed, why.message, world.now)
    said = Ensure(_note(world, f"{world.job['kind']}Failed", why.message, kind="Warning"))
    told = announce.failed(world.job, why.reason, why.message)
    return Plan(actions=[said], status=after, events=[told], requeue_after=0.0)


def refused(world: World, error: ApiError) -> Plan | None:
    """The cluster will not have the pods: quota or policy forbid it, what they ask for is invalid, or their namespace
    is not there. The first may change, so the job waits and says so; the others fail it.

    None for a job that is going anyway, and for troubles of the cluster itself: all is tried again.
    """
    if world.job["metadata"].get("deletionTimestamp") or is_finished(world.job):
        return None
    if told := refusal(error):
        after = status.hindered(world.job, told, world.now)
        return Plan(actions=_news(world, after), status=after, requeue_after=TRY_AGAIN_S)
    if not isinstance(error, (BadRequest, Invalid, NotFound)):
        return None
    created = datetime.fromisoformat(world.job["metadata"]["creationTimestamp"])
    if (world.now - created).total_seconds() < NAMESPACE_GRACE_S:
        return Plan(requeue_after=LOOK_AGAIN_S)
    return replace(_fail(world, Outcome(False, "WorkloadsRefused", error.message)), actions=())


def _crew(world: World) -> Crew:
    return crew(world.job, world.family, int((world.job.get("status") or {}).get("port") or 0))


def _remove_pods(world: World, pods: Sequence[dict[str, Any]]) -> list[Any]:
    namespace = world.job["metadata"]["namespace"]
    return [Remove(POD, namespace, one["metadata"]["name"]) for one in pods if not is_leaving(one)]


def _remove_others(world: World) -> list[Any]:
    """What stands beside the pods."""
    namespace = world.job["metadata"]["namespace"]
    services = [Remove(SERVICE, namespace, name) for name in sorted(world.observed.services)]
    return [*services, Remove(SECRET, namespace, holder(world.job))] if world.observed.secret else services


def _obstacle(world: World) -> Obstacle | None:
    """A hopeless one first, then that of the first pod; a name that somebody else has; Events where pods are mute."""
    seen = world.observed
    found = [told.of(one["metadata"]["name"]) for one in seen.pods if (told := pod_obstacle(one, world.now))]
    if found:
        return min(found, key=lambda told: not told.hopeless)
    if seen.foreign:
        why = f"there is a pod {seen.foreign[0]} which is not this job's; delete it, or give the job another name"
        return Obstacle("NameTaken", why)
    return event_obstacle(seen.events)


def _stuck(world: World) -> Obstacle | None:
    leaving = [one for one in world.observed.pods if is_leaving(one)]
    return _obstacle(replace(world, observed=Observed(pods=tuple(leaving))))


def _seconds_left(world: World) -> float | None:
    """Until activeDeadlineSeconds are over, 0 from then on; None without a limit or a start."""
    limit = state.run_policy(world.job).get("activeDeadlineSeconds")
    started = (world.job.get("status") or {}).get("startTime")
    return _due(world.job, "startTime", float(limit), world.now) if limit and started else None


def _due(job: Job, field: str, after_s: float, now: datetime) -> float:
    """Seconds until `after_s` after a time in the status, 0 from then on."""
    at = (job.get("status") or {}).get(field)
    due = datetime.fromisoformat(at) + span(after_s) if at else now
    return max(0.0, (due - now).total_seconds())


def _ran(job: Job) -> bool:
    return bool((job.get("status") or {}).get("ran"))


def _message(job: Job) -> str:
    ended = condition(job, state.SUCCEEDED) or condition(job, FAILED) or {}
    return str(ended.get("message") or "")


def _generation(job: Job) -> int:
    return int(job["metadata"].get("generation") or 0)


def _news(world: World, after: dict[str, Any]) -> list[Ensure]:
    """An Event when the reason why pods do not run is another one than before."""
    told = next((c for c in after["conditions"] if c["type"] == PODS_READY), None)
    if told is None or told["reason"] == hindrance(world.job):
        return []
    return [Ensure(_note(world, told["reason"], told["message"], kind="Warning"))]


def _note(world: World, reason: str, message: str, which: str = "", kind: str = "Normal") -> dict[str, Any]:
    return note(world.job, reason, message, world.now, kind=kind, which=which)
