"""Pipelines in their compiled form, written short: what a test is about stands in the test, the rest here."""

from collections.abc import Mapping
from typing import Any

from services.pipelines.adapters.spec import canonical
from services.pipelines.domain.ir.model import Pipeline
from services.pipelines.domain.ir.reading import read

Json = dict[str, Any]


def step(inputs: Mapping[str, str] = {}, outputs: Mapping[str, str] = {}, **more: Any) -> Json:
    """A component with parameters only: name -> type; a type with `?` is optional, an artifact's starts with system."""
    return {"executorLabel": "exec", **faces(inputs, outputs), **more}


def faces(inputs: Mapping[str, str], outputs: Mapping[str, str]) -> Json:
    return {"inputDefinitions": _face(inputs), "outputDefinitions": _face(outputs)}


def _face(said: Mapping[str, str]) -> Json:
    face: Json = {"parameters": {}, "artifacts": {}}
    for name, kind in said.items():
        word = kind.removesuffix("?").removesuffix("*")
        optional = {"isOptional": True} if kind.endswith("?") else {}
        if word.startswith("system."):
            several = {"isArtifactList": True} if kind.endswith("*") else {}
            face["artifacts"][name] = {"artifactType": {"schemaTitle": word}, **optional, **several}
        else:
            face["parameters"][name] = {"parameterType": word, **optional}
    return face


def graph(tasks: Mapping[str, Json], inputs: Mapping[str, str] = {}, gives: Mapping[str, str] = {}) -> Json:
    """`gives`: output -> `task.output` (a LIST, which is what loops collect)."""
    chosen = {
        name: {"valueFromParameter": dict(zip(("producerSubtask", "outputParameterKey"), at.split("."), strict=True))}
        for name, at in gives.items()
    }
    return {
        "dag": {"tasks": dict(tasks), "outputs": {"parameters": chosen}},
        **faces(inputs, dict.fromkeys(gives, "LIST")),
    }


def task(component: str, *after: str, always: bool = False, when: str = "", **inputs: Any) -> Json:
    """Inputs: `"@name"` is the graph's input, `">task.output"` another task's output, `"!task"` its final status, all
    else a constant."""
    said: Json = {
        "componentRef": {"name": component},
        "dependentTasks": list(after),
        "inputs": {"parameters": {name: _source(value) for name, value in inputs.items()}},
    }
    policy = {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"} if always else {}
    if when:
        policy["condition"] = when
    return {**said, "triggerPolicy": policy} if policy else said


def _source(value: Any) -> Json:
    if isinstance(value, str) and value.startswith("@"):
        return {"componentInputParameter": value[1:]}
    if isinstance(value, str) and value.startswith(">"):
        producer, output = value[1:].split(".")
        return {"taskOutputParameter": {"producerTask": producer, "outputParameterKey": output}}
    if isinstance(value, str) and value.startswith("!"):
        return {"taskFinalStatus": {"producerTask": value[1:]}}
    return {"runtimeValue": {"constant": value}}


def each(said: Json, item: str, items: str, limit: int = 0) -> Json:
    """The task as a loop: over the items in JSON, or over those of an input."""
    source = {"raw": items} if items.startswith("[") else {"inputParameter": items}
    policy = {"iteratorPolicy": {"parallelismLimit": limit}} if limit else {}
    return {**said, "parameterIterator": {"itemInput": item, "items": source}, **policy}


def retried(said: Json, count: int, wait: str = "0s", factor: float = 2.0, longest: str = "3600s") -> Json:
    policy = {
        "maxRetryCount": count,
        "backoffDuration": wait,
        "backoffFactor": factor,
        "backoffMaxDuration": longest,
    }
    return {**said, "retryPolicy": policy}


def document(tasks: Mapping[str, Json], components: Mapping[str, Json], **root: Any) -> Json:
    return {
        "pipelineInfo": {"name": "tested"},
        "schemaVersion": "2.1.0",
        "deploymentSpec": {"executors": {"exec": {"container": {"image": "python:3.11"}}}},
        "components": dict(components),
        "root": graph(tasks, **root),
    }


def pipeline(tasks: Mapping[str, Json], components: Mapping[str, Json], **root: Any) -> Pipeline:
    return read(*canonical(document(tasks, components, **root)))
