"""What a trigger may make: the kinds for which their owner has an apply command, one line each."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import BaseModel, ValidationError

from contracts.commands.pipelines.v1 import ApplyPipelineRun, DeletePipelineRun
from contracts.commands.serving.v1 import ApplyInferenceService
from contracts.commands.training.v1 import ApplyLegacyJob, ApplyTrainJob, DeleteLegacyJob, DeleteTrainJob
from contracts.messages import ApplyCommand, DeleteCommand


@dataclass(frozen=True)
class Target:
    """`model` reads a manifest of the kind. One without `delete` never ends: the template names it, each firing changes
    it, and nothing is cleared away. `name_max`: the longest name that its owner takes. `kind` where commands of one
    type are for several.
    """

    plural: str
    model: Callable[[], type[BaseModel]]
    apply: type[ApplyCommand]
    delete: type[DeleteCommand] | None = None
    name_max: int = 63
    kind: str | None = None

    def deletion(self, namespace: str, name: str) -> DeleteCommand | None:
        """The command that clears one object away."""
        more = {"kind": self.kind} if self.kind else {}
        return self.delete(namespace=namespace, name=name, **more) if self.delete else None

    def is_told_of(self, event: Any) -> bool:
        """Whether the event may be about an object of this kind."""
        kind = getattr(event, "kind", None)
        return self.noun == noun(event.type) and (self.kind is None or kind in (None, self.kind))

    @property
    def noun(self) -> str:
        """How its owner's messages begin: `training.trainjob`."""
        return noun(self.apply.type)

    def problems(self, manifest: Mapping[str, Any]) -> list[tuple[tuple[str | int, ...], str]]:
        """What the kind's own model does not take: place and reason."""
        try:
            self.model().model_validate(manifest)
        except ValidationError as error:
            return [(found["loc"], found["msg"]) for found in error.errors(include_url=False, include_input=False)]
        return [*_templates(manifest["spec"])] if self.apply is ApplyLegacyJob else []


def _templates(spec: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """What is wrong with the pod templates of a Training Operator's job, which its model leaves open."""
    from contracts.kinds.legacyjob import template_error

    for field, roles in spec.items():
        for role, replicas in roles.items() if field.endswith("ReplicaSpecs") else ():
            if wrong := template_error(replicas["template"]):
                yield ("spec", field, role, "template"), wrong


def _trainjob() -> type[BaseModel]:
    from contracts.kinds.trainjob import TrainJob  # upstream's models: opened by who makes jobs only

    return TrainJob


def _inferenceservice() -> type[BaseModel]:
    from contracts.kinds.inferenceservice import InferenceService

    return InferenceService


def _pipelinerun() -> type[BaseModel]:
    from contracts.kinds.pipelinerun import PipelineRun

    return PipelineRun


def _legacy(kind: str) -> type[BaseModel]:
    from contracts.kinds import legacyjob

    found: type[BaseModel] = getattr(legacyjob, kind)
    return found


LEGACY = ("PyTorchJob", "TFJob", "MPIJob", "XGBoostJob", "PaddleJob", "JAXJob")
TARGETS: Mapping[tuple[str, str], Target] = {
    ("trainer.kubeflow.org/v1alpha1", "TrainJob"): Target("trainjobs", _trainjob, ApplyTrainJob, DeleteTrainJob, 50),
    ("serving.kserve.io/v1beta1", "InferenceService"): Target(
        "inferenceservices", _inferenceservice, ApplyInferenceService
    ),
    ("millstream.dev/v1alpha1", "PipelineRun"): Target(
        "pipelineruns", _pipelinerun, ApplyPipelineRun, DeletePipelineRun, 253
    ),
    **{
        ("kubeflow.org/v1", kind): Target(
            f"{kind.lower()}s", partial(_legacy, kind), ApplyLegacyJob, DeleteLegacyJob, 50, kind
        )
        for kind in LEGACY
    },
}


def target_of(manifest: Mapping[str, Any]) -> Target | None:
    return TARGETS.get((str(manifest.get("apiVersion")), str(manifest.get("kind"))))


def noun(type: str) -> str:
    """The first two words of a message type."""
    return type.rsplit(".", 2)[0]


def names() -> str:
    return ", ".join(f"{kind} ({version})" for version, kind in TARGETS)
