"""What a Deployment wants next: a rolling update over pods marked with their template's hash; pure.

There is no ReplicaSet between a Deployment and its pods; `pod-template-hash` tells the revisions apart.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from libs.base.clock import parse_rfc3339
from services.node.domain import conditions
from services.node.domain.owned import active, deleting, phase, pod_from, ready, short_name, template_hash

Object = dict[str, Any]
HASH = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"


@dataclass(frozen=True)
class WorkloadPlan:
    """`annotations` are to be merged into the workload's own; `events` are (type, reason, message)."""

    status: Object
    create: tuple[Object, ...] = ()
    delete: tuple[str, ...] = ()
    wake_at: datetime | None = None
    annotations: dict[str, str] | None = None
    events: tuple[tuple[str, str, str], ...] = ()


def plan_deployment(deployment: Object, pods: Sequence[Object], now: datetime, names: Sequence[str]) -> WorkloadPlan:
    """1. drop what has ended; 2. make new pods within the surge; 3. retire old ones while enough are available."""
    spec = deployment["spec"]
    wanted = _replicas(spec)
    current = template_hash(spec["template"])
    ended = [p for p in pods if phase(p) in ("Succeeded", "Failed") and not deleting(p)]
    living = [p for p in pods if active(p)]
    new = [p for p in living if _hash(p) == current]
    old = [p for p in living if _hash(p) != current]
    available, wake = _available(living, spec, now)
    surge, missing = _bounds(spec, wanted)
    create = _growth(spec, wanted, len(new), len(living), surge, any(map(deleting, pods)), bool(old))
    delete = _retire(spec, wanted, new, old, available, missing)
    made = tuple(_pod(deployment, current, suffix) for suffix in names[:create]) if not spec.get("paused") else ()
    gone = tuple(p["metadata"]["name"] for p in ended) + (() if spec.get("paused") and old else delete)
    status = _status(deployment, living, new, available, wanted, now)
    late = _progress_deadline(status, spec)
    wake = min((t for t in (wake, late) if t and t > now), default=None)
    return WorkloadPlan(status, made, gone, wake, _revision(deployment, current))


def _replicas(spec: Object) -> int:
    return int(spec["replicas"] if spec.get("replicas") is not None else 1)


def _hash(pod: Object) -> str:
    return str((pod["metadata"].get("labels") or {}).get(HASH, ""))


def _pod(deployment: Object, current: str, suffix: str) -> Object:
    name = f"{short_name(deployment['metadata']['name'], 17)}-{current}-{suffix}"
    return pod_from(deployment["spec"]["template"], deployment, name, labels={HASH: current})


def _bounds(spec: Object, wanted: int) -> tuple[int, int]:
    """How many pods there may be beyond `wanted`, and how many may be unavailable."""
    rolling = (spec.get("strategy") or {}).get("rollingUpdate") or {}
    surge = _share(rolling.get("maxSurge", "25%"), wanted, up=True)
    missing = _share(rolling.get("maxUnavailable", "25%"), wanted, up=False)
    return (surge, missing) if surge or missing else (surge, 1)


def _share(value: Any, whole: int, *, up: bool) -> int:
    if isinstance(value, str) and value.endswith("%"):
        part = whole * int(value[:-1]) / 100
        return math.ceil(part) if up else math.floor(part)
    return int(value)


def _growth(spec: Object, wanted: int, new: int, living: int, surge: int, ending: bool, rolling: bool) -> int:
    if (spec.get("strategy") or {}).get("type") == "Recreate":
        return wanted - new if not rolling and not ending else 0
    return max(0, min(wanted - new, wanted + surge - living))


def _retire(
    spec: Object, wanted: int, new: list[Object], old: list[Object], available: set[str], missing: int
) -> tuple[str, ...]:
    """Unavailable pods go first: they serve nobody. Others only while `wanted - missing` stay available."""
    name = _name
    if (spec.get("strategy") or {}).get("type") == "Recreate":
        return (*map(name, old), *_surplus(new, wanted, available))
    idle = [name(p) for p in old if name(p) not in available]
    spare = len(available) - (wanted - missing)
    busy = [name(p) for p in old if name(p) in available][: max(0, spare)]
    if len(new) >= wanted or not old:
        return (*idle, *busy, *_surplus(new, wanted, available))
    return (*idle, *busy)


def _surplus(new: list[Object], wanted: int, available: set[str]) -> tuple[str, ...]:
    """The new pods beyond `wanted`: unavailable ones first, then the youngest."""
    ordered = sorted(new, key=lambda p: p["metadata"].get("creationTimestamp", ""), reverse=True)
    ordered.sort(key=lambda p: _name(p) in available)
    return tuple(map(_name, ordered[: max(0, len(new) - wanted)]))


def _name(pod: Object) -> str:
    return str(pod["metadata"]["name"])


def _available(living: Sequence[Object], spec: Object, now: datetime) -> tuple[set[str], datetime | None]:
    """Names of pods ready for `minReadySeconds`, and when the next one will be."""
    least = timedelta(seconds=spec.get("minReadySeconds") or 0)
    names, wakes = set(), []
    for pod in filter(ready, living):
        since = conditions.find(pod["status"].get("conditions"), "Ready") or {}
        at = parse_rfc3339(since["lastTransitionTime"]) + least
        if not least or at <= now:
            names.add(_name(pod))
        else:
            wakes.append(at)
    return names, min(wakes, default=None)


def _status(
    deployment: Object, living: list[Object], new: list[Object], available: set[str], wanted: int, now: datetime
) -> Object:
    old = deployment.get("status") or {}
    numbers = {
        "observedGeneration": deployment["metadata"].get("generation", 1),
        "replicas": len(living), "updatedReplicas": len(new), "readyReplicas": sum(map(ready, living)),
        "availableReplicas": len(available), "unavailableReplicas": max(0, wanted - len(available)),
    }  # fmt: skip
    status = {k: v for k, v in old.items() if k not in numbers} | numbers
    missing = _bounds(deployment["spec"], wanted)[1]
    enough = len(available) >= wanted - missing
    why = ("MinimumReplicasAvailable", "Deployment has minimum availability.") if enough else (
        "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")  # fmt: skip
    told = conditions.put(
        old.get("conditions"), "Available", enough, now, reason=why[0], message=why[1], stamps=("lastUpdateTime",)
    )
    return {**status, "conditions": _progress(deployment, told, numbers, wanted, now)}


def _progress(deployment: Object, told: list[Object], numbers: Object, wanted: int, now: datetime) -> list[Object]:
    old = deployment.get("status") or {}
    name = deployment["metadata"]["name"]
    done = numbers["updatedReplicas"] == numbers["replicas"] == numbers["availableReplicas"] == wanted
    moved = any(old.get(k) != numbers[k] for k in ("updatedReplicas", "availableReplicas", "observedGeneration"))
    before = conditions.find(told, "Progressing")
    stamps = ("lastUpdateTime",)
    if done:
        text = f'Deployment "{name}" has successfully progressed.'
        return conditions.put(
            told, "Progressing", True, now, reason="NewReplicaSetAvailable", message=text, stamps=stamps
        )
    late = _late(before, deployment["spec"])
    if before and not moved and late and now >= late:
        text = f'Deployment "{name}" has timed out progressing.'
        return conditions.put(
            told, "Progressing", False, now, reason="ProgressDeadlineExceeded", message=text, stamps=stamps
        )
    if before and not moved:
        return told
    if before:
        unstamped = {k: v for k, v in before.items() if k != "lastUpdateTime"}
        told = [unstamped if c is before else c for c in told]
    text = f'Deployment "{name}" is progressing: {numbers["availableReplicas"]} of {wanted} available.'
    return conditions.put(told, "Progressing", True, now, reason="ReplicaSetUpdated", message=text, stamps=stamps)


def _late(progressing: Object | None, spec: Object) -> datetime | None:
    since = (progressing or {}).get("lastUpdateTime")
    limit = spec.get("progressDeadlineSeconds")
    return parse_rfc3339(since) + timedelta(seconds=600 if limit is None else limit) if since else None


def _progress_deadline(status: Object, spec: Object) -> datetime | None:
    told = conditions.find(status["conditions"], "Progressing")
    unsettled = told is not None and told["status"] == "True" and told.get("reason") != "NewReplicaSetAvailable"
    return _late(told, spec) if unsettled else None


def _revision(deployment: Object, current: str) -> dict[str, str] | None:
    """The next revision number when the template has changed since the last one."""
    notes = deployment["metadata"].get("annotations") or {}
    if notes.get("millstream.dev/template-hash") == current:
        return None
    return {REVISION: str(int(notes.get(REVISION, "0")) + 1), "millstream.dev/template-hash": current}
