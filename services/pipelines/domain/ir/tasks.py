"""Reads the tasks of a graph: where their inputs come from, when they run, how often, and for which items."""

import json
import re
from collections.abc import Mapping
from typing import Any

from services.pipelines.domain.ir import conditions, selectors
from services.pipelines.domain.ir.model import (
    ArtifactSource,
    Caching,
    Constant,
    FinalStatus,
    FromInput,
    FromTask,
    Iterator,
    ParamSource,
    Retry,
    Task,
)
from services.pipelines.domain.ir.problems import Problems

ALWAYS = "ALL_UPSTREAM_TASKS_COMPLETED"
EXIT_HANDLER = "comp-exit-handler-"
"""How the components are called that kfp's compilers make of the body of a dsl.ExitHandler."""
DURATION = re.compile(r"^(\d+(?:\.\d+)?)s$")
MOST_RETRIES = 1000


def read_task(name: str, said: Mapping[str, Any], problems: Problems) -> Task:
    """One task; what it names is checked later, when all names are known."""
    inputs, policy = said.get("inputs", {}), said.get("triggerPolicy", {})
    with problems.at("inputs", "parameters"):
        parameters = _parameters(inputs.get("parameters", {}), problems)
    with problems.at("inputs", "artifacts"):
        artifacts = _artifacts(inputs.get("artifacts", {}), problems)
    return Task(
        name=name,
        display_name=said.get("taskInfo", {}).get("name") or name,
        component=said.get("componentRef", {}).get("name", ""),
        parameters=parameters,
        artifacts=artifacts,
        upstream=_upstream(said.get("dependentTasks", ()), parameters, artifacts),
        condition=_condition(policy.get("condition", ""), problems),
        always=policy.get("strategy") == ALWAYS,
        caching=_caching(said),
        retry=_retry(said["retryPolicy"], problems) if "retryPolicy" in said else None,
        iterator=_iterator(said, problems),
    )


def _caching(said: Mapping[str, Any]) -> Caching:
    """Switched off it is an empty object; what stands for a group of tasks has none."""
    told = said.get("cachingOptions") or {}
    enabled = told.get("enableCache", False)
    return Caching(enabled, told.get("cacheKey", ""), "cachingOptions" in said and not enabled)


def exits(task: Task, beside: Mapping[str, Any]) -> bool:
    """Whether it is the exit task of a dsl.ExitHandler: another that always runs may be any work, and no cleaning up.
    `beside` are the tasks of its graph as they are written."""
    before = (beside.get(name, {}).get("componentRef", {}).get("name", "") for name in task.upstream)
    return task.always and any(name.startswith(EXIT_HANDLER) for name in before)


def _parameters(said: Mapping[str, Any], problems: Problems) -> dict[str, ParamSource]:
    found: dict[str, ParamSource] = {}
    for name, each in said.items():
        with problems.at(name):
            source, selector = _parameter(each, problems), _selector(each, problems)
            if source is not None:
                found[name] = ParamSource(source, selector)
    return found


def _parameter(said: Mapping[str, Any], problems: Problems) -> Constant | FromInput | FromTask | FinalStatus | None:
    if "componentInputParameter" in said:
        return FromInput(said["componentInputParameter"])
    if "taskOutputParameter" in said:
        producer = said["taskOutputParameter"]
        return FromTask(producer.get("producerTask", ""), producer.get("outputParameterKey", ""))
    if "taskFinalStatus" in said:
        return FinalStatus(said["taskFinalStatus"].get("producerTask", ""))
    if "runtimeValue" in said:
        return _constant(said["runtimeValue"])
    problems.add("it says neither a value nor where the value comes from")
    return None


def _constant(said: Mapping[str, Any]) -> Constant | FromInput:
    if "runtimeParameter" in said:
        return FromInput(said["runtimeParameter"])
    if "constantValue" in said:  # before schema 2.1.0
        value = said["constantValue"]
        return Constant(int(value["intValue"]) if "intValue" in value else next(iter(value.values()), None))
    return Constant(said.get("constant"))


def _selector(said: Mapping[str, Any], problems: Problems) -> selectors.Selector | None:
    text = said.get("parameterExpressionSelector", "")
    try:
        return selectors.parse(text) if text else None
    except ValueError as error:
        problems.add(str(error), "parameterExpressionSelector")
        return None


def _artifacts(said: Mapping[str, Any], problems: Problems) -> dict[str, ArtifactSource]:
    found: dict[str, ArtifactSource] = {}
    for name, each in said.items():
        if "componentInputArtifact" in each:
            found[name] = FromInput(each["componentInputArtifact"])
        elif "taskOutputArtifact" in each:
            producer = each["taskOutputArtifact"]
            found[name] = FromTask(producer.get("producerTask", ""), producer.get("outputArtifactKey", ""))
        else:
            problems.add("it does not say where the artifact comes from", name)
    return found


def _upstream(
    named: Any, parameters: Mapping[str, ParamSource], artifacts: Mapping[str, ArtifactSource]
) -> tuple[str, ...]:
    sources = [*(each.source for each in parameters.values()), *artifacts.values()]
    producers = [source.task for source in sources if isinstance(source, FromTask | FinalStatus)]
    return tuple(dict.fromkeys([*named, *producers]))


def _condition(text: str, problems: Problems) -> conditions.Condition | None:
    try:
        return conditions.parse(text) if text else None
    except conditions.ConditionError as error:
        problems.add(str(error), "triggerPolicy", "condition")
        return None


def _retry(said: Mapping[str, Any], problems: Problems) -> Retry:
    with problems.at("retryPolicy"):
        count, factor = said.get("maxRetryCount", 0), said.get("backoffFactor", 0.0) or 2.0
        if not 0 <= count <= MOST_RETRIES:
            problems.add(f"{count} retries: write a number from 0 to {MOST_RETRIES}", "maxRetryCount")
        if factor < 1:
            problems.add(f"{factor} would shorten the wait each time: write 1 or more", "backoffFactor")
        longest = _seconds(said, "backoffMaxDuration", problems)
        return Retry(count, _seconds(said, "backoffDuration", problems), factor, longest or 3600.0)


def _seconds(said: Mapping[str, Any], field: str, problems: Problems) -> float:
    text = said.get(field, "0s")
    found = DURATION.match(text)
    if found is None:
        problems.add(f"{text!r} is no duration: write seconds, 60s", field)
        return 0.0
    return float(found[1])


def _iterator(said: Mapping[str, Any], problems: Problems) -> Iterator | None:
    limit = said.get("iteratorPolicy", {}).get("parallelismLimit", 0)
    if limit < 0:
        problems.add(f"{limit} at a time: write 1 or more, or 0 for all", "iteratorPolicy", "parallelismLimit")
    if "artifactIterator" in said:
        found = said["artifactIterator"]
        source = found.get("items", {}).get("inputArtifact", "")
        return Iterator(found.get("itemInput", ""), source, artifacts=True, limit=limit)
    if "parameterIterator" not in said:
        return None
    found = said["parameterIterator"]
    items = found.get("items", {})
    raw = _raw(items["raw"], problems) if "raw" in items else None
    return Iterator(found.get("itemInput", ""), items.get("inputParameter", ""), raw, limit=limit)


def _raw(text: str, problems: Problems) -> tuple[Any, ...]:
    try:
        items = json.loads(text)
    except ValueError:
        items = None
    if not isinstance(items, list):
        problems.add(f"{text[:80]!r} is no list in JSON", "parameterIterator", "items", "raw")
        return ()
    return tuple(items)
