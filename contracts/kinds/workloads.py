"""Kueue's Workload and WorkloadPriorityClass (kueue.x-k8s.io/v1beta2); adds to upstream `status.scheduling` alone."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool, StrictInt, StrictStr

from contracts.kinds.quantity import Quantity
from contracts.kinds.queues import API_VERSION, Condition, DnsName, Wire


class TopologyRequest(Wire):
    required: StrictStr | None = None
    preferred: StrictStr | None = None
    unconstrained: StrictBool | None = None
    pod_set_slice_required_topology: StrictStr | None = Field(default=None, alias="podSetSliceRequiredTopology")
    pod_set_slice_size: StrictInt | None = Field(default=None, alias="podSetSliceSize")
    pod_set_group_name: StrictStr | None = Field(default=None, alias="podSetGroupName")


class PodSet(Wire):
    name: StrictStr = "main"
    count: Annotated[StrictInt, Field(ge=0)] = 1
    min_count: Annotated[StrictInt, Field(ge=1)] | None = Field(default=None, alias="minCount")
    template: dict[str, Any] = Field(description="A pod template that says what one of its pods asks for.")
    topology_request: TopologyRequest | None = Field(default=None, alias="topologyRequest")


class PriorityClassRef(Wire):
    group: Literal["kueue.x-k8s.io", "scheduling.k8s.io"]
    kind: Literal["WorkloadPriorityClass", "PriorityClass"]
    name: DnsName


class WorkloadSpec(Wire):
    """Written by the scheduler; its users may change `active`, `priority` and `maximumExecutionTimeSeconds`."""

    pod_sets: list[PodSet] = Field(default_factory=list, alias="podSets")
    queue_name: StrictStr | None = Field(default=None, alias="queueName")
    priority_class_ref: PriorityClassRef | None = Field(default=None, alias="priorityClassRef")
    priority: StrictInt | None = None
    active: StrictBool | None = None
    maximum_execution_time_seconds: Annotated[StrictInt, Field(ge=1)] | None = Field(
        default=None, alias="maximumExecutionTimeSeconds"
    )


class TopologyAssignment(Wire):
    levels: list[str]
    slices: list[dict[str, Any]] = []


class PodSetAssignment(Wire):
    name: str = "main"
    flavors: dict[str, str] | None = None
    resource_usage: dict[str, Quantity] | None = Field(default=None, alias="resourceUsage")
    count: int | None = None
    topology_assignment: TopologyAssignment | None = Field(default=None, alias="topologyAssignment")


class Admission(Wire):
    cluster_queue: str = Field(alias="clusterQueue")
    pod_set_assignments: list[PodSetAssignment] = Field(default_factory=list, alias="podSetAssignments")


class RequeueState(Wire):
    count: int | None = None
    requeue_at: datetime | None = Field(default=None, alias="requeueAt")


class CheckState(Wire):
    name: str
    state: Literal["Pending", "Ready", "Retry", "Rejected"]
    last_transition_time: datetime | None = Field(default=None, alias="lastTransitionTime")
    message: str = ""
    pod_set_updates: list[dict[str, Any]] | None = Field(default=None, alias="podSetUpdates")


class ReclaimablePod(Wire):
    name: str
    count: int


class WorkloadStatus(Wire):
    conditions: list[Condition] | None = None
    admission: Admission | None = None
    requeue_state: RequeueState | None = Field(default=None, alias="requeueState")
    admission_checks: list[CheckState] | None = Field(default=None, alias="admissionChecks")
    reclaimable_pods: list[ReclaimablePod] | None = Field(default=None, alias="reclaimablePods")
    accumulated_past_execution_time_seconds: int | None = Field(
        default=None, alias="accumulatedPastExecutionTimeSeconds"
    )
    scheduling_stats: dict[str, Any] | None = Field(default=None, alias="schedulingStats")
    scheduling: dict[str, Any] | None = None
    """Millstream's own: what the scheduler remembers of the workload, for itself alone."""


class Workload(Wire):
    api_version: API_VERSION = Field(alias="apiVersion")
    kind: Literal["Workload"]
    metadata: dict[str, Any] = Field(default_factory=dict)
    spec: WorkloadSpec = Field(default_factory=WorkloadSpec)
    status: WorkloadStatus | None = None


class WorkloadPriorityClass(Wire):
    api_version: API_VERSION = Field(alias="apiVersion")
    kind: Literal["WorkloadPriorityClass"]
    metadata: dict[str, Any] = Field(default_factory=dict)
    value: StrictInt = Field(description="The higher one goes first, and may preempt where its queue allows it.")
    description: StrictStr | None = None


KINDS = (Workload, WorkloadPriorityClass)
