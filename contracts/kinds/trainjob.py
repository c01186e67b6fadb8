"""TrainJob as the Kubeflow SDK sends and reads it (trainer.kubeflow.org/v1alpha1); adds to upstream only in `status`.

Fields are upstream's models where those validate plain JSON; quantities (upstream wants wrapped objects) and the pod
patches (300 models deep, opened only when used, see `pod_patch_error`) are ours.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr

from contracts.kinds.quantity import Quantity
from contracts.kinds.upstream import upstream

GROUP, VERSION = "trainer.kubeflow.org", "v1alpha1"
PACKAGE = "kubeflow_trainer_api"

_Trainer = upstream(PACKAGE, "trainer_v1alpha1_trainer", "TrainerV1alpha1Trainer")
_Initializer = upstream(PACKAGE, "trainer_v1alpha1_initializer", "TrainerV1alpha1Initializer")
_JobStatus = upstream(PACKAGE, "trainer_v1alpha1_job_status", "TrainerV1alpha1JobStatus")
_TrainerStatus = upstream(PACKAGE, "trainer_v1alpha1_trainer_status", "TrainerV1alpha1TrainerStatus")
_RuntimeRef = upstream(PACKAGE, "trainer_v1alpha1_runtime_ref", "TrainerV1alpha1RuntimeRef")
_Condition = upstream(
    PACKAGE, "io_k8s_apimachinery_pkg_apis_meta_v1_condition", "IoK8sApimachineryPkgApisMetaV1Condition"
)

RuntimeKind = Literal["ClusterTrainingRuntime", "TrainingRuntime"]


class _Wire(BaseModel):
    model_config = ConfigDict(populate_by_name=True, protected_namespaces=())


class ResourceClaim(_Wire):
    name: StrictStr
    request: StrictStr | None = None


class ResourceRequirements(_Wire):
    """Amounts per node. JSON numbers, floats included, are as good as text; they come back as they were sent."""

    claims: list[ResourceClaim] | None = None
    limits: dict[str, Quantity] | None = None
    requests: dict[str, Quantity] | None = None


class RuntimeRef(_RuntimeRef):  # type: ignore[misc, valid-type]
    api_group: Literal["trainer.kubeflow.org"] | None = Field(default=None, alias="apiGroup")
    kind: RuntimeKind | None = None
    name: Annotated[StrictStr, Field(min_length=1)]


class Trainer(_Trainer):  # type: ignore[misc, valid-type]
    num_nodes: Annotated[StrictInt, Field(ge=1, le=1000)] | None = Field(
        default=None, alias="numNodes", description="numNodes is the number of training nodes."
    )
    num_proc_per_node: Annotated[StrictInt, Field(ge=1)] | Literal["auto", "cpu", "gpu"] | None = Field(
        default=None, alias="numProcPerNode", description="numProcPerNode is the number of processes on every node."
    )
    resources_per_node: ResourceRequirements | None = Field(
        default=None, alias="resourcesPerNode", description="resourcesPerNode defines the compute resources of a node."
    )


class RuntimePatch(_Wire):
    """A change to the runtime for this job alone; its owner is `manager`. The shape inside is `pod_patch_error`'s."""

    manager: Annotated[StrictStr, Field(min_length=1)]
    time: datetime | None = None
    training_runtime_spec: dict[str, Any] | None = Field(default=None, alias="trainingRuntimeSpec")


class TrainJobSpec(_Wire):
    """What the user asked for. Only `suspend`, `activeDeadlineSeconds` and the time to live may change once it runs."""

    runtime_ref: RuntimeRef = Field(alias="runtimeRef", description="runtimeRef is the training runtime to use.")
    trainer: Trainer | None = Field(default=None, description="trainer defines the configuration of the trainer.")
    initializer: _Initializer | None = Field(  # type: ignore[valid-type]
        default=None, description="initializer downloads a dataset and a model before training."
    )
    runtime_patches: list[RuntimePatch] | None = Field(
        default=None, alias="runtimePatches", description="runtimePatches change the runtime for this job, by manager."
    )
    suspend: bool | None = Field(default=None, description="suspend stops the job's pods until it is false again.")
    active_deadline_seconds: Annotated[StrictInt, Field(ge=1)] | None = Field(
        default=None, alias="activeDeadlineSeconds", description="Seconds from start after which the job fails."
    )
    ttl_seconds_after_finished: Annotated[StrictInt, Field(ge=0)] | None = Field(
        default=None,
        alias="ttlSecondsAfterFinished",
        description="Seconds after its end until the job is deleted; by default the runtime's, else never.",
    )
    managed_by: Literal["trainer.kubeflow.org/trainjob-controller"] | None = Field(default=None, alias="managedBy")


class Admission(_Wire):
    """Millstream's own: what the scheduler said. Apart from `conditions`, which must stay empty while a job runs."""

    state: Literal["Waiting", "Queued", "Admitted", "Evicted"]
    reason: str | None = None
    message: str | None = None
    since: datetime | None = None
    generation: int | None = None
    id: str | None = None
    """Which admission of this job: a number that grows."""
    cluster_queue: str | None = Field(default=None, alias="clusterQueue")
    pod_sets: list[dict[str, Any]] | None = Field(default=None, alias="podSets")
    """For each pod set its count, flavors, node selector, tolerations and place, as they were assigned."""
    ready: bool | None = None
    """Whether the scheduler was told that all pods are ready."""
    counts: dict[str, int] | None = None
    """How many pods an elastic job told the scheduler to want now, by pod set."""


class Disruption(_Wire):
    """Millstream's own: the newest time that the cluster took a pod of the running attempt away."""

    job: str
    node: str
    reason: str
    message: str = ""
    time: datetime


class Recovery(_Wire):
    """Millstream's own: one time that the job went on after a failure, and the checkpoint's step it went on from.

    `restart` counts those in which all nodes began again; `pod` is the one that alone was made again.
    """

    time: datetime
    reason: str
    node: str = ""
    step: int | None = None
    restart: int | None = None
    pod: str | None = None


class Checkpoint(_Wire):
    """Millstream's own: the newest checkpoint that the program told of. `step` is the number of steps in it."""

    step: int
    uri: str = ""
    time: datetime | None = None


class RegisteredModel(_Wire):
    """Millstream's own: what the job's `model-registry://` URI (`asked`) was found to mean; it stays for the job."""

    asked: str
    version: str
    uri: str


class TrainJobStatus(_Wire):
    conditions: list[_Condition] | None = None  # type: ignore[valid-type]
    jobs_status: list[_JobStatus] | None = Field(default=None, alias="jobsStatus")  # type: ignore[valid-type]
    trainer_status: _TrainerStatus | None = Field(default=None, alias="trainerStatus")  # type: ignore[valid-type]
    observed_generation: int | None = Field(default=None, alias="observedGeneration")
    admission: Admission | None = None
    released: str | None = None
    """The last admission whose pods are gone."""
    environment: dict[str, str] | None = None
    started_at: datetime | None = Field(default=None, alias="startedAt")
    restarts: int | None = None
    """How often all nodes began again after a failure."""
    restarted_from: str | None = Field(default=None, alias="restartedFrom")
    disruption: Disruption | None = None
    recoveries: list[Recovery] | None = None
    steps: int | None = None
    """How many steps the program told to be done."""
    checkpoint: Checkpoint | None = None
    goodput: float | None = None
    """0..1: the part of the time since the first start that made steps which were kept."""
    work: dict[str, Any] | None = None
    """What goodput is counted from."""
    reported_at: datetime | None = Field(default=None, alias="reportedAt")
    runtime_ttl_seconds: int | None = Field(default=None, alias="runtimeTtlSeconds")
    """How long the runtime kept its finished jobs when this one ended."""
    registered_model: RegisteredModel | None = Field(default=None, alias="registeredModel")


class TrainJob(_Wire):
    api_version: Literal["trainer.kubeflow.org/v1alpha1"] = Field(alias="apiVersion")
    kind: Literal["TrainJob"]
    metadata: dict[str, Any] = Field(default_factory=dict)
    spec: TrainJobSpec
    status: TrainJobStatus | None = None


def pod_patch_error(patch: dict[str, Any]) -> str | None:
    """Why upstream's models, and with them the SDK, could not read a `trainingRuntimeSpec` patch; else None.

    Those models are also the list of what a patch may change: a field that they drop is refused, not applied.
    """
    model = upstream(PACKAGE, "trainer_v1alpha1_training_runtime_spec_patch", "TrainerV1alpha1TrainingRuntimeSpecPatch")
    if wrong := read_error(model, patch):
        return wrong
    dropped = next(_dropped(patch, model.from_dict(patch).to_dict(), ""), None)
    return f"{dropped} is nothing that a patch may change" if dropped else None


def _dropped(sent: Any, read: Any, where: str) -> Iterator[str]:
    """Paths of `sent` that are not in `read`."""
    if isinstance(sent, dict) and isinstance(read, dict):
        for key, value in sent.items():
            path = f"{where}.{key}" if where else str(key)
            if key not in read:
                yield from [] if value is None else [path]
            else:
                yield from _dropped(value, read[key], path)
    elif isinstance(sent, list) and isinstance(read, list):
        for index, (one, other) in enumerate(zip(sent, read, strict=False)):
            yield from _dropped(one, other, f"{where}[{index}]")


def read_error(model: Any, body: Any) -> str | None:
    """What `model.from_dict` (the call that upstream's clients make) says against `body`, in one line."""
    try:
        model.from_dict(body)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        return _first_line(error)
    return None


def _first_line(error: Exception) -> str:
    found = getattr(error, "errors", None)
    if not found:
        return f"{type(error).__name__}: {error}"
    first = found()[0]
    return f"{'.'.join(str(part) for part in first['loc'])} ({getattr(error, 'title', '')}): {first['msg']}"


KINDS = (TrainJob,)
