"""The three kinds that the trainer serves: models, columns, rules and the facts of a change."""

from collections.abc import Callable, Sequence
from typing import Any

from contracts.kinds.trainingruntime import ClusterTrainingRuntime, TrainingRuntime
from contracts.kinds.trainjob import GROUP, VERSION, TrainJob
from libs.base.errors import Cause, Invalid
from libs.resources import Admission, Column, Kind, Right
from services.trainer.adapters import in_use
from services.trainer.domain import announce, columns, job_rules, rights, runtime_rules
from services.trainer.domain.frameworks import Framework

Object = dict[str, Any]
FINALIZER = "millstream.dev/workloads"


def _admit_job(job: Object, old: Object | None, admission: Admission) -> Object:
    stored = job_rules.defaulted(job)
    refuse(TRAINJOB, job, job_rules.job_causes(stored, old))
    return stored


def rights_for(fields: Callable[[Object], Sequence[str]]) -> Callable[[Object, Object | None], frozenset[Right]]:
    """Who writes such `fields` must be allowed to create pods there; who leaves the spec as it is need not."""

    def rights(obj: Object, old: Object | None) -> frozenset[Right]:
        if old is not None and old.get("spec") == obj.get("spec"):
            return frozenset()
        where = obj["metadata"].get("namespace", "")
        return frozenset(Right("create", "", "v1", "pods", where, because=field) for field in fields(obj)[:1])

    return rights


def refuse(kind: Kind, obj: Object, causes: Sequence[Cause]) -> None:
    if causes:
        meta = obj.get("metadata") or {}
        raise Invalid.about(kind.resource, meta.get("name") or meta.get("generateName") or "", causes=causes)


TRAINJOB = Kind(
    group=GROUP,
    version=VERSION,
    kind="TrainJob",
    plural="trainjobs",
    singular="trainjob",
    model=TrainJob,
    short_names=("tj",),
    categories=("all", "kubeflow"),
    finalizer=FINALIZER,
    admit=_admit_job,
    rights=rights_for(rights.of_job),
    events=announce.facts_of,
    name_is_label=True,
    description="A training job on one or more nodes.",
    columns=(
        Column("State", "string", lambda job, now: columns.job_state(job), description="where the job is in its life"),
        Column("Runtime", "string", ".spec.runtimeRef.name"),
        Column("Nodes", "string", lambda job, now: columns.nodes(job)),
        Column("Progress", "string", lambda job, now: columns.progress(job), description="as the job reports it"),
        Column("Age", "date", ".metadata.creationTimestamp"),
        Column("Steps", "string", lambda job, now: columns.steps(job), 1, "steps done, as the job reports them"),
        Column("Restarts", "integer", ".status.restarts", 1, "how often all nodes began again"),
        Column("Goodput", "string", lambda job, now: columns.goodput(job), 1, "time that made steps which were kept"),
    ),
)


def runtime_kinds(frameworks: Sequence[Framework]) -> tuple[Kind, Kind]:
    """TrainingRuntime and ClusterTrainingRuntime; `frameworks` are those that an mlPolicy may name."""
    return (
        _runtime("TrainingRuntime", TrainingRuntime, frameworks, namespaced=True),
        _runtime("ClusterTrainingRuntime", ClusterTrainingRuntime, frameworks, namespaced=False),
    )


def _runtime(name: str, model: Any, frameworks: Sequence[Framework], *, namespaced: bool) -> Kind:
    kind = Kind(
        group=GROUP,
        version=VERSION,
        kind=name,
        plural=f"{name.lower()}s",
        singular=name.lower(),
        namespaced=namespaced,
        model=model,
        categories=("kubeflow",),
        status_subresource=False,
        finalizer=in_use.FINALIZER,
        admit=lambda obj, old, admission: _admit_runtime(kind, obj, frameworks),
        rights=rights_for(rights.of_runtime),
        description="A template that TrainJobs start from.",
        columns=(
            Column("Framework", "string", r".metadata.labels.trainer\.kubeflow\.org/framework"),
            Column("Age", "date", ".metadata.creationTimestamp"),
        ),
    )
    return kind


def _admit_runtime(kind: Kind, runtime: Object, frameworks: Sequence[Framework]) -> Object:
    refuse(kind, runtime, runtime_rules.runtime_causes(runtime, frameworks))
    return runtime
