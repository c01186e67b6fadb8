"""A trial's life, from its own record and what is seen of its run: made, begun, ended one way or the other; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from contracts.events.tuning.v1 import TrialCreated, TrialFailed, TrialStopped, TrialSucceeded
from contracts.messages import Event
from contracts.reaching import reaching
from libs.base.clock import rfc3339
from services.tuner.domain import filling, objective, runs, words
from services.tuner.domain.experiments import about, target, trial_name
from services.tuner.domain.states import conditions, moved, trial_state

Object = dict[str, Any]
ASKED, ACCEPTED, REJECTED, DELETED = "Asked", "Accepted", "Rejected", "Deleted"
GOOD, BAD = "Succeeded", "Failed"
UID = "millstream.dev/trial-uid"
OWNER = "millstream.dev/experiment"
"""By which the tuner knows an Experiment's trials. Katib's label comes when the run is there: its clients look for the
run of each trial that they find by it."""


class Outcome(NamedTuple):
    """How the run ended."""

    good: bool
    reason: str = ""
    message: str = ""


def new(experiment: Object, owner: Object, number: int, values: Mapping[str, str]) -> Object:
    """The Trial with this number; what it runs has its values filled in. `owner` is a reference to the Experiment."""
    spec, meta = experiment["spec"], experiment["metadata"]
    template, name, space = spec["trialTemplate"], trial_name(experiment, number), meta["namespace"]
    run = filling.filled(template["trialSpec"], filling.known(template, values, name, space))
    kind = runs.run_kind(run)
    assert kind is not None, "stored Experiments run what can be run"
    labels = {words.EXPERIMENT: meta["name"], words.TRIAL: name}
    kept = ("primaryPodLabels", "primaryContainerName", "successCondition", "failureCondition")
    return {
        "apiVersion": experiment["apiVersion"],
        "kind": "Trial",
        "metadata": {
            "name": name,
            "namespace": space,
            "labels": {OWNER: meta["name"], words.NUMBER: str(number)},
            "ownerReferences": [owner],
        },
        "spec": {
            "objective": spec["objective"],
            "parameterAssignments": [{"name": key, "value": text} for key, text in values.items()],
            "runSpec": runs.made(kind, run, name=name, namespace=space, labels=labels),
            "retainRun": bool(template.get("retain")),
            "metricsCollector": spec["metricsCollectorSpec"],
            **{key: template[key] for key in kept if template.get(key) is not None},
        },
    }


def brought(experiment: Object, trial: Object) -> str | None:
    """The field that reaches beyond the pods and came with a value: nobody was asked whether its writer may use it."""
    where = "spec.trialTemplate.trialSpec"
    before = {*reaching(experiment["spec"]["trialTemplate"]["trialSpec"], where)}
    return next((path for path in reaching(trial["spec"]["runSpec"], where) if path not in before), None)


def facts(op: str, trial: Object, old: Object | None) -> Sequence[Event]:
    return [TrialCreated(**_about(trial))] if op == "ADDED" else []


def kind_of(trial: Object) -> runs.RunKind:
    found = runs.run_kind(trial["spec"]["runSpec"])
    assert found is not None, "trials are made of what can be run"
    return found


def run_of(trial: Object) -> Object:
    return (trial.get("status") or {}).get("run") or {}


def is_shown(trial: Object) -> bool:
    return words.EXPERIMENT in trial["metadata"]["labels"]


def shown(trial: Object) -> Object:
    """The patch by which Katib's clients find it."""
    return {"metadata": {"labels": {words.EXPERIMENT: trial["metadata"]["labels"][OWNER]}}}


def asked(trial: Object, now: datetime) -> Object:
    """The status of one whose run somebody else was asked for."""
    told = moved(conditions(trial), words.CREATED, True, "TrialCreated", "Trial is created", now)
    return {"startTime": rfc3339(now), "conditions": told, "run": {"state": ASKED}}


def hindered(trial: Object, reason: str, message: str, now: datetime) -> Object:
    """The status of one whose run the cluster does not take for now."""
    before = trial.get("status") or {}
    told = moved(conditions(trial), words.CREATED, True, "TrialCreated", "Trial is created", now)
    told = moved(told, words.RUNNING, False, reason, message, now)
    return {"startTime": before.get("startTime") or rfc3339(now), "conditions": told}


def running(trial: Object, uid: str | None, now: datetime) -> Object:
    """The status of one whose run is there."""
    status = trial.get("status") or asked(trial, now)
    told = moved(status["conditions"], words.RUNNING, True, "TrialRunning", "Trial is running", now)
    run = {**run_of(trial), **({"uid": uid} if uid else {})}
    if run.get("state") in (None, ASKED):
        run["state"] = ACCEPTED
    return {**status, "conditions": told, "run": run}


def outcome(trial: Object) -> Outcome | None:
    """As the run's owner told it."""
    run = run_of(trial)
    state = run.get("state")
    if state == GOOD:
        return Outcome(True)
    if state in (BAD, REJECTED):
        return Outcome(False, run.get("reason") or "RunFailed", run.get("message") or "what it ran failed")
    return Outcome(False, "RunDeleted", "what it ran was deleted") if state == DELETED else None


def job_outcome(job: Object) -> Outcome | None:
    """As a Job in the cluster tells it."""
    for told in (job.get("status") or {}).get("conditions") or []:
        if told["status"] == "True" and told["type"] == "Complete":
            return Outcome(True)
        if told["status"] == "True" and told["type"] == "Failed":
            return Outcome(False, told.get("reason") or "JobFailed", told.get("message") or "its Job failed")
    return None


def succeeded(trial: Object, found: Object, now: datetime) -> tuple[Object, Event]:
    """The run ended well, with this observation; without the objective's metric that is worth nothing."""
    wanted = trial["spec"]["objective"]
    value = objective.value(wanted, found)
    if value is None:
        metric = wanted["objectiveMetricName"]
        told = f"it ended without telling {metric!r}: print a line such as {metric}=0.9"
        return _ended(trial, words.METRICS_UNAVAILABLE, "TrialMetricsUnavailable", told, now, found), TrialFailed(
            **_about(trial), reason="MetricsUnavailable", message=told
        )
    status = _ended(trial, words.SUCCEEDED, "TrialSucceeded", "Trial has succeeded", now, found)
    figures = objective.values(wanted, found)
    return status, TrialSucceeded(**_about(trial), target=target(wanted), objective=value, metrics=figures)


def failed(trial: Object, why: Outcome, now: datetime) -> tuple[Object, Event]:
    told = TrialFailed(**_about(trial), reason=why.reason, message=why.message)
    return _ended(trial, words.FAILED, why.reason, why.message, now), told


def stopped(trial: Object, now: datetime) -> tuple[Object, Event]:
    told = "the Experiment was over before it was"
    return _ended(trial, words.KILLED, "TrialKilled", told, now), TrialStopped(**_about(trial))


def wants_no_run(trial: Object) -> bool:
    """Whether what it ran is to go."""
    over = trial_state(trial)
    return over == words.KILLED or not trial["spec"].get("retainRun")


def removing(trial: Object) -> Object:
    """The status of one whose run is told to go."""
    return {**(trial.get("status") or {}), "run": {**run_of(trial), "removing": True}}


def _ended(trial: Object, type: str, reason: str, message: str, now: datetime, found: Object | None = None) -> Object:
    status = trial.get("status") or asked(trial, now)
    told = moved(status["conditions"], words.RUNNING, False, reason, message, now)
    told = moved(told, type, True, reason, message, now)
    more = {"observation": found} if found and found["metrics"] else {}
    return {**status, **more, "conditions": told, "completionTime": rfc3339(now)}


def _about(trial: Object) -> Object:
    return {
        **about(trial),
        "experiment": trial["metadata"]["labels"][OWNER],
        "run_kind": trial["spec"]["runSpec"]["kind"],
        "assignments": {one["name"]: one["value"] for one in trial["spec"]["parameterAssignments"]},
    }
