"""The kinds that the scheduler serves: Kueue's names, columns and rules."""

from collections.abc import Callable, Sequence
from typing import Any

from contracts.kinds import flavors, queues, workloads
from contracts.kinds.queues import GROUP, VERSION
from libs.base.errors import Cause, Invalid
from libs.resources import Admission, Column, Kind
from services.scheduler.domain import rules

Object = dict[str, Any]
Causes = Callable[[Object, Object | None], Sequence[Cause]]

AGE = Column("Age", "date", ".metadata.creationTimestamp")
PENDING = Column("Pending Workloads", "integer", ".status.pendingWorkloads", description="workloads that wait")
ADMITTED = ".status.admittedWorkloads"


def _is_true(type: str) -> Callable[[Object, Any], str]:
    def told(obj: Object, now: Any) -> str:
        found = (obj.get("status") or {}).get("conditions") or []
        return next((str(c["status"]) for c in found if c["type"] == type), "")

    return told


def _kind(
    name: str, plural: str, model: Any, causes: Causes, defaulted: Callable[[Object], Object] | None = None, **more: Any
) -> Kind:
    def admit(obj: Object, old: Object | None, admission: Admission) -> Object:
        stored = defaulted(obj) if defaulted else obj
        if found := causes(stored, old):
            meta = obj.get("metadata") or {}
            raise Invalid.about(f"{plural}.{GROUP}", meta.get("name") or meta.get("generateName") or "", causes=found)
        return stored

    names = {"group": GROUP, "version": VERSION, "kind": name, "plural": plural, "singular": name.lower()}
    return Kind(**names, model=model, admit=admit, **{"categories": ("kueue",), **more})


def _nothing(obj: Object, old: Object | None) -> Sequence[Cause]:
    return ()


CLUSTER_QUEUE = _kind(
    "ClusterQueue",
    "clusterqueues",
    queues.ClusterQueue,
    lambda obj, old: rules.queue_causes(obj),
    rules.defaulted_queue,
    namespaced=False,
    short_names=("cq",),
    description="Quotas of resources by flavor, and who may use them in what order.",
    columns=(
        Column("Cohort", "string", ".spec.cohortName", description="with whom it shares quota"),
        Column("Strategy", "string", ".spec.queueingStrategy", priority=1),
        PENDING,
        Column("Admitted Workloads", "integer", ADMITTED, priority=1),
    ),
)
LOCAL_QUEUE = _kind(
    "LocalQueue",
    "localqueues",
    queues.LocalQueue,
    rules.local_queue_causes,
    short_names=("queue", "queues", "lq"),
    description="The door of a namespace to a ClusterQueue.",
    columns=(
        Column("ClusterQueue", "string", ".spec.clusterQueue", description="where it leads"),
        PENDING,
        Column("Admitted Workloads", "integer", ADMITTED),
    ),
)
COHORT = _kind(
    "Cohort",
    "cohorts",
    queues.Cohort,
    lambda obj, old: rules.cohort_causes(obj),
    namespaced=False,
    description="Queues, and other cohorts, that lend each other what they do not use.",
    columns=(Column("Parent", "string", ".spec.parentName"), AGE),
)
FLAVOR = _kind(
    "ResourceFlavor",
    "resourceflavors",
    flavors.ResourceFlavor,
    lambda obj, old: rules.flavor_causes(obj),
    namespaced=False,
    short_names=("flavor", "flavors", "rf"),
    status_subresource=False,
    description="A sort of machine, by the labels and taints of its nodes.",
    columns=(AGE,),
)
TOPOLOGY = _kind(
    "Topology",
    "topologies",
    flavors.Topology,
    rules.topology_causes,
    namespaced=False,
    status_subresource=False,
    description="How nodes are wired, from the widest to the narrowest level, as labels of nodes.",
    columns=(AGE,),
)
CHECK = _kind(
    "AdmissionCheck",
    "admissionchecks",
    flavors.AdmissionCheck,
    _nothing,
    namespaced=False,
    description="Something that has to say yes, besides quota, before a workload starts.",
    columns=(AGE,),
)
PRIORITY_CLASS = _kind(
    "WorkloadPriorityClass",
    "workloadpriorityclasses",
    workloads.WorkloadPriorityClass,
    _nothing,
    namespaced=False,
    status_subresource=False,
    description="A name for a priority in the queue.",
    columns=(Column("Value", "integer", ".value"), AGE),
)
WORKLOAD = _kind(
    "Workload",
    "workloads",
    workloads.Workload,
    rules.workload_causes,
    short_names=("wl",),
    description="What one job, or any other object that needs quota, is to the scheduler.",
    columns=(
        Column("Queue", "string", ".spec.queueName", description="the LocalQueue that it was put into"),
        Column("Reserved in", "string", ".status.admission.clusterQueue", description="whose quota it holds"),
        Column("Admitted", "string", _is_true("Admitted"), description="whether it may run"),
        Column("Finished", "string", _is_true("Finished")),
        AGE,
    ),
)
KINDS = (CLUSTER_QUEUE, LOCAL_QUEUE, COHORT, FLAVOR, TOPOLOGY, CHECK, PRIORITY_CLASS, WORKLOAD)
