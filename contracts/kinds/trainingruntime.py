"""TrainingRuntime and ClusterTrainingRuntime (trainer.kubeflow.org/v1alpha1): a template that many jobs share.

One unreadable runtime breaks `list_runtimes()` for everybody, so `runtime_error` asks upstream's own models, the ones
the SDK reads with; they are opened at the first write of a runtime, not at import.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, StrictInt

from contracts.kinds.trainjob import PACKAGE, _Wire, read_error
from contracts.kinds.upstream import upstream


class JobSetTemplate(_Wire):
    """A JobSet template; `spec.replicatedJobs` is a list of named Job templates."""

    metadata: dict[str, Any] | None = None
    spec: dict[str, Any]


class TrainingRuntimeSpec(_Wire):
    ml_policy: dict[str, Any] = Field(alias="mlPolicy", description="mlPolicy: numNodes and one of torch, plain, ...")
    pod_group_policy: dict[str, Any] | None = Field(default=None, alias="podGroupPolicy")
    active_deadline_seconds: Annotated[StrictInt, Field(ge=1)] | None = Field(
        default=None,
        alias="activeDeadlineSeconds",
        description="Seconds from start after which a job fails that sets no deadline itself.",
    )
    ttl_seconds_after_finished: Annotated[StrictInt, Field(ge=0)] | None = Field(
        default=None,
        alias="ttlSecondsAfterFinished",
        description="Seconds after its end until a job is deleted that sets no time to live itself.",
    )
    template: JobSetTemplate = Field(description="template of the jobs that a TrainJob starts.")


class _Runtime(_Wire):
    api_version: Literal["trainer.kubeflow.org/v1alpha1"] = Field(alias="apiVersion")
    metadata: dict[str, Any] = Field(default_factory=dict)
    spec: TrainingRuntimeSpec


class TrainingRuntime(_Runtime):
    kind: Literal["TrainingRuntime"]


class ClusterTrainingRuntime(_Runtime):
    kind: Literal["ClusterTrainingRuntime"]


def runtime_error(spec: Any) -> str | None:
    """Why the SDK could not read a runtime's `spec`, in one line; None when it can."""
    model = upstream(PACKAGE, "trainer_v1alpha1_training_runtime_spec", "TrainerV1alpha1TrainingRuntimeSpec")
    return read_error(model, spec)


KINDS = (ClusterTrainingRuntime, TrainingRuntime)
