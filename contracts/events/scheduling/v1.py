"""What the scheduler says about the workloads of any kind, version 1: only optional fields are ever added here."""

from typing import ClassVar

from pydantic import Field

from contracts.messages import Name, ObjectEvent


class WorkloadAdmitted(ObjectEvent):
    """The workload has its quota: its owner may create pods. `kind` is the Kubernetes kind, such as TrainJob."""

    type: ClassVar[str] = "scheduling.workload.admitted.v1"
    kind: Name
    generation: int = 0
    """That of the request which this answers: an answer to an older wish counts no more."""


class WorkloadQueued(ObjectEvent):
    """The workload waits. `position` counts from 1 within its queue."""

    type: ClassVar[str] = "scheduling.workload.queued.v1"
    kind: Name
    position: int = Field(ge=1)
    reason: str
