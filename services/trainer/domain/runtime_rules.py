"""Which runtimes may be stored: only those that the Kubeflow SDK can list, since one bad one breaks the list for all.

The defects are those measured in the design's CLIENTS.md 2.4; the wording names the field and what to write.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from contracts import demand
from contracts.kinds.trainingruntime import runtime_error
from libs.base.errors import Cause
from services.trainer.domain import words
from services.trainer.domain.frameworks import Framework

DEVICES = ("nvidia.com/gpu", "google.com/tpu", "huawei.com/Ascend910", "cpu")
MIG = "nvidia.com/mig-"
ROLES = (words.NODE, words.LAUNCHER, "dataset-initializer", "model-initializer")
JOBS = "spec.template.spec.replicatedJobs"


def runtime_causes(runtime: dict[str, Any], frameworks: Sequence[Framework]) -> list[Cause]:
    """What is wrong with a runtime, [] when nothing is. `frameworks` are those that an mlPolicy may name."""
    spec = runtime.get("spec") or {}
    if odd := list(shapes(spec, "spec")):
        return odd
    asked = [Cause(*odd) for place, found in templates(spec) for odd in demand.of_template(found, f"spec.{place}")]
    causes = [*_label(runtime), *_policy(spec, frameworks), *_jobs(spec), *_trainer(spec), *asked]
    unread = None if causes else runtime_error(runtime["spec"])
    return causes + ([Cause("spec", f"clients could not read this runtime: {unread}")] if unread else [])


def shapes(spec: Any, where: str) -> Iterator[Cause]:
    """Where a runtime's spec, or a patch to it, has another shape than all that read it take for granted; what is
    absent or null has any."""
    yield from _shape(spec, _SPEC, where)


def _shape(found: Any, wanted: Any, where: str) -> Iterator[Cause]:
    if isinstance(wanted, list):
        if not isinstance(found, list):
            yield Cause(where, f"{str(found)[:40]!r} must be a list", "FieldValueTypeInvalid")
            return
        for index, one in enumerate(found):
            yield from _shape(one, wanted[0], f"{where}[{index}]")
    elif not isinstance(found, dict):
        yield Cause(where, f"{str(found)[:40]!r} must be an object", "FieldValueTypeInvalid")
    else:
        for key, inner in wanted.items():
            if found.get(key) is not None:
                yield from _shape(found[key], inner, f"{where}.{key}")


_CONTAINERS: Any = [{"resources": {"limits": {}, "requests": {}}}]
_POD: Any = {"metadata": {"labels": {}, "annotations": {}}, "spec": dict.fromkeys(demand.CONTAINERS, _CONTAINERS)}
_JOB: Any = {"metadata": {"labels": {}}, "spec": {"template": _POD}}
_SPEC: Any = {"template": {"spec": {"replicatedJobs": [{"template": _JOB}]}}}


def templates(spec: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The path and the pod template of every replicated job of a runtime's spec, or of a patch to it."""
    for index, job in enumerate(_replicated(spec)):
        yield f"{JOBS.removeprefix('spec.')}[{index}].template.spec.template", pod_template(job)


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


def _policy(spec: dict[str, Any], frameworks: Sequence[Framework]) -> Iterator[Cause]:
    policy = spec.get("mlPolicy")
    if not isinstance(policy, dict):
        yield Cause("spec.mlPolicy", "is required; an empty object {} will do", "FieldValueRequired")
        return
    nodes = policy.get("numNodes", 1)
    if not isinstance(nodes, int) or isinstance(nodes, bool) or nodes < 1:
        yield Cause("spec.mlPolicy.numNodes", f"{nodes!r} must be a whole number of at least 1")
    known = {framework.policy: framework for framework in frameworks if framework.policy}
    named = sorted(policy.keys() - {"numNodes"})
    for key in named:
        if key in known:
            yield from _of_framework(known[key], policy[key])
        else:
            told = f"is not supported; supported: {', '.join(known)}"
            yield Cause(f"spec.mlPolicy.{key}", told, "FieldValueNotSupported")
    if len(named) > 1:
        yield Cause("spec.mlPolicy", f"{' and '.join(named)} exclude each other: a job trains with one framework")


def _of_framework(framework: Framework, own: Any) -> Iterator[Cause]:
    where = f"spec.mlPolicy.{framework.policy}"
    if not isinstance(own, dict):
        yield Cause(where, f"{own!r} must be an object; an empty one {{}} will do")
        return
    for field, told in framework.causes(own):
        yield Cause(f"{where}.{field}", told)


def _jobs(spec: dict[str, Any]) -> Iterator[Cause]:
    """The replicated jobs by name: what they are for is told by it."""
    seen: set[str] = set()
    for index, job in enumerate(_replicated(spec)):
        name, where = job.get("name"), f"{JOBS}[{index}].name"
        if name not in ROLES:
            yield Cause(where, f"{name!r} is not known; known: {', '.join(ROLES)}", "FieldValueNotSupported")
        elif name in seen:
            yield Cause(where, f"{name!r} is there twice", "FieldValueDuplicate")
        seen.add(str(name))


def _trainer(spec: dict[str, Any]) -> Iterator[Cause]:
    found = trainer_job(spec)
    if not found:
        field = f"{JOBS}[*].template.metadata.labels[{words.ANCESTOR_STEP}]"
        yield Cause(field, f"one replicated job must carry the value {words.TRAINER_STEP}", "FieldValueRequired")
        return
    index, job = found
    where = f"{JOBS}[{index}]"
    policy = spec.get("mlPolicy")
    leads = (words.LAUNCHER, words.NODE) if isinstance(policy, dict) and "mpi" in policy else (words.NODE,)
    if job.get("name") not in leads:
        told = f"{job.get('name')!r} must be {' or '.join(map(repr, leads))}: clients look for its pods by it"
        yield Cause(f"{where}.name", told)
    if job.get("name") == words.LAUNCHER and replicated_job(spec, words.NODE) is None:
        yield Cause(
            JOBS, f"a replicated job named {words.NODE!r} is required beside the launcher", "FieldValueRequired"
        )
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
