"""Which runtimes may be stored: only those that the Kubeflow SDK can list, since one bad one breaks the list for all.

The defects are those measured in the design's CLIENTS.md 2.4; the wording names the field and what to write.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from contracts.kinds.quantity import amount
from contracts.kinds.trainingruntime import runtime_error
from libs.base.errors import Cause
from services.trainer.domain import words

DEVICES = ("nvidia.com/gpu", "google.com/tpu", "huawei.com/Ascend910", "cpu")
MIG = "nvidia.com/mig-"
JOBS = "spec.template.spec.replicatedJobs"


def runtime_causes(runtime: dict[str, Any], policies: Sequence[str]) -> list[Cause]:
    """What is wrong with a runtime, [] when nothing is. `policies` are the keys of `mlPolicy` that a plugin serves."""
    causes = [*_label(runtime), *_policy(runtime.get("spec") or {}, policies), *_trainer(runtime.get("spec") or {})]
    unread = None if causes else runtime_error(runtime["spec"])
    return causes + ([Cause("spec", f"clients could not read this runtime: {unread}")] if unread else [])


def trainer_job(spec: dict[str, Any]) -> tuple[int, dict[str, Any]] | None:
    """The replicated job that trains, with its index: the one labelled as ancestor step `trainer`."""
    for index, job in enumerate(_replicated(spec)):
        labels = ((job.get("template") or {}).get("metadata") or {}).get("labels") or {}
        if labels.get(words.ANCESTOR_STEP) == words.TRAINER_STEP:
            return index, job
    return None


def replicated_job(spec: dict[str, Any], name: str) -> dict[str, Any] | None:
    return next((job for job in _replicated(spec) if job.get("name") == name), None)


def pod_template(job: dict[str, Any]) -> dict[str, Any]:
    return ((job.get("template") or {}).get("spec") or {}).get("template") or {}


def has_device(limits: dict[str, Any]) -> bool:
    """Whether the SDK can tell a device from these limits; memory alone is not enough."""
    return any(name in DEVICES or name.startswith(MIG) for name in limits)


def _replicated(spec: dict[str, Any]) -> list[dict[str, Any]]:
    jobs = ((spec.get("template") or {}).get("spec") or {}).get("replicatedJobs")
    return [job for job in jobs if isinstance(job, dict)] if isinstance(jobs, list) else []


def _label(runtime: dict[str, Any]) -> Iterator[Cause]:
    labels = (runtime.get("metadata") or {}).get("labels") or {}
    if not labels.get(words.FRAMEWORK):
        field = f"metadata.labels[{words.FRAMEWORK}]"
        yield Cause(field, "is required: name the framework, for example torch", "FieldValueRequired")


def _policy(spec: dict[str, Any], policies: Sequence[str]) -> Iterator[Cause]:
    policy = spec.get("mlPolicy")
    if not isinstance(policy, dict):
        yield Cause("spec.mlPolicy", "is required; an empty object {} will do", "FieldValueRequired")
        return
    nodes = policy.get("numNodes", 1)
    if not isinstance(nodes, int) or isinstance(nodes, bool) or nodes < 1:
        yield Cause("spec.mlPolicy.numNodes", f"{nodes!r} must be a whole number of at least 1")
    for key in policy.keys() - {"numNodes", *policies}:
        known = ", ".join(policies)
        yield Cause(f"spec.mlPolicy.{key}", f"is not supported; supported: {known}", "FieldValueNotSupported")


def _trainer(spec: dict[str, Any]) -> Iterator[Cause]:
    found = trainer_job(spec)
    if not found:
        field = f"{JOBS}[*].template.metadata.labels[{words.ANCESTOR_STEP}]"
        yield Cause(field, f"one replicated job must carry the value {words.TRAINER_STEP}", "FieldValueRequired")
        return
    index, job = found
    where = f"{JOBS}[{index}]"
    if job.get("name") != words.NODE:
        yield Cause(f"{where}.name", f"{job.get('name')!r} must be {words.NODE!r}: clients look for its pods by it")
    containers = (pod_template(job).get("spec") or {}).get("containers") or []
    yield from _node(containers, f"{where}.template.spec.template.spec.containers")


def _node(containers: list[dict[str, Any]], where: str) -> Iterator[Cause]:
    for index, container in enumerate(containers):
        if container.get("name") == words.NODE:
            yield from _container(container, f"{where}[{index}]")
            return
    yield Cause(where, f"a container named {words.NODE!r} is required", "FieldValueRequired")


def _container(container: dict[str, Any], where: str) -> Iterator[Cause]:
    if not container.get("image"):
        yield Cause(f"{where}.image", "is required", "FieldValueRequired")
    resources = container.get("resources") or {}
    limits = resources.get("limits") or {}
    if limits and not has_device(limits):
        known = ", ".join((*DEVICES, MIG + "*"))
        yield Cause(f"{where}.resources.limits", f"must name a device beside {', '.join(limits)}: one of {known}")
    for part in ("limits", "requests"):
        yield from _amounts(resources.get(part) or {}, f"{where}.resources.{part}")


def _amounts(amounts: dict[str, Any], where: str) -> Iterator[Cause]:
    for name, value in amounts.items():
        try:
            amount(value)
        except (ValueError, TypeError) as error:
            yield Cause(f"{where}.{name}", str(error))
