"""What a trial may run, one line each: a kind that another service takes commands for, or one that the cluster has.

Labels tie a run to its trial, no ownerReference does: the Trial lives in another API server, and a cluster's garbage
collector would take the owner for gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from contracts.commands.training.v1 import ApplyLegacyJob, ApplyTrainJob, DeleteLegacyJob, DeleteTrainJob
from contracts.messages import ApplyCommand, DeleteCommand
from services.tuner.domain import words

Object = dict[str, Any]
Wrong = tuple[str, str]
"""A path below the manifest, and what is wrong there."""


@dataclass(frozen=True)
class Command:
    """How the owner of a kind is asked; `kind` where its commands are for several."""

    apply: type[ApplyCommand]
    delete: type[DeleteCommand]
    kind: str | None = None


@dataclass(frozen=True)
class RunKind:
    """`command` is None for what the tuner makes in the cluster itself. `pods` selects the run's pods by its name, and
    `first` among them that whose output counts: the first of these labels that one of them bears."""

    api_version: str
    kind: str
    plural: str
    command: Command | None
    problems: Callable[[Object, str], Iterator[Wrong]]
    templates: Callable[[Object], Iterator[Object]]
    pods: str
    first: tuple[tuple[str, str], ...] = ()

    def apply(self, manifest: Object) -> ApplyCommand:
        assert self.command is not None
        return self.command.apply(namespace=manifest["metadata"]["namespace"], manifest=manifest)

    def delete(self, namespace: str, name: str) -> DeleteCommand:
        assert self.command is not None
        more = {"kind": self.command.kind} if self.command.kind else {}
        return self.command.delete(namespace=namespace, name=name, **more)

    def selector(self, name: str, more: Mapping[str, str] | None) -> str:
        """Of the pods whose output counts, where `more` are the user's primaryPodLabels."""
        return ",".join(f"{key}={value}" for key, value in {self.pods: name, **(more or {})}.items())


def made(kind: RunKind, run: Object, *, name: str, namespace: str, labels: Mapping[str, str]) -> Object:
    """The manifest of a run under its trial's name; its pods bear the labels too where the manifest has their
    template."""
    out = deepcopy(run)
    meta = out.get("metadata") or {}
    out["metadata"] = {
        **{key: value for key, value in meta.items() if key in ("annotations",)},
        "name": name,
        "namespace": namespace,
        "labels": {**(meta.get("labels") or {}), **labels},
    }
    for template in kind.templates(out):
        inner = template.setdefault("metadata", {})
        inner["labels"] = {**(inner.get("labels") or {}), **labels}
    if kind.kind == "Job":
        _once(out["spec"])
    return out


def _once(spec: Object) -> None:
    """A trial is tried once; a pod that its node lost did not fail, and is made again."""
    if "backoffLimit" in spec:
        return
    spec["backoffLimit"] = 0
    if spec["template"]["spec"].get("restartPolicy") == "Never" and "podFailurePolicy" not in spec:
        lost = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
        spec["podFailurePolicy"] = {"rules": [lost]}


def _checked(model: type[BaseModel], manifest: Object) -> Iterator[Wrong]:
    try:
        model.model_validate(manifest)
    except ValidationError as error:
        for found in error.errors(include_url=False, include_input=False):
            yield ".".join(str(part) for part in found["loc"]), found["msg"]


def _trainjob(manifest: Object, container: str) -> Iterator[Wrong]:
    from contracts.kinds.trainjob import TrainJob  # upstream's models: opened by who tunes only

    yield from _checked(TrainJob, manifest)
    if container != "node":
        yield "", f"a TrainJob trains in the container 'node', not in {container!r}: set primaryContainerName to node"


def _pytorchjob(manifest: Object, container: str) -> Iterator[Wrong]:
    from contracts.kinds.legacyjob import PyTorchJob, template_error

    wrong = list(_checked(PyTorchJob, manifest))
    yield from wrong
    if wrong:
        return
    for role, replicas in manifest["spec"]["pytorchReplicaSpecs"].items():
        if told := template_error(replicas["template"]):
            yield f"spec.pytorchReplicaSpecs.{role}.template", told
        elif role == "Master":
            yield from _has_container(replicas["template"], f"spec.pytorchReplicaSpecs.{role}.template", container)


def _job(manifest: Object, container: str) -> Iterator[Wrong]:
    from contracts.kinds.legacyjob import template_error

    template = (manifest.get("spec") or {}).get("template")
    if not isinstance(template, dict) or not isinstance(template.get("spec"), dict):
        yield "spec.template.spec", "is required: the pod that the trial runs"
        return
    if told := template_error(template):
        yield "spec.template", told
        return
    policy = template["spec"].get("restartPolicy")
    if policy not in ("Never", "OnFailure"):
        yield "spec.template.spec.restartPolicy", f"{policy!r} must be Never or OnFailure in a Job"
    yield from _has_container(template, "spec.template", container)


def _has_container(template: Object, where: str, name: str) -> Iterator[Wrong]:
    there = [one.get("name") for one in template["spec"].get("containers") or []]
    if name not in there:
        known = ", ".join(map(repr, there)) or "none"
        yield f"{where}.spec.containers", f"there is no {name!r}, which primaryContainerName names; there are {known}"


def _no_templates(manifest: Object) -> Iterator[Object]:
    return iter(())


def _job_template(manifest: Object) -> Iterator[Object]:
    yield manifest["spec"]["template"]


def _replica_templates(manifest: Object) -> Iterator[Object]:
    for replicas in manifest["spec"]["pytorchReplicaSpecs"].values():
        yield replicas["template"]


RUN_KINDS: tuple[RunKind, ...] = (
    RunKind(
        "trainer.kubeflow.org/v1alpha1",
        "TrainJob",
        "trainjobs",
        Command(ApplyTrainJob, DeleteTrainJob),
        _trainjob,
        _no_templates,
        words.TRAINJOB_NAME,
        ((words.REPLICATED_JOB, "launcher"), (words.COMPLETION_INDEX, "0")),
    ),
    RunKind("batch/v1", "Job", "jobs", None, _job, _job_template, words.TRIAL),
    RunKind(
        "kubeflow.org/v1",
        "PyTorchJob",
        "pytorchjobs",
        Command(ApplyLegacyJob, DeleteLegacyJob, "PyTorchJob"),
        _pytorchjob,
        _replica_templates,
        words.TRIAL,
        ((words.JOB_ROLE, "master"),),
    ),
)


def run_kind(manifest: Mapping[str, Any]) -> RunKind | None:
    wanted = (manifest.get("apiVersion"), manifest.get("kind"))
    return next((one for one in RUN_KINDS if (one.api_version, one.kind) == wanted), None)


def names() -> str:
    return ", ".join(f"{one.kind} ({one.api_version})" for one in RUN_KINDS)
