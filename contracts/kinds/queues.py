"""Kueue's queues (kueue.x-k8s.io/v1beta2): ClusterQueue, LocalQueue, Cohort, as its clients and manifests write them.

What one field alone decides is checked here; what takes several of them or other objects is the scheduler's business.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr

from contracts.kinds.quantity import Quantity

GROUP, VERSION = "kueue.x-k8s.io", "v1beta2"
API_VERSION = Literal["kueue.x-k8s.io/v1beta2"]

DnsName = Annotated[
    StrictStr, Field(max_length=253, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
]
Stop = Literal["None", "Hold", "HoldAndDrain"]
Search = Literal["MayStopSearch", "TryNextFlavor"]


class Wire(BaseModel):
    """JSON names by alias."""

    model_config = ConfigDict(populate_by_name=True, protected_namespaces=())


class Condition(Wire):
    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str = ""
    message: str = ""
    observed_generation: int | None = Field(default=None, alias="observedGeneration")
    last_transition_time: datetime | None = Field(default=None, alias="lastTransitionTime")


class ResourceQuota(Wire):
    name: Annotated[StrictStr, Field(min_length=1)]
    nominal_quota: Quantity = Field(alias="nominalQuota", description="What is available to workloads at a time.")
    borrowing_limit: Quantity | None = Field(default=None, alias="borrowingLimit")
    lending_limit: Quantity | None = Field(default=None, alias="lendingLimit")


class FlavorQuotas(Wire):
    name: DnsName = Field(description="name of a ResourceFlavor")
    resources: Annotated[list[ResourceQuota], Field(min_length=1, max_length=64)]


class ResourceGroup(Wire):
    covered_resources: Annotated[list[StrictStr], Field(min_length=1, max_length=64)] = Field(alias="coveredResources")
    flavors: Annotated[list[FlavorQuotas], Field(min_length=1, max_length=64)]


class LabelSelectorRequirement(Wire):
    key: StrictStr
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: list[StrictStr] | None = None


class LabelSelector(Wire):
    match_labels: dict[str, StrictStr] | None = Field(default=None, alias="matchLabels")
    match_expressions: list[LabelSelectorRequirement] | None = Field(default=None, alias="matchExpressions")


class FlavorFungibility(Wire):
    when_can_borrow: Search | None = Field(default=None, alias="whenCanBorrow")
    when_can_preempt: Search | None = Field(default=None, alias="whenCanPreempt")
    preference: Literal["BorrowingOverPreemption", "PreemptionOverBorrowing"] | None = None


class BorrowWithinCohort(Wire):
    policy: Literal["Never", "LowerPriority"] | None = None
    max_priority_threshold: StrictInt | None = Field(default=None, alias="maxPriorityThreshold")


class Preemption(Wire):
    reclaim_within_cohort: Literal["Never", "LowerPriority", "Any"] | None = Field(
        default=None, alias="reclaimWithinCohort"
    )
    borrow_within_cohort: BorrowWithinCohort | None = Field(default=None, alias="borrowWithinCohort")
    within_cluster_queue: Literal["Never", "LowerPriority", "LowerOrNewerEqualPriority"] | None = Field(
        default=None, alias="withinClusterQueue"
    )


class CheckRule(Wire):
    name: Annotated[StrictStr, Field(min_length=1, max_length=316)]
    on_flavors: list[DnsName] | None = Field(default=None, alias="onFlavors")


class ChecksStrategy(Wire):
    admission_checks: Annotated[list[CheckRule], Field(min_length=1, max_length=64)] = Field(alias="admissionChecks")


class FairSharing(Wire):
    weight: Quantity | None = None


class ClusterQueueSpec(Wire):
    resource_groups: Annotated[list[ResourceGroup], Field(max_length=16)] | None = Field(
        default=None, alias="resourceGroups"
    )
    cohort_name: DnsName | None = Field(default=None, alias="cohortName")
    queueing_strategy: Literal["StrictFIFO", "BestEffortFIFO"] | None = Field(default=None, alias="queueingStrategy")
    namespace_selector: LabelSelector | None = Field(
        default=None, alias="namespaceSelector", description="Who may submit: {} lets all namespaces in, none nobody."
    )
    flavor_fungibility: FlavorFungibility | None = Field(default=None, alias="flavorFungibility")
    preemption: Preemption | None = None
    admission_checks_strategy: ChecksStrategy | None = Field(default=None, alias="admissionChecksStrategy")
    stop_policy: Stop | None = Field(default=None, alias="stopPolicy")
    fair_sharing: FairSharing | None = Field(default=None, alias="fairSharing")


class ResourceUsage(Wire):
    name: str
    total: Quantity = "0"
    borrowed: Quantity | None = None


class FlavorUsage(Wire):
    name: str
    resources: list[ResourceUsage] = []


class QueueStatus(Wire):
    conditions: list[Condition] | None = None
    pending_workloads: int | None = Field(default=None, alias="pendingWorkloads")
    reserving_workloads: int | None = Field(default=None, alias="reservingWorkloads")
    admitted_workloads: int | None = Field(default=None, alias="admittedWorkloads")
    flavors_reservation: list[FlavorUsage] | None = Field(default=None, alias="flavorsReservation")
    flavors_usage: list[FlavorUsage] | None = Field(default=None, alias="flavorsUsage")
    fair_sharing: dict[str, Any] | None = Field(default=None, alias="fairSharing")


class LocalQueueSpec(Wire):
    cluster_queue: DnsName = Field(alias="clusterQueue", description="clusterQueue that this queue leads to")
    stop_policy: Stop | None = Field(default=None, alias="stopPolicy")
    fair_sharing: FairSharing | None = Field(default=None, alias="fairSharing")


class CohortSpec(Wire):
    parent_name: DnsName | None = Field(default=None, alias="parentName")
    resource_groups: Annotated[list[ResourceGroup], Field(max_length=16)] | None = Field(
        default=None, alias="resourceGroups"
    )
    fair_sharing: FairSharing | None = Field(default=None, alias="fairSharing")


class _Object(Wire):
    api_version: API_VERSION = Field(alias="apiVersion")
    metadata: dict[str, Any] = Field(default_factory=dict)


class ClusterQueue(_Object):
    kind: Literal["ClusterQueue"]
    spec: ClusterQueueSpec = Field(default_factory=ClusterQueueSpec)
    status: QueueStatus | None = None


class LocalQueue(_Object):
    kind: Literal["LocalQueue"]
    spec: LocalQueueSpec
    status: QueueStatus | None = None


class Cohort(_Object):
    kind: Literal["Cohort"]
    spec: CohortSpec = Field(default_factory=CohortSpec)
    status: QueueStatus | None = None


KINDS = (ClusterQueue, LocalQueue, Cohort)
