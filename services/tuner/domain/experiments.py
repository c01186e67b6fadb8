"""What comes next for an Experiment, from its recorded trials alone: how many begin, which are stopped, how it ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from contracts.events.tuning.v1 import (
    Target,
    TrialResult,
    TuningExperimentCreated,
    TuningExperimentDeleted,
    TuningExperimentFailed,
    TuningExperimentRestarted,
    TuningExperimentSucceeded,
)
from contracts.messages import Event
from libs.base.clock import rfc3339
from services.tuner.domain import objective, words
from services.tuner.domain.space import Tried
from services.tuner.domain.states import conditions, is_done, is_over, is_restartable, moved, trial_state

Object = dict[str, Any]
FAILURES_MAX = 10
"""Of an Experiment that sets no bound at all: it would fail for ever otherwise."""
LISTS = {
    "Pending": ("pendingTrialList", "trialsPending"),
    words.RUNNING: ("runningTrialList", "trialsRunning"),
    words.SUCCEEDED: ("succeededTrialList", "trialsSucceeded"),
    words.FAILED: ("failedTrialList", "trialsFailed"),
    words.KILLED: ("killedTrialList", "trialsKilled"),
    words.METRICS_UNAVAILABLE: ("metricsUnavailableTrialList", "trialMetricsUnavailable"),
}


@dataclass(frozen=True)
class Step:
    """`begin` trials are to be numbered and begun; those of `stop` need not go on."""

    status: Object
    begin: int = 0
    stop: tuple[Object, ...] = ()
    events: tuple[Event, ...] = ()


@dataclass(frozen=True)
class _End:
    """How it ends."""

    type: str
    reason: str
    message: str


def plan(experiment: Object, trials: Sequence[Object], now: datetime) -> Step:
    """1. count, 2. over already, 3. it ends, 4. it goes on, or goes on again."""
    good = [trial for trial in trials if trial_state(trial) == words.SUCCEEDED]
    best = objective.best(experiment["spec"]["objective"], good)
    status = {**_begun(experiment, now), **_counted(experiment, trials, best)}
    going = tuple(trial for trial in trials if not is_done(trial))
    again = is_restartable(experiment) and _budget_left(experiment, trials) > 0
    if is_over(experiment) and not again:
        return Step(status, stop=going)
    end = _end(experiment, trials, best)
    if end is not None:
        return Step(_ended(status, end, now), stop=going, events=(_told(experiment, status, end, trials),))
    room = experiment["spec"].get("parallelTrialCount", 1) - len(going)
    left = 0 if status.get("exhausted") else min(room, _budget_left(experiment, trials))
    events: list[Event] = [TuningExperimentRestarted(**about(experiment))] if again else []
    return Step(_running(status, again, now), begin=max(0, left), events=tuple(events))


def trial_name(experiment: Object, number: int) -> str:
    """The same whenever it is asked; another Experiment's of the same name has others."""
    meta = experiment["metadata"]
    digest = sha256(f"{meta['uid']}/{number}".encode()).hexdigest()
    return f"{meta['name']}-{digest[:8]}"


def made(experiment: Object, trials: Sequence[Object]) -> int:
    """How many trials were ever begun: one that somebody deleted has used its part of the budget."""
    return max((experiment.get("status") or {}).get("trialsMade") or 0, len(trials))


def number_of(trial: Object) -> int:
    return int(trial["metadata"]["labels"][words.NUMBER])


def tried(trials: Sequence[Object]) -> list[Tried]:
    """The trials as algorithms know them, in the order of their numbers."""
    return [
        Tried(
            number_of(trial),
            {one["name"]: one["value"] for one in trial["spec"]["parameterAssignments"]},
            _objective_of(trial) if trial_state(trial) == words.SUCCEEDED else None,
            is_done(trial),
        )
        for trial in sorted(trials, key=number_of)
    ]


def facts(op: str, experiment: Object, old: Object | None) -> Sequence[Event]:
    """What its coming and going tell."""
    if op == "DELETED":
        return [TuningExperimentDeleted(**about(experiment))]
    if op != "ADDED":
        return []
    spec = experiment["spec"]
    return [
        TuningExperimentCreated(
            **about(experiment),
            algorithm=spec["algorithm"]["algorithmName"],
            target=target(spec["objective"]),
            trials_max=spec.get("maxTrialCount"),
            labels=experiment["metadata"].get("labels") or {},
        )
    ]


def about(obj: Object) -> Object:
    meta = obj["metadata"]
    return {"namespace": meta.get("namespace", ""), "name": meta["name"], "uid": meta["uid"]}


def target(wanted: Object) -> Target:
    return Target(metric=wanted["objectiveMetricName"], type=wanted["type"])


def _objective_of(trial: Object) -> float | None:
    return objective.value(trial["spec"]["objective"], (trial.get("status") or {}).get("observation"))


def _begun(experiment: Object, now: datetime) -> Object:
    status = experiment.get("status") or {}
    if status.get("startTime"):
        return dict(status)
    first = moved([], words.CREATED, True, "ExperimentCreated", "Experiment is created", now)
    return {**status, "startTime": rfc3339(now), "conditions": first}


def _counted(experiment: Object, trials: Sequence[Object], best: Object | None) -> Object:
    names: dict[str, list[str]] = {state: [] for state in LISTS}
    for trial in trials:
        names[trial_state(trial)].append(trial["metadata"]["name"])
    counted: Object = {"trials": len(trials)}
    for state, (listed, count) in LISTS.items():
        counted[count] = len(names[state])
        if names[state] or listed in (experiment.get("status") or {}):
            counted[listed] = names[state]
    if best is not None:
        counted["currentOptimalTrial"] = {
            "bestTrialName": best["metadata"]["name"],
            "parameterAssignments": best["spec"]["parameterAssignments"],
            "observation": best["status"]["observation"],
        }
    return counted


def _budget_left(experiment: Object, trials: Sequence[Object]) -> int:
    most = experiment["spec"].get("maxTrialCount")
    room: int = experiment["spec"].get("parallelTrialCount", 1) if most is None else most - made(experiment, trials)
    return room


def _end(experiment: Object, trials: Sequence[Object], best: Object | None) -> _End | None:
    """As Katib has it: the goal, too many failures, the budget, the end of the space."""
    spec = experiment["spec"]
    value = _objective_of(best) if best is not None else None
    if value is not None and objective.reached(spec["objective"], value):
        return _End(words.SUCCEEDED, words.GOAL_REACHED, "Experiment has succeeded because Objective goal has reached")
    if told := _failure(experiment, trials):
        return _End(words.FAILED, words.EXPERIMENT_FAILED, told)
    done = sum(is_done(trial) for trial in trials)
    gone = made(experiment, trials) - len(trials)
    spent = spec.get("maxTrialCount") is not None and done + gone >= spec["maxTrialCount"]
    searched = bool((experiment.get("status") or {}).get("exhausted")) and done == len(trials)
    if not (spent or searched):
        return None
    if best is None:
        return _End(words.FAILED, words.EXPERIMENT_FAILED, _nothing(experiment, trials))
    if spent:
        told = "Experiment has succeeded because max trial count has reached"
        return _End(words.SUCCEEDED, words.MAX_TRIALS_REACHED, told)
    told = "Experiment has succeeded because suggestion service has reached the end"
    return _End(words.SUCCEEDED, words.SEARCHED, told)


def _failure(experiment: Object, trials: Sequence[Object]) -> str | None:
    """Why it cannot go on."""
    spec, states = experiment["spec"], [trial_state(trial) for trial in trials]
    failed = states.count(words.FAILED) + states.count(words.METRICS_UNAVAILABLE)
    refused = next((t for t in trials if ((t.get("status") or {}).get("run") or {}).get("state") == "Rejected"), None)
    if refused is not None and words.SUCCEEDED not in states and is_done(refused):
        return f"what its trials run was refused: {_why(refused)}"
    most = spec.get("maxFailedTrialCount")
    if most is None and spec.get("maxTrialCount") is None:
        most = FAILURES_MAX
    if most is None or failed <= most:
        return None
    return (
        f"Experiment has failed because max failed count has reached: {failed} trials failed; {_last_failure(trials)}"
    )


def _nothing(experiment: Object, trials: Sequence[Object]) -> str:
    metric = experiment["spec"]["objective"]["objectiveMetricName"]
    return f"none of its {len(trials)} trials told {metric!r}; {_last_failure(trials)}"


def _last_failure(trials: Sequence[Object]) -> str:
    ends = (words.FAILED, words.METRICS_UNAVAILABLE)
    found = [trial for trial in sorted(trials, key=number_of) if trial_state(trial) in ends]
    return f"the last one, {found[-1]['metadata']['name']}: {_why(found[-1])}" if found else "all were stopped"


def _why(trial: Object) -> str:
    return next((c["message"] for c in conditions(trial) if c["type"] == trial_state(trial)), "")


def _ended(status: Object, end: _End, now: datetime) -> Object:
    told = moved(status["conditions"], words.RUNNING, False, end.reason, end.message, now)
    told = moved(told, end.type, True, end.reason, end.message, now)
    return {**status, "conditions": told, "completionTime": rfc3339(now)}


def _running(status: Object, again: bool, now: datetime) -> Object:
    told = status["conditions"]
    if again:
        told = [c for c in told if c["type"] != words.SUCCEEDED]
        told = moved(told, words.RESTARTING, True, "ExperimentRestarting", "Experiment is restarted", now)
        status = {key: value for key, value in status.items() if key not in ("completionTime", "exhausted")}
    elif any(c["type"] == words.RESTARTING and c["status"] == "True" for c in told) and status["trialsRunning"]:
        told = moved(told, words.RESTARTING, False, "ExperimentRunning", "Experiment is running", now)
    return {**status, "conditions": moved(told, words.RUNNING, True, "ExperimentRunning", "Experiment is running", now)}


def _told(experiment: Object, status: Object, end: _End, trials: Sequence[Object]) -> Event:
    if end.type == words.FAILED:
        return TuningExperimentFailed(**about(experiment), reason=end.reason, message=end.message)
    wanted, best = experiment["spec"]["objective"], status.get("currentOptimalTrial")
    return TuningExperimentSucceeded(
        **about(experiment),
        reason=end.reason,
        message=end.message,
        target=target(wanted),
        trials=len(trials),
        best=TrialResult(
            name=best["bestTrialName"],
            assignments={one["name"]: one["value"] for one in best["parameterAssignments"]},
            metrics=objective.values(wanted, best["observation"]),
        )
        if best
        else None,
    )
