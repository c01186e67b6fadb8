"""The Training Operator's jobs (kubeflow.org/v1) as its client sends and reads them; adds to upstream only in `status`.

Six kinds of one build: replica specs by role, a run policy and a little of their own. Pod templates are checked by
upstream's models, which are opened at the first write of a job, not at import.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr

from contracts.kinds.quantity import Quantity
from contracts.kinds.trainjob import PACKAGE, Admission, read_error
from contracts.kinds.upstream import upstream

GROUP, VERSION = "kubeflow.org", "v1"
MANAGER = "kubeflow.org/training-operator"

Count = Annotated[StrictInt, Field(ge=0)]
Positive = Annotated[StrictInt, Field(ge=1, le=1000)]


class _Wire(BaseModel):
    model_config = ConfigDict(populate_by_name=True, protected_namespaces=())


class ReplicaSpec(_Wire):
    """The pods of one role."""

    replicas: Annotated[StrictInt, Field(ge=0, le=1000)] | None = Field(
        default=None, description="replicas is the number of pods of this role (1)."
    )
    template: dict[str, Any] = Field(description="template is the pod that each replica runs.")
    restart_policy: Literal["Always", "OnFailure", "Never", "ExitCode"] | None = Field(
        default=None,
        alias="restartPolicy",
        description="restartPolicy of the replicas; ExitCode restarts after 128 to 255 and fails the job otherwise.",
    )


class SchedulingPolicy(_Wire):
    min_available: Count | None = Field(default=None, alias="minAvailable")
    min_resources: dict[str, Quantity] | None = Field(default=None, alias="minResources")
    priority_class: StrictStr | None = Field(default=None, alias="priorityClass")
    queue: StrictStr | None = None
    schedule_timeout_seconds: Count | None = Field(default=None, alias="scheduleTimeoutSeconds")


class RunPolicy(_Wire):
    """How the job as a whole lives and ends."""

    clean_pod_policy: Literal["All", "Running", "None", ""] | None = Field(
        default=None,
        alias="cleanPodPolicy",
        description="cleanPodPolicy says which pods go when the job is over: those that still run, all or none.",
    )
    ttl_seconds_after_finished: Count | None = Field(default=None, alias="ttlSecondsAfterFinished")
    active_deadline_seconds: Annotated[StrictInt, Field(ge=1)] | None = Field(
        default=None, alias="activeDeadlineSeconds", description="Seconds from start after which the job fails."
    )
    backoff_limit: Count | None = Field(
        default=None, alias="backoffLimit", description="backoffLimit is the number of restarts before the job fails."
    )
    scheduling_policy: SchedulingPolicy | None = Field(default=None, alias="schedulingPolicy")
    suspend: StrictBool | None = Field(default=None, description="suspend removes the job's pods until it is false.")
    managed_by: StrictStr | None = Field(default=None, alias="managedBy")


class RendezvousConf(_Wire):
    key: StrictStr | None = None
    value: StrictStr | None = None


class ElasticPolicy(_Wire):
    """What torchrun is told of a changing number of workers."""

    min_replicas: Positive | None = Field(default=None, alias="minReplicas")
    max_replicas: Positive | None = Field(default=None, alias="maxReplicas")
    max_restarts: Count | None = Field(default=None, alias="maxRestarts")
    n_proc_per_node: Positive | None = Field(default=None, alias="nProcPerNode")
    rdzv_backend: Literal["c10d", "etcd", "etcd-v2"] | None = Field(default=None, alias="rdzvBackend")
    rdzv_conf: list[RendezvousConf] | None = Field(default=None, alias="rdzvConf")
    rdzv_host: StrictStr | None = Field(default=None, alias="rdzvHost")
    rdzv_id: StrictStr | None = Field(default=None, alias="rdzvId")
    rdzv_port: Annotated[StrictInt, Field(ge=1, le=65535)] | None = Field(default=None, alias="rdzvPort")
    standalone: StrictBool | None = None
    metrics: list[dict[str, Any]] | None = None


class PaddleElasticPolicy(_Wire):
    min_replicas: Positive | None = Field(default=None, alias="minReplicas")
    max_replicas: Positive | None = Field(default=None, alias="maxReplicas")
    max_restarts: Count | None = Field(default=None, alias="maxRestarts")
    metrics: list[dict[str, Any]] | None = None


class JobCondition(_Wire):
    type: StrictStr
    status: Literal["True", "False", "Unknown"]
    reason: StrictStr | None = None
    message: StrictStr | None = None
    last_update_time: datetime | None = Field(default=None, alias="lastUpdateTime")
    last_transition_time: datetime | None = Field(default=None, alias="lastTransitionTime")


class ReplicaStatus(_Wire):
    active: int | None = None
    succeeded: int | None = None
    failed: int | None = None
    selector: str | None = None
    label_selector: dict[str, Any] | None = Field(default=None, alias="labelSelector")


class LegacyJobStatus(_Wire):
    conditions: list[JobCondition] | None = None
    replica_statuses: dict[str, ReplicaStatus] | None = Field(default=None, alias="replicaStatuses")
    start_time: datetime | None = Field(default=None, alias="startTime")
    completion_time: datetime | None = Field(default=None, alias="completionTime")
    last_reconcile_time: datetime | None = Field(default=None, alias="lastReconcileTime")
    observed_generation: int | None = Field(default=None, alias="observedGeneration")
    admission: Admission | None = None
    port: int | None = None
    """The first port of this job's own: pods of several jobs may share a host."""
    restarts: int | None = None
    """How many pods were made anew because one before them had failed."""
    replaced: list[str] | None = None
    """The uids of failed pods that are on their way out, so that none is counted twice."""
    ran: bool | None = None
    released: str | None = None
    """The last admission whose pods are gone."""
    settled: bool | None = None
    """Whether the scheduler was told that the job is over and holds nothing any more."""


class _Spec(_Wire):
    run_policy: RunPolicy | None = Field(default=None, alias="runPolicy")


class PyTorchJobSpec(_Spec):
    pytorch_replica_specs: dict[str, ReplicaSpec] = Field(alias="pytorchReplicaSpecs")
    elastic_policy: ElasticPolicy | None = Field(default=None, alias="elasticPolicy")
    nproc_per_node: StrictStr | None = Field(
        default=None, alias="nprocPerNode", description="nprocPerNode is auto, cpu, gpu or a number, as text."
    )


class TFJobSpec(_Spec):
    tf_replica_specs: dict[str, ReplicaSpec] = Field(alias="tfReplicaSpecs")
    success_policy: Literal["", "AllWorkers"] | None = Field(default=None, alias="successPolicy")
    enable_dynamic_worker: StrictBool | None = Field(default=None, alias="enableDynamicWorker")


class MPIJobSpec(_Spec):
    mpi_replica_specs: dict[str, ReplicaSpec] = Field(alias="mpiReplicaSpecs")
    slots_per_worker: Positive | None = Field(default=None, alias="slotsPerWorker")
    main_container: StrictStr | None = Field(default=None, alias="mainContainer")
    clean_pod_policy: Literal["All", "Running", "None", ""] | None = Field(default=None, alias="cleanPodPolicy")


class XGBoostJobSpec(_Spec):
    xgb_replica_specs: dict[str, ReplicaSpec] = Field(alias="xgbReplicaSpecs")


class PaddleJobSpec(_Spec):
    paddle_replica_specs: dict[str, ReplicaSpec] = Field(alias="paddleReplicaSpecs")
    elastic_policy: PaddleElasticPolicy | None = Field(default=None, alias="elasticPolicy")


class JAXJobSpec(_Spec):
    jax_replica_specs: dict[str, ReplicaSpec] = Field(alias="jaxReplicaSpecs")


class _Job(_Wire):
    api_version: Literal["kubeflow.org/v1"] = Field(alias="apiVersion")
    metadata: dict[str, Any] = Field(default_factory=dict)
    status: LegacyJobStatus | None = None


class PyTorchJob(_Job):
    kind: Literal["PyTorchJob"]
    spec: PyTorchJobSpec


class TFJob(_Job):
    kind: Literal["TFJob"]
    spec: TFJobSpec


class MPIJob(_Job):
    kind: Literal["MPIJob"]
    spec: MPIJobSpec


class XGBoostJob(_Job):
    kind: Literal["XGBoostJob"]
    spec: XGBoostJobSpec


class PaddleJob(_Job):
    kind: Literal["PaddleJob"]
    spec: PaddleJobSpec


class JAXJob(_Job):
    kind: Literal["JAXJob"]
    spec: JAXJobSpec


def template_error(template: dict[str, Any]) -> str | None:
    """Why upstream's models, and with them a client, could not read a pod template; else None."""
    model = upstream(PACKAGE, "io_k8s_api_core_v1_pod_template_spec", "IoK8sApiCoreV1PodTemplateSpec")
    return read_error(model, template)


KINDS = (PyTorchJob, TFJob, MPIJob, XGBoostJob, PaddleJob, JAXJob)
