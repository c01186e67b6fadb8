"""What an Experiment looks for: which figure of a metric counts, which of two is better, is the goal reached."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.tuner.domain.metrics import number

Object = dict[str, Any]
BY_TYPE = {"minimize": "min", "maximize": "max"}


def names(objective: Object) -> list[str]:
    """Of all metrics that are collected, the objective's first."""
    return [objective["objectiveMetricName"], *(objective.get("additionalMetricNames") or [])]


def strategies(objective: Object) -> list[Object]:
    """One for each metric; what is not given follows the type, as Katib has it."""
    given = {one["name"]: one["value"] for one in objective.get("metricStrategies") or []}
    usual = BY_TYPE.get(objective.get("type") or "", "latest")
    return [{"name": name, "value": given.get(name, usual)} for name in names(objective)]


def values(objective: Object, observation: Object | None) -> dict[str, float]:
    """What counts of each metric that was found."""
    found = {one["name"]: one for one in (observation or {}).get("metrics") or []}
    counted = {
        one["name"]: number(found[one["name"]][one["value"]]) for one in strategies(objective) if one["name"] in found
    }
    return {name: value for name, value in counted.items() if value is not None}


def value(objective: Object, observation: Object | None) -> float | None:
    """The objective's own; None where the trial has not told it, or told no number (NaN)."""
    found = values(objective, observation).get(objective["objectiveMetricName"])
    return None if found is None or found != found else found


def better(objective: Object, one: float, other: float) -> bool:
    return one < other if objective["type"] == "minimize" else one > other


def reached(objective: Object, found: float) -> bool:
    goal = objective.get("goal")
    return goal is not None and not better(objective, float(goal), found)


def best(objective: Object, trials: Sequence[Object]) -> Object | None:
    """The trial with the best figure, of two alike the earlier one."""
    chosen: tuple[float, Object] | None = None
    for trial in trials:
        found = value(objective, (trial.get("status") or {}).get("observation"))
        if found is not None and (chosen is None or better(objective, found, chosen[0])):
            chosen = found, trial
    return chosen[1] if chosen else None
