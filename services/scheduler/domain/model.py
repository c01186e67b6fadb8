"""The words of the scheduler's decision as frozen values: queues, cohorts, flavors, nodes, workloads, decisions;
nothing here knows a store, a clock or the wire.

Units: every amount is an int, cpu in milli-cores, memory in bytes, anything else in whole pieces (see quantities.py).
Every time is an int of milliseconds. What a field means is Kueue's documentation of the field of the same name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

Amounts = Mapping[str, int]
"""Resource -> amount."""


class Strategy(StrEnum):
    """StrictFIFO: the head holds its queue. BestEffortFIFO: whoever cannot start lets the next one try."""

    STRICT_FIFO = "StrictFIFO"
    BEST_EFFORT_FIFO = "BestEffortFIFO"


class Stop(StrEnum):
    """Hold: nobody new is let in. HoldAndDrain: those inside are evicted too."""

    NONE = "None"
    HOLD = "Hold"
    HOLD_AND_DRAIN = "HoldAndDrain"


class Policy(StrEnum):
    """Whom a workload may preempt: a word of `preemption.*` of a ClusterQueue."""

    NEVER = "Never"
    LOWER_PRIORITY = "LowerPriority"
    LOWER_OR_NEWER_EQUAL_PRIORITY = "LowerOrNewerEqualPriority"
    ANY = "Any"


class Fungibility(StrEnum):
    """What to do at a flavor that would do, but only by borrowing or by preemption."""

    STOP = "MayStopSearch"
    TRY_NEXT = "TryNextFlavor"


class FairStrategy(StrEnum):
    """When the smaller share may preempt the larger one; applied in the order given, each next one only if needed."""

    FINAL_SHARE = "LessThanOrEqualToFinalShare"
    INITIAL_SHARE = "LessThanInitialShare"


class CheckState(StrEnum):
    PENDING = "Pending"
    READY = "Ready"
    RETRY = "Retry"
    REJECTED = "Rejected"


class Reason(StrEnum):
    """Why a workload lost its admission."""

    PREEMPTED = "Preempted"
    PODS_READY_TIMEOUT = "PodsReadyTimeout"
    DEACTIVATED = "Deactivated"
    QUEUE_STOPPED = "QueueStopped"
    ADMISSION_CHECK = "AdmissionCheck"
    MAXIMUM_EXECUTION_TIME = "MaximumExecutionTimeExceeded"
    NODE_FAILURE = "NodeFailure"
    DELETED = "WorkloadDeleted"


@dataclass(frozen=True)
class Taint:
    key: str
    value: str = ""
    effect: str = "NoSchedule"


@dataclass(frozen=True)
class Toleration:
    """As in a pod: an empty key with `Exists` tolerates everything, an empty effect every effect."""

    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""


@dataclass(frozen=True)
class Requirement:
    """One line of a label selector; `operator` is In, NotIn, Exists or DoesNotExist."""

    key: str
    operator: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class ResourceFlavor:
    """A kind of machine: `node_labels` say which, `node_taints` who is kept out, `topology` how they are wired."""

    name: str
    node_labels: Mapping[str, str] = field(default_factory=dict)
    node_taints: tuple[Taint, ...] = ()
    tolerations: tuple[Toleration, ...] = ()
    topology: str | None = None


@dataclass(frozen=True)
class Quota:
    """`borrowing_limit` None: as much as the cohort has; `lending_limit` None: all that is not used."""

    nominal: int
    borrowing_limit: int | None = None
    lending_limit: int | None = None


@dataclass(frozen=True)
class FlavorQuotas:
    flavor: str
    resources: Mapping[str, Quota]


@dataclass(frozen=True)
class ResourceGroup:
    """A pod set takes all `resources` of a group from one of its flavors, tried in this order."""

    resources: tuple[str, ...]
    flavors: tuple[FlavorQuotas, ...]


@dataclass(frozen=True)
class Preemption:
    """`borrow_within_cohort` counts without fair sharing only; `max_priority_threshold` belongs to it."""

    within_cluster_queue: Policy = Policy.NEVER
    reclaim_within_cohort: Policy = Policy.NEVER
    borrow_within_cohort: Policy = Policy.NEVER
    max_priority_threshold: int | None = None


@dataclass(frozen=True)
class FlavorFungibility:
    """`prefer_preemption`: among flavors that would all do, preempting beats borrowing."""

    when_can_borrow: Fungibility = Fungibility.STOP
    when_can_preempt: Fungibility = Fungibility.TRY_NEXT
    prefer_preemption: bool = False


@dataclass(frozen=True)
class CheckRule:
    """An AdmissionCheck that must be Ready, for the given flavors only, or for all if none are given."""

    name: str
    flavors: tuple[str, ...] = ()


@dataclass(frozen=True)
class ClusterQueue:
    """`namespaces`: the namespace selector; None lets nobody in, no requirements let everybody in.
    `fair_weight` is in thousandths; 0 borrows only what nobody else wants."""

    name: str
    resource_groups: tuple[ResourceGroup, ...] = ()
    cohort: str = ""
    strategy: Strategy = Strategy.BEST_EFFORT_FIFO
    preemption: Preemption = Preemption()
    fungibility: FlavorFungibility = FlavorFungibility()
    fair_weight: int = 1000
    stop: Stop = Stop.NONE
    namespaces: tuple[Requirement, ...] | None = ()
    checks: tuple[CheckRule, ...] = ()


@dataclass(frozen=True)
class LocalQueue:
    namespace: str
    name: str
    cluster_queue: str
    stop: Stop = Stop.NONE


@dataclass(frozen=True)
class Cohort:
    """A cohort that queues name but nobody defined is one with nothing of its own and no parent."""

    name: str
    parent: str = ""
    resource_groups: tuple[ResourceGroup, ...] = ()
    fair_weight: int = 1000


@dataclass(frozen=True)
class Topology:
    """`levels`: node labels from the widest to the narrowest; the last one is usually kubernetes.io/hostname."""

    name: str
    levels: tuple[str, ...]


@dataclass(frozen=True)
class Node:
    """`used`: what pods outside the scheduler's books take there."""

    name: str
    labels: Mapping[str, str]
    capacity: Amounts
    taints: tuple[Taint, ...] = ()
    ready: bool = True
    used: Amounts = field(default_factory=dict)


@dataclass(frozen=True)
class TopologyRequest:
    """`mode` is required, preferred or unconstrained; slices of `slice_size` pods each stay within one `slice_level`.
    Pod sets of one `group` are placed in the same domain."""

    mode: str
    level: str = ""
    slice_size: int | None = None
    slice_level: str | None = None
    group: str | None = None


@dataclass(frozen=True)
class PodSet:
    """`requests` are those of one pod. With `min_count` fewer pods than `count` will do."""

    name: str
    count: int
    requests: Amounts
    min_count: int | None = None
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Toleration, ...] = ()
    topology: TopologyRequest | None = None


@dataclass(frozen=True)
class Domain:
    """`count` pods in the domain with these labels' `values` (of the assignment's `topology_levels`)."""

    values: tuple[str, ...]
    count: int


@dataclass(frozen=True)
class Assignment:
    """What one pod set got. `node_selector` and `tolerations` are the flavors', to be added to the pods' own."""

    name: str
    count: int
    flavors: Mapping[str, str]
    requests: Amounts
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Toleration, ...] = ()
    topology: tuple[Domain, ...] = ()
    topology_levels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Admission:
    """Quota that is held. `admitted_at` is None while admission checks are open, `ready_at` until all pods are ready.
    `evicted` is set while its pods are being stopped: the quota is held until the owner says that they are gone."""

    id: str
    cluster_queue: str
    assignments: tuple[Assignment, ...]
    reserved_at: int
    admitted_at: int | None = None
    ready_at: int | None = None
    evicted: Reason | None = None


@dataclass(frozen=True)
class Pledge:
    """Quota kept for a waiting workload while the workloads `awaits` (uids), evicted for its sake, are leaving."""

    admission: Admission
    awaits: tuple[str, ...]


@dataclass(frozen=True)
class Workload:
    """One gang of pods that starts whole or not at all.

    `arrival` orders equals and never changes while the workload lives (any growing number; ties go by uid).
    `queue` is a LocalQueue of `namespace`; empty means the default queue (see Rules).
    `active` false: its user or the scheduler put it aside. `deleted`: its user deleted its Workload.
    `reclaimable`: pods of a pod set that are over and need no quota any more; `counts`: pods an elastic one wants now.
    `requeue_at`: earliest time of the next try; `requeues`: tries that failed because pods did not become ready.
    `outside_evictions`: how often a workload of another queue preempted it (see preempt.py: it bounds all evictions).
    """

    uid: str
    namespace: str = ""
    name: str = ""
    kind: str = ""
    queue: str = ""
    pod_sets: tuple[PodSet, ...] = ()
    priority: int = 0
    arrival: int = 0
    active: bool = True
    deleted: bool = False
    suspended: bool = False
    max_execution_ms: int | None = None
    ran_ms: int = 0
    admission: Admission | None = None
    pledge: Pledge | None = None
    checks: Mapping[str, CheckState] = field(default_factory=dict)
    reclaimable: Mapping[str, int] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    requeue_at: int = 0
    requeues: int = 0
    outside_evictions: int = 0


@dataclass(frozen=True)
class Rules:
    """What holds for the whole scheduler. `default_queue`: the ClusterQueue of workloads that name no queue.
    No `pods_ready_ms`: pods may take for ever to become ready.
    After the n-th failed try the next waits `requeue_base_ms` * 2^(n-1), at most `requeue_max_ms`;
    after `requeue_limit` tries the workload is deactivated."""

    default_queue: str = "default"
    fair_sharing: bool = False
    fair_strategies: tuple[FairStrategy, ...] = (FairStrategy.FINAL_SHARE, FairStrategy.INITIAL_SHARE)
    pods_ready_ms: int | None = None
    requeue_base_ms: int = 60_000
    requeue_max_ms: int = 3_600_000
    requeue_limit: int | None = None


@dataclass(frozen=True)
class Reserve:
    """Quota is held from now on; it starts when its admission checks are ready."""

    uid: str
    admission: Admission


@dataclass(frozen=True)
class Admit:
    """It may start: with new quota, or with that of an earlier Reserve whose checks are ready now."""

    uid: str
    admission: Admission

    @property
    def assignments(self) -> tuple[Assignment, ...]:
        return self.admission.assignments


@dataclass(frozen=True)
class Update:
    """It goes on running with other counts or on other nodes; `message` says why."""

    uid: str
    admission: Admission
    message: str


@dataclass(frozen=True)
class Evict:
    """`by`: the uid of the workload it makes room for, if any. `requeue_at`: when it may try again;
    `deactivate`: not before its user says so. `outside`: the one it makes room for is of another queue."""

    uid: str
    reason: Reason
    message: str
    by: str | None = None
    requeue_at: int = 0
    deactivate: bool = False
    outside: bool = False


@dataclass(frozen=True)
class Queue:
    """It waits; `position` counts from 1. `pledge`: the room that is kept for it while others leave for its sake.
    `again`: somebody started beside it in this cycle, whom it may be able to preempt in a later one."""

    uid: str
    position: int
    reason: str
    pledge: Pledge | None = None
    again: bool = False


@dataclass(frozen=True)
class Inadmissible:
    """It cannot start whoever finishes, as things are configured: no such queue, too small a quota, it is stopped."""

    uid: str
    reason: str


Decision = Reserve | Admit | Update | Evict | Queue | Inadmissible
