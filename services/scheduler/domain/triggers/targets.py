"""What a trigger may make: the kinds for which their owner has an apply command, one line each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from contracts.commands.serving.v1 import ApplyInferenceService
from contracts.commands.training.v1 import ApplyTrainJob, DeleteTrainJob
from contracts.messages import ApplyCommand, DeleteCommand


@dataclass(frozen=True)
class Target:
    """`model` reads a manifest of the kind. One without `delete` never ends: the template names it, each firing changes
    it, and nothing is cleared away. `name_max`: the longest name that its owner takes.
    """

    plural: str
    model: Callable[[], type[BaseModel]]
    apply: type[ApplyCommand]
    delete: type[DeleteCommand] | None = None
    name_max: int = 63

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
        return []


def _trainjob() -> type[BaseModel]:
    from contracts.kinds.trainjob import TrainJob  # upstream's models: opened by who makes jobs only

    return TrainJob


def _inferenceservice() -> type[BaseModel]:
    from contracts.kinds.inferenceservice import InferenceService

    return InferenceService


TARGETS: Mapping[tuple[str, str], Target] = {
    ("trainer.kubeflow.org/v1alpha1", "TrainJob"): Target("trainjobs", _trainjob, ApplyTrainJob, DeleteTrainJob, 50),
    ("serving.kserve.io/v1beta1", "InferenceService"): Target(
        "inferenceservices", _inferenceservice, ApplyInferenceService
    ),
}


def target_of(manifest: Mapping[str, Any]) -> Target | None:
    return TARGETS.get((str(manifest.get("apiVersion")), str(manifest.get("kind"))))


def noun(type: str) -> str:
    """The first two words of a message type."""
    return type.rsplit(".", 2)[0]


def names() -> str:
    return ", ".join(f"{kind} ({version})" for version, kind in TARGETS)
