"""Which Experiments may be stored, with what defaults, and what of them may still change: everything that can be known
to fail is refused on write, before anything runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any

from libs.base.errors import Cause
from services.tuner.domain import algorithms, filling, metrics, objective, runs, spaces
from services.tuner.domain.algorithms import Algorithm
from services.tuner.domain.states import is_over, is_restartable

Object = dict[str, Any]
NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?\Z")
NAME_CHARS_MAX = 40
"""A trial is named after it with nine letters more, and what it runs bears the same name: 50 letters at most."""
BUDGET = ("maxTrialCount", "maxFailedTrialCount", "parallelTrialCount")
PARALLEL_TRIALS = 3
TEMPLATE = "spec.trialTemplate"


def defaulted(experiment: Object) -> Object:
    """The Experiment as it is stored: with Katib's defaults, and with what its clients mean by what they send.

    `katib.search.categorical` of kubeflow-katib 0.19 puts its list into `distribution`.
    """
    out = deepcopy(experiment)
    spec = out.get("spec") or {}
    for one in spec.get("parameters") or []:
        _default_space(one)
    spec.setdefault("parallelTrialCount", min(PARALLEL_TRIALS, spec.get("maxTrialCount") or PARALLEL_TRIALS))
    collector = spec.setdefault("metricsCollectorSpec", {})
    collector.setdefault("collector", {"kind": "StdOut"})
    if spec.get("objective") is not None:
        spec["objective"]["metricStrategies"] = objective.strategies(spec["objective"])
    return out


def _default_space(one: Object) -> None:
    space = one.get("feasibleSpace") or {}
    for field in ("min", "max", "step"):
        if isinstance(space.get(field), int | float) and not isinstance(space[field], bool):
            space[field] = str(space[field])
    if isinstance(space.get("distribution"), list):
        space["list"] = [str(text) for text in space.pop("distribution")]
    elif one.get("parameterType") in spaces.RANGES and not space.get("distribution"):
        space["distribution"] = "uniform"


def causes(experiment: Object, old: Object | None, known: Sequence[Algorithm]) -> list[Cause]:
    """What is wrong with a (schema-valid) Experiment, [] when nothing is; `old` is the stored one on an update."""
    spec = experiment["spec"]
    found = [*_budget(spec), *(_changes(spec, old) if old else ())]
    if old is not None:
        return found
    found += [*_name(experiment), *_objective(spec), *_collector(spec), *_early_stopping(spec)]
    wrong = list(spaces.problems(spec))
    asked = list(algorithms.problems(spec, known))
    found += [*wrong, *asked]
    if not wrong and not asked:
        chosen = algorithms.named(spec["algorithm"]["algorithmName"], known)
        assert chosen is not None
        found += chosen.problems(spaces.parameters(spec))
    return [*found, *(_template(spec) if not wrong else ())]


def _name(experiment: Object) -> Iterator[Cause]:
    name = experiment["metadata"].get("name") or ""
    if name and (not NAME.match(name) or len(name) > NAME_CHARS_MAX):
        rule = f"at most {NAME_CHARS_MAX} lower-case letters, digits or '-', beginning with a letter"
        yield Cause("metadata.name", f"{name!r} names what the trials run: {rule}")


def _objective(spec: Object) -> Iterator[Cause]:
    wanted = spec["objective"]
    seen: set[str] = set()
    for index, name in enumerate([wanted["objectiveMetricName"], *(wanted.get("additionalMetricNames") or [])]):
        if name in seen:
            where = f"spec.objective.additionalMetricNames[{index - 1}]"
            yield Cause(where, f"{name!r} is collected already; leave it out", "FieldValueDuplicate")
        seen.add(name)


def _collector(spec: Object) -> Iterator[Cause]:
    formats = ((spec["metricsCollectorSpec"].get("source") or {}).get("filter") or {}).get("metricsFormat") or []
    for index, text in enumerate(formats):
        if told := metrics.format_problem(text):
            yield Cause(f"spec.metricsCollectorSpec.source.filter.metricsFormat[{index}]", told)


def _early_stopping(spec: Object) -> Iterator[Cause]:
    if spec.get("earlyStopping"):
        told = "trials are not stopped early here yet; leave it out"
        yield Cause("spec.earlyStopping", told, "FieldValueNotSupported")


def _budget(spec: Object) -> Iterator[Cause]:
    most = spec.get("maxTrialCount")
    for field in ("maxFailedTrialCount", "parallelTrialCount"):
        if most is not None and spec.get(field) is not None and spec[field] > most:
            yield Cause(f"spec.{field}", f"{spec[field]} must not exceed maxTrialCount, which is {most}")


def _changes(spec: Object, old: Object) -> Iterator[Cause]:
    before = old["spec"]
    for field in sorted(spec.keys() | before.keys()):
        if field not in BUDGET and spec.get(field) != before.get(field):
            told = f"is immutable; only {', '.join(BUDGET)} may change: create a new Experiment for another search"
            yield Cause(f"spec.{field}", told, "FieldValueForbidden")
    if all(spec.get(field) == before.get(field) for field in BUDGET):
        return
    if is_over(old) and not is_restartable(old):
        told = "cannot change any more: only an Experiment that succeeded because its budget was spent can go on"
        yield Cause("spec.maxTrialCount", told, "FieldValueForbidden")
    elif is_over(old) and before.get("resumePolicy") == "Never":
        told = "says Never, so the Experiment cannot go on; create one with LongRunning, or without a policy"
        yield Cause("spec.resumePolicy", told, "FieldValueForbidden")
    elif is_over(old) and (spec.get("maxTrialCount") or 0) <= ((old.get("status") or {}).get("trialsMade") or 0):
        done = old["status"]["trialsMade"]
        yield Cause("spec.maxTrialCount", f"must be more than the {done} trials that there were, so that it goes on")


def _template(spec: Object) -> Iterator[Cause]:
    template = spec["trialTemplate"]
    run = template["trialSpec"]
    kind = runs.run_kind(run)
    if kind is None:
        shown = f"{run.get('kind')} ({run.get('apiVersion')})"
        yield Cause(
            f"{TEMPLATE}.trialSpec.kind", f"{shown} cannot be run; use {runs.names()}", "FieldValueNotSupported"
        )
        return
    wrong = [*_parameters(spec), *_placeholders(template)]
    yield from wrong
    if not wrong:
        for where, told in kind.problems(_example(spec), template["primaryContainerName"]):
            yield Cause(f"{TEMPLATE}.trialSpec{'.' if where else ''}{where}", told)


def _parameters(spec: Object) -> Iterator[Cause]:
    """Each says which parameter it stands for, and each of those is there."""
    there = [one["name"] for one in spec["parameters"]]
    seen: set[str] = set()
    for index, one in enumerate(spec["trialTemplate"].get("trialParameters") or []):
        where = f"{TEMPLATE}.trialParameters[{index}]"
        if one["name"] in seen:
            yield Cause(f"{where}.name", f"{one['name']!r} is there already", "FieldValueDuplicate")
        seen.add(one["name"])
        if one["reference"] not in there and one["reference"] not in filling.OF_TRIAL:
            told = f"{one['reference']!r} is no parameter; there are {', '.join(there)}"
            yield Cause(f"{where}.reference", told, "FieldValueNotFound")


def _placeholders(template: Object) -> Iterator[Cause]:
    known = {one["name"] for one in template.get("trialParameters") or []}
    used: set[str] = set()
    for where, name in filling.placeholders(template["trialSpec"], f"{TEMPLATE}.trialSpec"):
        used.add(name)
        if name not in known:
            told = f"${{trialParameters.{name}}} is not among trialParameters; add it there with its reference"
            yield Cause(where, told, "FieldValueNotFound")
    for index, one in enumerate(template.get("trialParameters") or []):
        if one["name"] not in used:
            told = f"${{trialParameters.{one['name']}}} is nowhere in trialSpec; use it, or leave the parameter out"
            yield Cause(f"{TEMPLATE}.trialParameters[{index}].name", told)


def _example(spec: Object) -> Object:
    """What one trial would run: the first value of each parameter."""
    values = {one.name: one.place(0.0) for one in spaces.parameters(spec)}
    template = spec["trialTemplate"]
    run: Object = filling.filled(template["trialSpec"], filling.known(template, values, "trial", "default"))
    return {**run, "metadata": {**(run.get("metadata") or {}), "name": "trial"}}
