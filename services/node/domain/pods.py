"""What to do next for one pod: start, stop, wait; pure. The kubelet's `SyncPod` as a function of what is seen."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from libs.base.clock import parse_rfc3339, span
from services.node.domain.attempts import Attempt, Attempts, Backoff, latest

Object = dict[str, Any]
FINISHED = ("Succeeded", "Failed")
BRIEF: Object = {"name": "MILLSTREAM_WARM", "value": "python"}
"""The variable by which a container asks to be forked from the small server, which is for short programs."""


@dataclass(frozen=True)
class Waiting:
    """Why a container does not run; shown as `state.waiting`."""

    reason: str
    message: str = ""


@dataclass(frozen=True)
class Health:
    """What probes have found of the running attempt."""

    started: bool = True
    ready: bool = True


@dataclass(frozen=True)
class Seen:
    """Everything the plan depends on besides the pod itself. `blocked` names containers that cannot be made."""

    attempts: Attempts = field(default_factory=dict)
    health: Mapping[str, Health] = field(default_factory=dict)
    blocked: Mapping[str, Waiting] = field(default_factory=dict)


@dataclass(frozen=True)
class Start:
    """Begin attempt `number` of a container."""

    name: str
    number: int


@dataclass(frozen=True)
class Kill:
    """End a running container."""

    name: str
    number: int
    grace_s: float
    why: str


@dataclass(frozen=True)
class PodPlan:
    """`waiting` has a reason for each container that is not running although it should; `over` means nothing runs and
    nothing will; `failed` carries (reason, message) when the pod as a whole was stopped."""

    actions: tuple[Start | Kill, ...] = ()
    waiting: Mapping[str, Waiting] = field(default_factory=dict)
    wake_at: datetime | None = None
    over: bool = False
    failed: tuple[str, str] | None = None


def is_brief(pod: Object) -> bool:
    """Whether a pod says of itself that it is one short program, which runs once, and nobody waits for its start."""
    spec = pod["spec"]
    if spec.get("restartPolicy") != "Never" or spec.get("initContainers") or len(spec["containers"]) != 1:
        return False
    container = spec["containers"][0]
    watched = any(container.get(name) for name in ("startupProbe", "livenessProbe", "readinessProbe", "lifecycle"))
    return not watched and BRIEF in (container.get("env") or ())


def plan_pod(pod: Object, seen: Seen, now: datetime, backoff: Backoff) -> PodPlan:
    """1. stop what must stop; 2. init containers in order; 3. the main containers side by side."""
    spec = pod["spec"]
    stop = _stop(pod, now)
    if stop:
        return _stopping(pod, seen, stop)
    if mains_over(spec, seen):
        return _retire_sidecars(spec, seen)
    blocked_by = _initialise(spec, seen, now, backoff)
    if blocked_by is not None:
        return blocked_by.with_deadline(pod)
    steps = [_step(spec, c, seen, now, backoff) for c in [*sidecars(spec), *spec["containers"]]]
    return _merged(steps).with_deadline(pod)


@dataclass(frozen=True)
class _Step(PodPlan):
    def with_deadline(self, pod: Object) -> PodPlan:
        """Wakes up when `activeDeadlineSeconds` runs out."""
        end = deadline(pod)
        if end is None or self.over:
            return self
        wake = min(end, self.wake_at) if self.wake_at else end
        return PodPlan(self.actions, self.waiting, wake, self.over, self.failed)


def deadline(pod: Object) -> datetime | None:
    """When the pod must be over, if its spec says so and it has started."""
    limit, began = pod["spec"].get("activeDeadlineSeconds"), (pod.get("status") or {}).get("startTime")
    return parse_rfc3339(began) + span(limit) if limit is not None and began else None


def _stop(pod: Object, now: datetime) -> tuple[str, str] | None:
    if pod["metadata"].get("deletionTimestamp"):
        return ("", "")
    end = deadline(pod)
    if end and now >= end:
        return ("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")
    return None


def _stopping(pod: Object, seen: Seen, stop: tuple[str, str]) -> PodPlan:
    grace = grace_s(pod)
    why = "Stopping container {}" if not stop[0] else "Stopping container {}: " + stop[1]
    kills = tuple(
        Kill(a.name, a.number, grace, why.format(a.name))
        for a in (latest(seen.attempts, name) for name in seen.attempts)
        if a and a.running
    )
    return PodPlan(kills, over=not kills, failed=stop if stop[0] else None)


def grace_s(pod: Object) -> float:
    """Seconds between SIGTERM and SIGKILL; a delete request may shorten it."""
    asked = pod["metadata"].get("deletionGracePeriodSeconds")
    default = pod["spec"].get("terminationGracePeriodSeconds")
    return float(asked if asked is not None else 30 if default is None else default)


def sidecars(spec: Object) -> list[Object]:
    """Init containers that stay: `restartPolicy: Always`."""
    return [c for c in spec.get("initContainers") or [] if c.get("restartPolicy") == "Always"]


def _initialise(spec: Object, seen: Seen, now: datetime, backoff: Backoff) -> _Step | None:
    """What the first unfinished init container needs, or None when all are done."""
    for container in spec.get("initContainers") or []:
        name = container["name"]
        attempt = latest(seen.attempts, name)
        always = container.get("restartPolicy") == "Always"
        step = _step(spec, container, seen, now, backoff, init=not always)
        if always and attempt and attempt.running and attempt.started_at and _health(seen, name).started:
            continue
        if not always and attempt and attempt.exit and attempt.exit.exit_code == 0:
            continue
        return step
    return None


def _step(spec: Object, container: Object, seen: Seen, now: datetime, backoff: Backoff, *, init: bool = False) -> _Step:
    """One container: start it, restart it when its time has come, or leave it."""
    name = container["name"]
    last = latest(seen.attempts, name)
    if last and last.running:
        return _Step()
    if last and not _again(spec, container, last, init=init):
        return _Step(over=True)
    if name in seen.blocked:
        return _Step(waiting={name: seen.blocked[name]})
    if last is None:
        return _Step((Start(name, 0),), {name: Waiting("ContainerCreating")})
    due = backoff.restart_at(seen.attempts[name])
    if due > now:
        wait = f"back-off {(due - now).total_seconds():.0f}s restarting failed container={name}"
        return _Step(waiting={name: Waiting("CrashLoopBackOff", wait)}, wake_at=due)
    return _Step((Start(name, last.number + 1),), {name: Waiting("ContainerCreating")})


def _again(spec: Object, container: Object, last: Attempt, *, init: bool) -> bool:
    policy = container.get("restartPolicy") or spec.get("restartPolicy") or "Always"
    failed = last.exit is not None and last.exit.exit_code != 0
    if init:
        return failed and policy != "Never"
    return policy == "Always" or (policy == "OnFailure" and failed)


def mains_over(spec: Object, seen: Seen) -> bool:
    """Whether every main container has ended for good."""
    return all(
        (last := latest(seen.attempts, c["name"])) is not None and last.exit is not None
        and not _again(spec, c, last, init=False)
        for c in spec["containers"]
    )  # fmt: skip


def init_failed(spec: Object, seen: Seen) -> Attempt | None:
    """The init container whose failure ends the pod."""
    for container in spec.get("initContainers") or []:
        last = latest(seen.attempts, container["name"])
        always = container.get("restartPolicy") == "Always"
        if last and last.exit and last.exit.exit_code and not always and not _again(spec, container, last, init=True):
            return last
    return None


def _retire_sidecars(spec: Object, seen: Seen) -> _Step:
    kills = []
    for container in sidecars(spec):
        last = latest(seen.attempts, container["name"])
        if last and last.running:
            kills.append(Kill(last.name, last.number, 30.0, f"Stopping container {last.name}"))
    return _Step(tuple(kills), over=not kills)


def _merged(steps: list[_Step]) -> _Step:
    waiting: dict[str, Waiting] = {}
    for step in steps:
        waiting |= step.waiting
    wakes = [step.wake_at for step in steps if step.wake_at]
    actions = tuple(action for step in steps for action in step.actions)
    return _Step(actions, waiting, min(wakes, default=None), over=all(step.over for step in steps))


def _health(seen: Seen, name: str) -> Health:
    return seen.health.get(name) or Health()
