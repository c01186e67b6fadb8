"""What must happen next for one TrainJob: a pure answer to what is wanted and what runs, the same at every retry."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from contracts import admission
from contracts.events.training.v1 import TrainJobStarted
from contracts.messages import Event, Message
from libs.base.errors import ApiError, BadRequest, Invalid, NotFound
from libs.cluster import SECRET, SERVICE
from libs.cluster.obstacles import Obstacle, refusal
from libs.resources.plan import Ensure, Plan, Remove
from services.trainer.domain import (
    announce,
    disruption,
    elastic,
    hanging,
    lifetime,
    notes,
    recovery,
    registered,
    starting,
    state,
    status,
    words,
    workload,
)
from services.trainer.domain.blueprint import Blueprint, blueprint
from services.trainer.domain.frameworks import Framework, Shape, framework_for
from services.trainer.domain.observed import Observed
from services.trainer.domain.outcome import Outcome, outcome
from services.trainer.reconcile import children

ASK_AGAIN_S = 15.0
RUNTIME_GRACE_S = 10.0
LOOK_AGAIN_S = 1.0
LOOK_FOR_PODS_S = 10.0
"""How often pods that do not come are looked for: what is wrong with them may be told by Events alone."""
REGISTRY_POLL_S = 2.0
TRY_AGAIN_S = 15.0
"""How often a cluster that refuses the workloads is asked again; quota is freed and policies change."""


@dataclass(frozen=True)
class World:
    """All that a decision rests on. `runtime` is None when there is none of that name; `asked` says whether the
    scheduler was asked within the last ASK_AGAIN_S; `token` is what the job's pods prove themselves with; `known` are
    the names of the runtimes that there are, for the sake of who named another one; `restricted` tells that the
    namespace enforces the Pod Security level of that name; `versions` are those of the registered model that the job
    names, until it is settled which one it gets; tickets for ports are counted from `first_ticket`."""

    job: dict[str, Any]
    runtime: dict[str, Any] | None
    observed: Observed
    frameworks: Sequence[Framework]
    site: workload.Site
    token: str
    now: datetime
    asked: bool = False
    known: Sequence[str] = ()
    restricted: bool = False
    versions: Sequence[registered.Version] = ()
    first_ticket: int = 0


def plan(world: World) -> Plan:
    """1. going away, 2. over, 3. no runtime, 4. on the way to another attempt, 5. just ended, 6. suspended, 7. evicted,
    8. not admitted, 9. never to start, 10. hung, 11. to run."""
    job = world.job
    if job["metadata"].get("deletionTimestamp"):
        return _tear_down(world)
    if state.is_finished(job):
        return Plan()
    if world.runtime is None:
        return _without_runtime(world)
    asked = blueprint(job, world.runtime)
    print_ = elastic.granted(job, asked)
    if disruption.is_restarting(job, world.observed):
        return _make_room(world)
    ended = outcome(world.observed)
    if ended:
        return _succeed(world, print_, ended) if ended.succeeded else _fail_or_restart(world, print_, ended)
    if state.is_suspended(job):
        return _suspend(world, asked)
    if admission.is_evicted(job):
        return _give_back(world, asked)
    if not state.is_admitted(job):
        return _wait(world, asked)
    told = starting.obstacle(world.observed, world.now)
    if told and told.hopeless:
        return _give_up(world, print_.num_nodes, told)
    left = hanging.seconds_left(job, world.observed, print_.num_nodes, world.now)
    return _hung(world, print_) if left is not None and left <= 0 else _run(world, asked, print_, left)


def _tear_down(world: World) -> Plan:
    """The object goes when the last pod has gone, never before: no pod may outlive what explains it."""
    actions = _removals(world, job=True)
    if world.observed.nothing_left:
        return Plan(actions=[], done_finalizer=True)
    lost = starting.stuck(world.observed, world.now)
    if lost is None:
        return Plan(actions=actions, requeue_after=LOOK_AGAIN_S)
    after = status.hindered(world.job, lost, world.now)
    return Plan(actions=[*actions, *_news(world, after)], status=after, requeue_after=LOOK_AGAIN_S)


def _removals(world: World, *, job: bool) -> list[Any]:
    meta, seen = world.job["metadata"], world.observed
    found = [
        (SERVICE, meta["name"], job and seen.service),
        (SECRET, words.token_secret(meta["name"]), seen.secret),
    ]
    rest = [Remove(resource, meta["namespace"], name) for resource, name, there in found if there]
    return [*(children.removals(seen) if job else children.leftovers(seen)), *rest]


def _without_runtime(world: World) -> Plan:
    """`kubectl apply -f folder` may bring the runtime a moment after the job, hence the grace."""
    created = datetime.fromisoformat(world.job["metadata"]["creationTimestamp"])
    left = RUNTIME_GRACE_S - (world.now - created).total_seconds()
    if left > 0:
        return Plan(requeue_after=min(left, LOOK_AGAIN_S))
    ref = world.job["spec"]["runtimeRef"]
    choice = f"there are {', '.join(sorted(world.known))}" if world.known else "there is none at all"
    why = Outcome(False, "TrainingRuntimeNotFound", f"there is no {ref['kind']} named {ref['name']!r}; {choice}")
    return _fail(world, 1, why)


def refused(world: World, error: ApiError) -> Plan | None:
    """The cluster will not have the workloads: quota or policy forbid it, what they ask for is invalid, or their
    namespace is not there. The first may change, so the job waits and says so; the others fail it.

    A namespace may come a moment after the job. None for a job that is going anyway, and for troubles of the cluster
    itself: those are nobody's refusal, and all is tried again.
    """
    if world.job["metadata"].get("deletionTimestamp"):
        return None
    if told := refusal(error):
        return _hindered(world, told)
    if not isinstance(error, (BadRequest, Invalid, NotFound)):
        return None
    why = error.message
    created = datetime.fromisoformat(world.job["metadata"]["creationTimestamp"])
    if (world.now - created).total_seconds() < RUNTIME_GRACE_S:
        return Plan(requeue_after=LOOK_AGAIN_S)
    return replace(_fail(world, 1, Outcome(False, "WorkloadsRefused", why)), actions=())


def _fail(world: World, num_nodes: int, why: Outcome) -> Plan:
    """A job that is over keeps its Job and pods for their logs, not the token."""
    after = status.finished(world.job, world.observed, num_nodes, why, world.now) | lifetime.noted(world.runtime)
    return Plan(
        actions=[*_removals(world, job=False), Ensure(_note(world, why.reason, why.message, "Warning"))],
        status=after,
        events=[announce.failed(world.job, why), announce.finish(world.job, "Failed", why.message)],
    )


def _fail_or_restart(world: World, print_: Blueprint, why: Outcome) -> Plan:
    most = recovery.limit(world.job, print_.policy)
    note = recovery.cause(world.job, world.observed, why, print_.num_nodes, most, world.now)
    return _fail(world, print_.num_nodes, why) if note is None else _restart(world, print_, note, why)


def _restart(world: World, print_: Blueprint, note: dict[str, Any], why: Outcome) -> Plan:
    """The mark of the failed attempt is stored before anything is removed: a crash between restarts nothing twice."""
    job, nodes, cause = world.job, print_.num_nodes, recovery.sentence(note)
    if not recovery.may_restart(job, recovery.limit(job, print_.policy)):
        spent = f"{cause}; after {recovery.restarts(job)} restarts the job is given up"
        more = "" if why.message == cause else f"; {why.message}"
        return _fail(world, nodes, replace(why, message=spent + more) if recovery.restarts(job) else why)
    after = status.restarting(job, world.observed, nodes, note, world.now)
    who = f"all {nodes} nodes begin" if nodes > 1 else "it begins"
    told = f"{cause}; {who} again, restart {after['restarts']}"
    said = _note(world, "Restarting", told, "Warning", which=str(after["restarts"]))
    return Plan(actions=[Ensure(said)], status=after, events=[announce.restarted(job, after, note)], requeue_after=0.0)


def _hung(world: World, print_: Blueprint) -> Plan:
    """Its pods still run, so a job that is given up for this is stopped."""
    note = hanging.note(world.job, world.observed, world.now)
    plan = _restart(world, print_, note, Outcome(False, recovery.HUNG, note["message"]))
    over = state.is_finished({"status": plan.status})
    return replace(plan, actions=[*_removals(world, job=True), *_kept(plan)]) if over else plan


def _kept(plan: Plan) -> list[Ensure]:
    return [action for action in plan.actions if isinstance(action, Ensure)]


def _make_room(world: World) -> Plan:
    """The failed attempt goes first. A pod on a node that does not answer holds the next one up: two must not meet."""
    job, observed = world.job, world.observed
    actions = children.removals(observed)
    told = starting.obstacle(observed, world.now)
    after = status.hindered(job, told, world.now) if told and not told.hopeless else None
    return Plan(actions=actions, status=after, requeue_after=LOOK_AGAIN_S)


def _give_up(world: World, num_nodes: int, why: Obstacle) -> Plan:
    """No waiting helps, and a job's own words cannot be changed; its quota is for others."""
    failed = _fail(world, num_nodes, Outcome(False, why.reason, f"{why.message}; create a new job with a valid one"))
    return replace(failed, actions=[*_removals(world, job=True), *_kept(failed)])


def _hindered(world: World, why: Obstacle) -> Plan:
    after = status.hindered(world.job, why, world.now)
    return Plan(actions=_news(world, after), status=after, requeue_after=TRY_AGAIN_S)


def _news(world: World, after: dict[str, Any]) -> list[Ensure]:
    """An Event when the reason why pods do not run is another one than before."""
    told = next((c for c in after["conditions"] if c["type"] == state.PODS_READY), None)
    if told is None or told["reason"] == state.hindrance(world.job):
        return []
    return [Ensure(_note(world, told["reason"], told["message"], "Warning"))]


def _suspend(world: World, print_: Blueprint) -> Plan:
    after = status.suspended(world.job, world.observed, print_.num_nodes, world.now)
    actions = children.stopped(world.observed)
    if not after["conditions"]:
        return Plan(actions=actions, status=after, requeue_after=LOOK_AGAIN_S)
    told = (
        [] if state.rests_as_told(world.job) else [announce.submit(world.job, print_, after=admission.held(world.job))]
    )
    return Plan(actions=actions, status=after, events=told)


def _give_back(world: World, print_: Blueprint) -> Plan:
    """The scheduler wants the quota for others. It is told when the last pod has gone, and is asked again with that."""
    if not world.observed.jobs and not world.observed.pods:
        after = status.evicted(world.job, world.now)
        ask = announce.submit(world.job, print_, after=admission.held(world.job))
        return Plan(status=after, events=[ask], requeue_after=ASK_AGAIN_S)
    note = admission.of(world.job)
    why = Obstacle(note.get("reason") or "Evicted", note.get("message") or "the scheduler wants its quota for others")
    after = status.hindered(world.job, why, world.now)
    return Plan(
        actions=[*children.removals(world.observed), *_news(world, after)], status=after, requeue_after=LOOK_AGAIN_S
    )


def _wait(world: World, print_: Blueprint) -> Plan:
    """Says the job's demand when first seen and again from time to time: no lost letter may strand a job."""
    after = status.waiting(world.job, world.now)
    if named := registered.open_wish(print_.initializer):
        found = registered.choose(named, world.job["metadata"]["namespace"], world.versions)
        if isinstance(found, Obstacle):
            return _without_model(world, print_, found)
        after["registeredModel"] = registered.note(named, found)
    asked = world.asked and (world.job.get("status") or {}).get("admission")
    ask = [] if asked else [announce.submit(world.job, print_)]
    return Plan(status=after, events=ask, requeue_after=ASK_AGAIN_S)


def _without_model(world: World, print_: Blueprint, why: Obstacle) -> Plan:
    """It takes nobody's quota until its model is there."""
    if why.hopeless:
        return _give_up(world, print_.num_nodes, why)
    after = status.waiting(world.job, world.now)
    after["conditions"] = status.hindered(world.job, why, world.now)["conditions"]
    return Plan(actions=_news(world, after), status=after, requeue_after=REGISTRY_POLL_S)


def _run(world: World, asked: Blueprint, print_: Blueprint, hangs_in_s: float | None) -> Plan:
    pause = recovery.pause_left_s(world.job, world.now) if world.observed.job is None else 0.0
    if pause > 0:
        return Plan(requeue_after=pause)
    shape, wanted = _wanted(world, print_)
    if elastic.is_elastic(world.job, print_) and children.has_other_size(world.observed, wanted):
        return _resize(world, print_)
    after = status.running(world.job, world.observed, print_.num_nodes, world.now)
    first = after.get("startedAt") and not (world.job.get("status") or {}).get("startedAt")
    said: list[Message] = [_started(world.job)] if first else []
    ready = not starting.is_starting(world.observed, print_.num_nodes)
    if admission.of(world.job).get("id") and ready != bool(admission.of(world.job).get("ready")):
        after["admission"] = {**admission.of(world.job), "ready": ready}
        said.append(announce.report(world.job, ready=ready))
    if (wish := elastic.wish(world.job, asked)) is not None:
        after["admission"] = {**(after.get("admission") or {}), "counts": {words.NODE: wish}}
        said.append(announce.report(world.job, ready=ready, counts={words.NODE: wish}))
    told = [Ensure(_note(world, "Started", "the first pod runs"))] if first else []
    return Plan(
        actions=[*_ensure(world, print_, shape, wanted), *told, *_news(world, after)],
        status=after,
        events=said,
        requeue_after=hangs_in_s if ready else LOOK_FOR_PODS_S,
    )


def _resize(world: World, print_: Blueprint) -> Plan:
    """Asked to end, its program saves what it has; with its new size it goes on from there."""
    after = status.resizing(world.job, world.observed, print_.num_nodes, world.now)
    told = f"the job goes on with {print_.num_nodes} nodes from its last checkpoint"
    said = _note(world, "Resizing", told, which=str(world.job["metadata"].get("generation") or 1))
    return Plan(actions=[Ensure(said)], status=after, requeue_after=0.0)


def _succeed(world: World, print_: Blueprint, why: Outcome) -> Plan:
    assert world.runtime
    after = status.finished(world.job, world.observed, print_.num_nodes, why, world.now) | lifetime.noted(world.runtime)
    told = announce.succeeded({**world.job, "status": after}, print_, world.runtime, world.site.bucket, world.now)
    note = Ensure(_note(world, "Completed", why.message))
    over = [told, announce.finish(world.job, "Succeeded", why.message)]
    return Plan(actions=[*_removals(world, job=False), note], status=after, events=over)


def _wanted(world: World, print_: Blueprint) -> tuple[Shape, list[dict[str, Any]]]:
    shape = workload.shape_of(world.job, print_, framework_for(print_.policy, world.frameworks), _ticket(world))
    return shape, workload.child_jobs(world.job, print_, shape, world.site, restricted=world.restricted)


def _ensure(world: World, print_: Blueprint, shape: Shape, wanted: list[dict[str, Any]]) -> list[Any]:
    """Service and Secret before the Jobs: their pods look for both when they start."""
    job, seen = world.job, world.observed
    actions: list[Any] = []
    if not seen.service:
        actions.append(Ensure(workload.service(job)))
    if not seen.secret:
        actions.append(Ensure(workload.secret(job, world.token, world.site, shape.files)))
    if not seen.jobs:
        return [*actions, *children.made(wanted)]
    if children.is_torn(seen, [child["metadata"]["name"] for child in wanted]):
        return [*actions, *children.removals(seen)]
    again = children.misplaced(job, seen) or children.adjusted(seen, wanted, elastic=elastic.is_elastic(job, print_))
    return [*actions, *again]


def _ticket(world: World) -> int:
    """The change number at admission: unique in the store, hence a port of its own for each job running now."""
    return world.first_ticket + int(world.job["metadata"].get("resourceVersion") or 0)


def _started(job: dict[str, Any]) -> Event:
    meta = job["metadata"]
    return TrainJobStarted(namespace=meta["namespace"], name=meta["name"], uid=meta["uid"])


def _note(world: World, reason: str, message: str, kind: str = "Normal", which: str = "") -> dict[str, Any]:
    return notes.note(world.job, reason, message, world.now, kind=kind, which=which)
