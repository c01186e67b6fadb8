"""The three kinds that the tuner serves: models, columns, rules and the facts of a change."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from contracts.kinds.experiment import GROUP, VERSION, Experiment
from contracts.kinds.trial import Suggestion, Trial
from contracts.reaching import reaching
from libs.base.errors import Cause, Forbidden, Invalid
from libs.resources.kinds import Admission, Column, Kind, Object, Right
from services.tuner.domain import experiments, rules, trials
from services.tuner.domain.algorithms import Algorithm
from services.tuner.domain.runs import run_kind
from services.tuner.domain.states import conditions

FINALIZER = "millstream.dev/workloads"
TEMPLATE = "spec.trialTemplate.trialSpec"


def _admit(experiment: Object, old: Object | None, known: Sequence[Algorithm]) -> Object:
    stored = rules.defaulted(experiment)
    Experiment.model_validate(stored)  # rules read what the model knows; its complaint is the better answer
    if found := rules.causes(stored, old, known):
        meta = experiment["metadata"]
        raise Invalid.about(f"experiments.{GROUP}", meta.get("name") or meta.get("generateName") or "", causes=found)
    return stored


def _rights(experiment: Object, old: Object | None) -> frozenset[Right]:
    """What its trials run is made in its writer's name: they must be allowed to make it themselves."""
    if old is not None and old.get("spec") == experiment.get("spec"):
        return frozenset()
    run, where = experiment["spec"]["trialTemplate"]["trialSpec"], experiment["metadata"].get("namespace", "")
    kind = run_kind(run)
    if kind is None:
        return frozenset()
    group, _, version = kind.api_version.rpartition("/")
    rights = {Right("create", group, version, kind.plural, where, because=TEMPLATE)}
    if field := next(reaching(run, TEMPLATE), None):
        rights.add(Right("create", "", "v1", "pods", where, because=field))
    return frozenset(rights)


def _made_here(obj: Object, old: Object | None, admission: Admission) -> Object:
    """The tuner alone makes and changes it; people may look at it, mark it and delete it."""
    if admission.user is None or (old is not None and old.get("spec") == obj.get("spec")):
        return obj
    plural = f"{obj['kind'].lower()}s.{GROUP}"
    if old is None:
        told = f"is made by the tuner alone; create an Experiment, which gets its {obj['kind'].lower()}s by itself"
        raise Forbidden.about(plural, obj["metadata"].get("name") or "", told)
    cause = Cause("spec", "is immutable: it follows from the Experiment", "FieldValueForbidden")
    raise Invalid.about(plural, obj["metadata"]["name"], causes=[cause])


def _latest(obj: Object, now: datetime) -> Any:
    """The last condition that came true."""
    return next((c["type"] for c in reversed(conditions(obj)) if c["status"] == "True"), "")


def _status(obj: Object, now: datetime) -> Any:
    ends = ("Failed", "Succeeded", "Restarting", "Running", "Created")
    true = {c["type"] for c in conditions(obj) if c["status"] == "True"}
    return next((end for end in ends if end in true), "")


def _done(obj: Object, now: datetime) -> str:
    status, most = obj.get("status") or {}, obj["spec"].get("maxTrialCount")
    over = status.get("trials", 0) - status.get("trialsPending", 0) - status.get("trialsRunning", 0)
    return f"{over}/{most}" if most else str(over)


def _best(obj: Object, now: datetime) -> str:
    return _figure(obj["spec"]["objective"], ((obj.get("status") or {}).get("currentOptimalTrial") or {}))


def _of_trial(obj: Object, now: datetime) -> str:
    return _figure(obj["spec"]["objective"], obj.get("status") or {})


def _figure(wanted: Object, told: Object) -> str:
    strategy = wanted["metricStrategies"][0]["value"]
    found = (told.get("observation") or {}).get("metrics") or []
    return next((one[strategy] for one in found if one["name"] == wanted["objectiveMetricName"]), "")


def _values(obj: Object, now: datetime) -> str:
    return ",".join(f"{one['name']}={one['value']}" for one in obj["spec"]["parameterAssignments"])


def experiment_kind(algorithms: Sequence[Algorithm]) -> Kind:
    """`algorithms` are those that an Experiment may name."""
    return Kind(
        group=GROUP,
        version=VERSION,
        kind="Experiment",
        plural="experiments",
        singular="experiment",
        model=Experiment,
        categories=("all", "katib", "kubeflow"),
        columns=(
            Column("Type", "string", _status),
            Column("Trials", "string", _done, description="those that are over, of the budget"),
            Column("Best", "string", _best, description="the objective's best figure"),
            Column("Algorithm", "string", ".spec.algorithm.algorithmName"),
            Column("Age", "date", ".metadata.creationTimestamp"),
            Column("Best Trial", "string", ".status.currentOptimalTrial.bestTrialName", priority=1),
        ),
        takes_past_status=True,
        finalizer=FINALIZER,
        admit=lambda obj, old, admission: _admit(obj, old, algorithms),
        rights=_rights,
        events=experiments.facts,
        name_is_label=True,
        description="Experiment searches for the parameters with which a job does best.",
    )


TRIAL = Kind(
    group=GROUP,
    version=VERSION,
    kind="Trial",
    plural="trials",
    singular="trial",
    model=Trial,
    categories=("all", "katib", "kubeflow"),
    columns=(
        Column("Type", "string", _latest),
        Column("Objective", "string", _of_trial),
        Column("Parameters", "string", _values),
        Column("Age", "date", ".metadata.creationTimestamp"),
        Column("Run", "string", ".spec.runSpec.kind", priority=1),
    ),
    finalizer=FINALIZER,
    admit=_made_here,
    events=trials.facts,
    name_is_label=True,
    description="Trial is one try of an Experiment: the values that were suggested, and what came of them.",
)
SUGGESTION = Kind(
    group=GROUP,
    version=VERSION,
    kind="Suggestion",
    plural="suggestions",
    singular="suggestion",
    model=Suggestion,
    categories=("all", "katib", "kubeflow"),
    columns=(
        Column("Type", "string", _latest),
        Column("Requested", "integer", ".spec.requests"),
        Column("Assigned", "integer", ".status.suggestionCount"),
        Column("Age", "date", ".metadata.creationTimestamp"),
    ),
    admit=_made_here,
    name_is_label=True,
    description="Suggestion tells what an Experiment's algorithm suggested so far.",
)
