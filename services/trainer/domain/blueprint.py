"""A job and its runtime made one: runtime, then runtimePatches, then the job's own words; what a node will be."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from contracts.kinds.quantity import amount
from services.trainer.domain import initializers, lifetime, registered, words
from services.trainer.domain.merge import by_key, merged
from services.trainer.domain.runtime_rules import DEVICES, MIG, pod_template, replicated_job, trainer_job

DEFAULT_LIMITS: Mapping[str, str] = {"cpu": "1", "memory": "2Gi"}
"""What a node gets when neither the job nor its runtime says: no job may take a whole machine by saying nothing."""

DEFAULT_MEMORY_REQUEST = "512Mi"
"""What such a node counts for in the queue: most stay far below the limit."""

BUILT_IN = ["tune", "run"]
"""The command of every BuiltinTrainer of the Kubeflow SDK: the runtime's own program is meant, with more arguments."""


@dataclass(frozen=True)
class Blueprint:
    """`pod` is a node's pod template, `job` the rest of the Job's spec that the runtime gives (backoffLimit, ...).

    `lead` is the template of the pod that runs the user's command, where that is another one than a node's.
    """

    policy: dict[str, Any]
    num_nodes: int
    num_proc_per_node: int | None
    pod: dict[str, Any]
    job: dict[str, Any] = field(default_factory=dict)
    deadline: int | None = None
    lead: dict[str, Any] | None = None
    initializer: dict[str, Any] = field(default_factory=dict)

    @property
    def node(self) -> dict[str, Any]:
        """The container that trains."""
        return container_of(self.pod)

    @property
    def launcher(self) -> dict[str, Any] | None:
        """The template of a pod that leads and is no node, of the one policy that may have such; None without one."""
        policy = self.policy.get("mpi")
        return None if policy is None or policy.get("runLauncherAsNode") else self.lead or self.pod

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
    patches = spec.get("runtimePatches") or []
    template, patched = _patched(runtime["spec"]["template"], patches), _patched({}, patches)
    found = trainer_job({"template": template})
    assert found, "stored runtimes have a trainer step"
    lead = found[1]
    node = replicated_job({"template": template}, words.NODE) or lead
    shape = (node.get("template") or {}).get("spec") or {}
    fetched = initializers.asked(_initializers(template), _initializers(patched), spec)
    policy = runtime["spec"].get("mlPolicy") or {}
    return Blueprint(
        policy=policy,
        num_nodes=trainer.get("numNodes") or policy.get("numNodes") or 1,
        num_proc_per_node=trainer.get("numProcPerNode"),
        pod=_with_trainer(pod_template(node), trainer, leads=node is lead),
        job={key: shape[key] for key in ("backoffLimit", "podFailurePolicy") if key in shape},
        deadline=lifetime.deadline(job, runtime),
        lead=None if node is lead else _with_trainer(pod_template(lead), trainer, leads=True),
        initializer=registered.settled(fetched, job),
    )


def _initializers(template: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Pod specs of a template's own initializers, which upstream's runtimes have for models that they name."""
    found = {part: replicated_job({"template": template}, f"{part}-initializer") for part in initializers.PARTS}
    return {part: pod_template(job).get("spec") or {} if job else {} for part, job in found.items()}


def _patched(template: dict[str, Any], patches: list[dict[str, Any]]) -> dict[str, Any]:
    for patch in sorted(patches, key=lambda entry: entry["manager"]):
        template = merged(template, (patch.get("trainingRuntimeSpec") or {}).get("template") or {})
    return template


def container_of(pod: dict[str, Any]) -> dict[str, Any]:
    """The container of a pod template that takes part in the training."""
    return next(c for c in pod["spec"]["containers"] if c["name"] == words.NODE)


def _with_trainer(pod: dict[str, Any], trainer: dict[str, Any], *, leads: bool) -> dict[str, Any]:
    """What the job says of its nodes; what it runs is for the pod that leads."""
    pod = deepcopy(pod)
    node = container_of(pod)
    if leads and trainer.get("command") == BUILT_IN and node.get("command"):
        trainer = {**trainer, "command": None, "args": [*(node.get("args") or []), *(trainer.get("args") or [])]}
    for key in ("image", "command", "args") if leads else ("image",):
        if trainer.get(key):
            node[key] = deepcopy(trainer[key])
    node["env"] = by_key(node.get("env") or [], trainer.get("env") or [], "name")
    node["resources"] = _resources(node.get("resources") or {}, trainer.get("resourcesPerNode") or {})
    return pod


def _resources(runtime: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    return with_default_limits(asked if asked.get("limits") or asked.get("requests") else runtime)


def with_default_limits(base: dict[str, Any]) -> dict[str, Any]:
    """Limits always name cpu and memory; requests that exceed a defaulted limit lift it."""
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
