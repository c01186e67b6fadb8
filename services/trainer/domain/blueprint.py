"""A job and its runtime made one: runtime, then runtimePatches, then the job's own words; what a node will be."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from contracts.kinds.quantity import amount
from services.trainer.domain import lifetime, words
from services.trainer.domain.merge import by_key, merged
from services.trainer.domain.runtime_rules import DEVICES, MIG, pod_template, trainer_job

DEFAULT_LIMITS: Mapping[str, str] = {"cpu": "1", "memory": "2Gi"}
"""What a node gets when neither the job nor its runtime says: no job may take a whole machine by saying nothing."""

DEFAULT_MEMORY_REQUEST = "512Mi"
"""What such a node counts for in the queue: most stay far below the limit."""


@dataclass(frozen=True)
class Blueprint:
    """`pod` is a pod template, `job` the rest of the Job's spec that the runtime gives (backoffLimit, ...)."""

    policy: dict[str, Any]
    num_nodes: int
    num_proc_per_node: int | None
    pod: dict[str, Any]
    job: dict[str, Any] = field(default_factory=dict)
    deadline: int | None = None

    @property
    def node(self) -> dict[str, Any]:
        """The container that trains."""
        return next(c for c in self.pod["spec"]["containers"] if c["name"] == words.NODE)

    @property
    def limits(self) -> dict[str, Any]:
        return self.node["resources"]["limits"]

    @property
    def asks(self) -> dict[str, str]:
        """Resources per node as the scheduler counts them: requests where given, else limits; all containers."""
        total: dict[str, Decimal] = {}
        for container in self.pod["spec"]["containers"]:
            resources = container.get("resources") or {}
            for name, value in {**(resources.get("limits") or {}), **(resources.get("requests") or {})}.items():
                total[name] = total.get(name, Decimal(0)) + amount(value)
        return {name: format(value.normalize(), "f") for name, value in sorted(total.items())}

    @property
    def devices(self) -> int:
        found = (v for k, v in self.limits.items() if k.startswith(MIG) or (k in DEVICES and k != "cpu"))
        return int(sum(amount(value) for value in found))


def blueprint(job: dict[str, Any], runtime: dict[str, Any]) -> Blueprint:
    """`runtime` is a stored, hence valid, (Cluster)TrainingRuntime."""
    spec, trainer = job["spec"], job["spec"].get("trainer") or {}
    template = _patched(runtime["spec"], spec.get("runtimePatches") or [])
    found = trainer_job({"template": template})
    assert found, "stored runtimes have a trainer step"
    shape = (found[1].get("template") or {}).get("spec") or {}
    policy = runtime["spec"].get("mlPolicy") or {}
    return Blueprint(
        policy=policy,
        num_nodes=trainer.get("numNodes") or policy.get("numNodes") or 1,
        num_proc_per_node=trainer.get("numProcPerNode"),
        pod=_with_trainer(pod_template(found[1]), trainer),
        job={key: shape[key] for key in ("backoffLimit", "podFailurePolicy") if key in shape},
        deadline=lifetime.deadline(job, runtime),
    )


def _patched(spec: dict[str, Any], patches: list[dict[str, Any]]) -> dict[str, Any]:
    template = spec["template"]
    for patch in sorted(patches, key=lambda entry: entry["manager"]):
        template = merged(template, (patch.get("trainingRuntimeSpec") or {}).get("template") or {})
    return template


def _with_trainer(pod: dict[str, Any], trainer: dict[str, Any]) -> dict[str, Any]:
    pod = deepcopy(pod)
    node = next(c for c in pod["spec"]["containers"] if c["name"] == words.NODE)
    for key in ("image", "command", "args"):
        if trainer.get(key):
            node[key] = deepcopy(trainer[key])
    node["env"] = by_key(node.get("env") or [], trainer.get("env") or [], "name")
    node["resources"] = _resources(node.get("resources") or {}, trainer.get("resourcesPerNode") or {})
    return pod


def _resources(runtime: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    """Limits always name cpu and memory; requests that exceed a defaulted limit lift it."""
    base = asked if asked.get("limits") or asked.get("requests") else runtime
    limits, requests = dict(base.get("limits") or {}), dict(base.get("requests") or {})
    if "memory" not in limits and "memory" not in requests:
        requests["memory"] = DEFAULT_MEMORY_REQUEST
        limits["memory"] = DEFAULT_LIMITS["memory"]
    for name, value in DEFAULT_LIMITS.items():
        if name not in limits:
            limits[name] = requests.get(name, value)
    return {"limits": _text(limits), **({"requests": _text(requests)} if requests else {})}


def _text(amounts: dict[str, Any]) -> dict[str, str]:
    """Kubernetes wants text; 1.0 becomes "1", so that clients that expect a number of devices read one."""
    return {k: v if isinstance(v, str) else format(amount(v).normalize(), "f") for k, v in amounts.items()}
