"""What the scheduler says about the workloads of any kind, version 1: only optional fields are ever added here."""

from typing import Any, ClassVar

from pydantic import Field

from contracts.messages import Name, ObjectEvent, Value


class Domain(Value):
    """So many pods of a set belong to the node, or group of nodes, whose labels have these values."""

    values: list[str] = Field(examples=[["rack-1", "node-7"]])
    count: int = Field(ge=1)


class Assignment(Value):
    """What one pod set was given: how many pods may run, of which flavor of each resource, and where."""

    name: Name = Field(examples=["node"])
    count: int = Field(ge=1, examples=[2])
    flavors: dict[str, str] = Field(default={}, examples=[{"cpu": "default-flavor"}])
    node_selector: dict[str, str] = Field(default={}, examples=[{"node.kubernetes.io/lifecycle": "spot"}])
    tolerations: list[dict[str, Any]] = Field(default=[], examples=[[{"key": "spot", "operator": "Exists"}]])
    topology_levels: list[str] = Field(default=[], examples=[["example.com/rack", "kubernetes.io/hostname"]])
    """The node labels that `values` of each domain are of."""
    topology: list[Domain] = []
    """Where the pods go, the first pods to the first domain; empty where the place does not matter."""


class WorkloadAdmitted(ObjectEvent):
    """The workload has its quota: its owner may create pods. `kind` is the Kubernetes kind, such as TrainJob."""

    type: ClassVar[str] = "scheduling.workload.admitted.v1"
    kind: Name
    generation: int = 0
    """That of the request which this answers: an answer to an older wish counts no more."""
    admission: str | None = Field(default=None, examples=["1"])
    """A decimal number that is greater at every admission of this workload."""
    revision: int = Field(default=0, ge=0)
    """Greater each time that the same admission is told with other amounts or places: the greatest counts, in whatever
    order they come."""
    cluster_queue: str | None = Field(default=None, examples=["team-cluster-queue"])
    pod_sets: list[Assignment] = []


class WorkloadQueued(ObjectEvent):
    """The workload waits. `position` counts from 1 within its queue."""

    type: ClassVar[str] = "scheduling.workload.queued.v1"
    kind: Name
    position: int = Field(ge=1)
    reason: str
    cluster_queue: str | None = Field(default=None, examples=["team-cluster-queue"])


class WorkloadEvicted(ObjectEvent):
    """The workload has to give its quota back: its owner stops its pods and, when the last is gone, submits it again
    with `after`. Until then nobody else gets what it held."""

    type: ClassVar[str] = "scheduling.workload.evicted.v1"
    kind: Name
    admission: str = Field(examples=["1"])
    reason: str = Field(examples=["Preempted"])
    """Preempted, PodsReadyTimeout, QueueStopped, AdmissionCheck, NodeFailure, WorkloadDeleted, ...: a word, no
    enumeration. After Deactivated and MaximumExecutionTimeExceeded its owner suspends it, and says so by a submit with
    `suspended`; an admission that comes all the same resumes it: somebody made its Workload active again."""
    message: str = ""
    generation: int = 0


class TriggerFired(ObjectEvent):
    """A trigger has asked for an object to be made. `name` and `uid` are the trigger's."""

    type: ClassVar[str] = "scheduling.trigger.fired.v1"
    key: str = Field(examples=["2026-11-22T03:00:00Z"])
    """The scheduled time, or source and id of the event."""
    made: Name
    made_kind: Name = Field(examples=["TrainJob"])
