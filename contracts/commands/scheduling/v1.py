"""How whoever owns pods asks the scheduler for quota, version 1: only optional fields are ever added here.

Any service, and any other system, may queue a workload of any kind with these three. They are safe to say again, and
to hear late: the end is final, and of two wishes that of the higher `generation` holds.
"""

from typing import Any, ClassVar, Literal

from pydantic import AwareDatetime, Field

from contracts.kinds.quantity import QuantityText
from contracts.messages import Command, Name, ObjectCommand, Value

Mode = Literal["required", "preferred", "unconstrained"]


class Topology(Value):
    """How near to one another a set's pods have to be. `level` is a node label, such as `kubernetes.io/hostname`."""

    mode: Mode
    level: str | None = Field(default=None, examples=["cloud.provider.com/topology-rack"])
    slice_size: int | None = Field(default=None, ge=1, examples=[2])
    """So many pods each, one after another, belong into one domain of `slice_level`."""
    slice_level: str | None = Field(default=None, examples=["kubernetes.io/hostname"])


class PodSet(Value):
    """Pods that are all alike. `requests` are Kubernetes quantities for each of them."""

    name: Name = Field(examples=["node"])
    count: int = Field(ge=1, examples=[2])
    min_count: int | None = Field(default=None, ge=1, examples=[1])
    """It may start with fewer pods than `count`, but no fewer than these. None for all or nothing."""
    requests: dict[str, QuantityText] = Field(default={}, examples=[{"cpu": "1", "memory": "1Gi"}])
    node_selector: dict[str, str] = Field(default={}, examples=[{"kubernetes.io/arch": "amd64"}])
    tolerations: list[dict[str, Any]] = Field(default=[], examples=[[{"key": "spot", "operator": "Exists"}]])
    topology: Topology | None = None


class SubmitWorkload(ObjectCommand):
    """Let it start, or, suspended, let it rest. Its owner has no pods but those of the admission that it was told of.

    Said again from time to time while it waits, so that a lost letter strands nothing. Answered by admitted or queued.
    """

    type: ClassVar[str] = "scheduling.workload.submit.v1"
    api_version: str = Field(default="", examples=["trainer.kubeflow.org/v1alpha1"])
    queue: str | None = Field(default=None, examples=["team-queue"])
    """The LocalQueue of its namespace (label `kueue.x-k8s.io/queue-name`); None for the default queue."""
    priority_class: str | None = Field(default=None, examples=["high"])
    """A WorkloadPriorityClass (label `kueue.x-k8s.io/priority-class`), which counts before `priority`."""
    priority: int = 0
    pod_sets: list[PodSet] = []
    """Empty as long as its owner cannot tell; then it waits."""
    suspended: bool = False
    generation: int = Field(default=0, ge=0)
    """The object's `metadata.generation` when this was wished."""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    max_execution_s: int | None = Field(default=None, ge=1, examples=[3600])
    after: str | None = Field(default=None, examples=["1"])
    """The last pod of this admission is gone: what it held may be given to others."""
    owners: list[dict[str, str]] | None = Field(
        default=None, examples=[[{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "1"}]]
    )
    """The objects with which its Workload goes, if it is none that is served itself; None for itself."""


class ReportWorkload(ObjectCommand):
    """How the pods of an admission fare. What is said of another admission than the present one counts for nothing."""

    type: ClassVar[str] = "scheduling.workload.report.v1"
    admission: str = Field(examples=["1"])
    ready: bool
    """All its pods are ready."""
    reclaimable: dict[str, int] = Field(default={}, examples=[{"node": 1}])
    """By pod set, how many pods are over and need no quota any more."""
    counts: dict[str, int] = Field(default={}, examples=[{"node": 3}])
    """By pod set, how many pods an elastic workload wants from now on."""


class FinishWorkload(ObjectCommand):
    """It is over and its pods are, or it was deleted and they are gone: all that it held is free, for good."""

    type: ClassVar[str] = "scheduling.workload.finish.v1"
    reason: Literal["Succeeded", "Failed", "Deleted"]
    message: str = ""


class FireTrigger(Command):
    """Make what the trigger makes, once for each `key`: the trigger's own clock and events say it, and so may anybody
    who wants it fired now."""

    type: ClassVar[str] = "scheduling.trigger.fire.v1"
    name: Name
    key: str = Field(min_length=1, max_length=1024, examples=["2026-11-22T03:00:00Z"])
    scheduled: AwareDatetime | None = None
    """The time of its schedule for which it fires."""
    event: dict[str, Any] | None = None
    """The CloudEvent for which it fires."""
