"""Jobs of the Training Operator's kinds as its client sends them, and pods as a cluster shows them."""

from datetime import UTC, datetime
from typing import Any

from services.trainer.domain.legacy.crew import crew
from services.trainer.domain.legacy.frameworks import BY_KIND
from services.trainer.domain.legacy.observed import Observed
from services.trainer.domain.legacy.pods import pod as wanted_pod
from services.trainer.domain.legacy.rules import defaulted
from services.trainer.domain.merge import merged
from services.trainer.reconcile.legacy import World

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
START = "2026-11-22T09:59:50Z"
PORT = 10042

Object = dict[str, Any]


def sent(kind: str, roles: dict[str, Any], **patch: Any) -> Object:
    """A job before it is stored; `roles` are replica specs without templates, or just counts."""
    family = BY_KIND[kind]
    container = {"name": family.container, "image": "img:1", "command": ["python", "t.py"]}
    specs = {}
    for role, given in roles.items():
        own = given if isinstance(given, dict) else {"replicas": given}
        specs[role] = {"template": {"spec": {"containers": [container]}}, **own}
    meta = {
        "name": "digits",
        "namespace": "team",
        "uid": "0b6f6f7e-0000-4000-8000-000000000001",
        "generation": 1,
        "resourceVersion": "42",
        "creationTimestamp": "2026-11-22T09:59:40Z",
    }
    job = {"apiVersion": "kubeflow.org/v1", "kind": kind, "metadata": meta, "spec": {family.specs: specs}}
    return merged(job, patch)


def job(kind: str = "PyTorchJob", roles: dict[str, Any] | None = None, **patch: Any) -> Object:
    """As it is stored."""
    return defaulted(sent(kind, roles or {"Master": 1, "Worker": 1}, **patch), BY_KIND[kind])


def running(kind: str = "PyTorchJob", roles: dict[str, Any] | None = None, **patch: Any) -> Object:
    """Admitted and started."""
    status = {"admission": {"state": "Admitted", "id": "7"}, "startTime": START, "port": PORT}
    return merged(job(kind, roles, **patch), {"status": {**status, **(patch.get("status") or {})}})


def pods(owner: Object, phases: dict[str, str], **codes: int) -> tuple[Object, ...]:
    """Pods of a job by `role-index`, in these phases; `codes` are exit codes of their containers, `role_index=code`."""
    family = BY_KIND[owner["kind"]]
    people, found = crew(owner, family, PORT), []
    for replica in people.replicas:
        short = f"{replica.role.lower()}-{replica.index}"
        if short in phases:
            made = wanted_pod(people, family, replica, None, restricted=False)
            made["metadata"]["uid"] = f"uid-{short}"
            code = codes.get(short.replace("-", "_"))
            ended = {"terminated": {"exitCode": code}} if code is not None else {"running": {}}
            statuses = [{"name": family.container, "state": ended, "restartCount": 0}]
            found.append({**made, "status": {"phase": phases[short], "containerStatuses": statuses}})
    return tuple(found)


def world(owner: Object, seen: tuple[Object, ...] = (), **more: Any) -> World:
    services = frozenset(one["metadata"]["name"] for one in seen)
    return World(job=owner, family=BY_KIND[owner["kind"]], observed=Observed(seen, services), now=NOW, **more)


def env(owner: Object, short: str) -> dict[str, Any]:
    """What the training container of replica `role-index` is told, by name."""
    [found] = pods(owner, {short: "Running"})
    return {e["name"]: e.get("value", e.get("valueFrom")) for e in found["spec"]["containers"][0]["env"]}
