"""What the trainer says about its TrainJobs, version 1: only optional fields are ever added here."""

from typing import ClassVar

from pydantic import AwareDatetime, Field

from contracts.messages import AppliedEvent, FormatName, Name, Number, ObjectEvent, RejectedEvent, Value


class ModelArtifact(Value):
    """A trained model as it lies in a store. `version` is the author's word; without one the registry counts."""

    name: Name
    uri: str = Field(min_length=1)
    format: FormatName
    version: str | None = None


class TrainJobCreated(ObjectEvent):
    """A job was accepted. `resources` are Kubernetes quantities that each node asks for, as far as the job itself says.

    Said once. What the job asks for in full, its runtime considered, follows in `scheduling.workload.submit.v1`.
    """

    type: ClassVar[str] = "training.trainjob.created.v1"
    resources: dict[str, str] = Field(default={}, examples=[{"cpu": "1", "memory": "1Gi"}])
    num_nodes: int = Field(default=1, ge=1)
    priority: int = 0
    labels: dict[str, str] = {}
    suspended: bool = False
    generation: int = 0
    """The object's `metadata.generation` when this was true: the higher one holds."""
    dataset_uri: str | None = None


class TrainJobSuspended(ObjectEvent):
    """The user asked the job to give its workloads back."""

    type: ClassVar[str] = "training.trainjob.suspended.v1"
    generation: int = 0


class TrainJobResumed(ObjectEvent):
    """A suspended job wants to run again and waits for admission."""

    type: ClassVar[str] = "training.trainjob.resumed.v1"
    generation: int = 0


class TrainJobStarted(ObjectEvent):
    """The job's first pod runs."""

    type: ClassVar[str] = "training.trainjob.started.v1"


class TrainJobRestarted(ObjectEvent):
    """All nodes begin again after a failure. `reason` is one CamelCase word, `step` that of the checkpoint, if any."""

    type: ClassVar[str] = "training.trainjob.restarted.v1"
    reason: str = Field(examples=["Killed"])
    message: str = ""
    node: str = ""
    restarts: int = Field(ge=1)
    step: int | None = None


class TrainJobSucceeded(ObjectEvent):
    """The job is done. With `register` the registry records `model` as a version, with all the rest as its lineage."""

    type: ClassVar[str] = "training.trainjob.succeeded.v1"
    model: ModelArtifact | None = None
    metrics: dict[str, Number] = Field(default={}, examples=[{"accuracy": 0.97, "loss": 0.11}])
    dataset_uri: str | None = None
    code_digest: str | None = None
    environment: dict[str, str] = Field(default={}, examples=[{"python": "3.11", "torch": "2.13.0"}])
    runtime: str | None = None
    started_at: AwareDatetime | None = None
    finished_at: AwareDatetime | None = None
    model_uri: str | None = None
    """Where the job was to keep its model, also where that has no name by which it is registered."""
    register_model: bool = Field(default=False, alias="register")  # ABCMeta has a `register`
    serve_as: str | None = None


class TrainJobFailed(ObjectEvent):
    """The job is over without success. `reason` is one CamelCase word, `message` a sentence for people."""

    type: ClassVar[str] = "training.trainjob.failed.v1"
    reason: str
    message: str = ""


class TrainJobDeleted(ObjectEvent):
    """The job and all its workloads are gone. Also the answer to a delete command."""

    type: ClassVar[str] = "training.trainjob.deleted.v1"


class TrainJobApplied(AppliedEvent):
    """The answer to an apply command that was carried out."""

    type: ClassVar[str] = "training.trainjob.applied.v1"


class TrainJobRejected(RejectedEvent):
    """The answer to an apply or delete command that was refused."""

    type: ClassVar[str] = "training.trainjob.rejected.v1"


class LegacyJobCreated(ObjectEvent):
    """A job of one of the Training Operator's kinds was accepted; `kind` tells which (PyTorchJob, TFJob, ...)."""

    type: ClassVar[str] = "training.legacyjob.created.v1"
    kind: Name = Field(examples=["PyTorchJob"])
    replicas: dict[str, int] = Field(default={}, examples=[{"Master": 1, "Worker": 1}])
    labels: dict[str, str] = {}


class LegacyJobStarted(ObjectEvent):
    """The job's first pod runs."""

    type: ClassVar[str] = "training.legacyjob.started.v1"
    kind: Name = Field(examples=["PyTorchJob"])


class LegacyJobSucceeded(ObjectEvent):
    """The replicas that decide have ended well."""

    type: ClassVar[str] = "training.legacyjob.succeeded.v1"
    kind: Name = Field(examples=["PyTorchJob"])
    started_at: AwareDatetime | None = None
    finished_at: AwareDatetime | None = None


class LegacyJobFailed(ObjectEvent):
    """The job is over without success. `reason` is one CamelCase word, `message` a sentence for people."""

    type: ClassVar[str] = "training.legacyjob.failed.v1"
    kind: Name = Field(examples=["PyTorchJob"])
    reason: str
    message: str = ""


class LegacyJobDeleted(ObjectEvent):
    """The job and all its pods are gone. Also the answer to a delete command."""

    type: ClassVar[str] = "training.legacyjob.deleted.v1"
    kind: Name = Field(examples=["PyTorchJob"])


class LegacyJobApplied(AppliedEvent):
    """The answer to an apply command that was carried out."""

    type: ClassVar[str] = "training.legacyjob.applied.v1"


class LegacyJobRejected(RejectedEvent):
    """The answer to an apply or delete command that was refused."""

    type: ClassVar[str] = "training.legacyjob.rejected.v1"
