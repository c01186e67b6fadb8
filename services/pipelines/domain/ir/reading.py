"""Reads a compiled pipeline (the canonical JSON of KFP's protobufs) into the model, or says all that is wrong with it.

What the protobufs themselves forbid (unknown fields, a text for a number) adapters/spec.py has refused before.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from services.pipelines.domain.ir.attachments import check_documents
from services.pipelines.domain.ir.executors import read_executor
from services.pipelines.domain.ir.graphs import check_nesting, downstream, ordered
from services.pipelines.domain.ir.interfaces import NAME_MAX, read_interface
from services.pipelines.domain.ir.model import (
    ROOT,
    Component,
    Dag,
    DagOutput,
    Executor,
    FromTask,
    Interface,
    Pipeline,
    Task,
)
from services.pipelines.domain.ir.problems import Problems
from services.pipelines.domain.ir.settings import Sources, by_component, given
from services.pipelines.domain.ir.tasks import exits, read_task
from services.pipelines.domain.ir.wiring import Faces, Wiring

SCHEMAS = ("2.0.0", "2.1.0")


def read(spec: Mapping[str, Any], platform: Mapping[str, Any] | None = None) -> Pipeline:
    """The pipeline; SpecError names every field that is wrong. `platform` is the document of platforms, if there is."""
    problems = Problems()
    _head(spec, problems)
    executors = _executors(spec, problems)
    kubernetes = (platform or {}).get("platforms", {}).get("kubernetes", {})
    documents = kubernetes.get("deploymentSpec", {}).get("executors", {})
    late = by_component(spec, documents) if check_documents(documents, problems) else {}
    components = _components(spec, executors, late, problems)
    check_nesting(components, ROOT, problems)
    _config(kubernetes.get("pipelineConfig", {}), problems)
    problems.raise_any()
    info = spec.get("pipelineInfo", {})
    return Pipeline(
        name=info.get("name", ""),
        components=components,
        executors=executors,
        display_name=info.get("displayName", ""),
        description=info.get("description", ""),
        schema_version=spec.get("schemaVersion", ""),
        sdk_version=spec.get("sdkVersion", ""),
        default_root=spec.get("defaultPipelineRoot", ""),
        kubernetes=documents,
        config=kubernetes.get("pipelineConfig", {}),
    )


def _head(spec: Mapping[str, Any], problems: Problems) -> None:
    if not spec.get("pipelineInfo", {}).get("name"):
        problems.add("a pipeline needs a name", "pipelineInfo", "name")
    if spec.get("schemaVersion") not in SCHEMAS:
        known = " and ".join(SCHEMAS)
        problems.add(f"{spec.get('schemaVersion', '')!r} is not read here, only {known}", "schemaVersion")
    if "dag" not in spec.get("root", {}):
        problems.add("the root must be a graph of tasks (dag)", "root")


def _config(said: Mapping[str, Any], problems: Problems) -> None:
    for name, value in said.items():
        if isinstance(value, int) and value < 0:
            field = ("platforms", "kubernetes", "pipelineConfig", name)
            problems.add(f"{value} seconds: write 0 or more", *field)


def _executors(spec: Mapping[str, Any], problems: Problems) -> dict[str, Executor]:
    found: dict[str, Executor] = {}
    for name, said in spec.get("deploymentSpec", {}).get("executors", {}).items():
        with problems.at("deploymentSpec", "executors", name):
            executor = read_executor(name, said, problems)
            if executor is not None:
                found[name] = executor
    return found


def _components(
    spec: Mapping[str, Any], executors: Mapping[str, Executor], settings: Mapping[str, Sources], problems: Problems
) -> dict[str, Component]:
    """All interfaces are read first, since tasks are checked against those of their components."""
    said = dict(spec.get("components", {}))
    if ROOT in said:
        problems.add("this name is the pipeline's own: call the component otherwise", "components", ROOT)
    said[ROOT] = spec.get("root", {})
    takes: dict[str, Interface] = {}
    gives: dict[str, Interface] = {}
    for name, each in said.items():
        with problems.at(*_place(name)):
            takes[name] = _interface(each, "inputDefinitions", problems)
            gives[name] = _interface(each, "outputDefinitions", problems)
    faces = Faces(takes, gives)
    found: dict[str, Component] = {}
    for name, each in said.items():
        with problems.at(*_place(name)):
            found[name] = _component(name, each, faces, executors, settings, problems)
    return found


def _place(name: str) -> tuple[str, ...]:
    return (ROOT,) if name == ROOT else ("components", name)


def _interface(said: Mapping[str, Any], field: str, problems: Problems) -> Interface:
    with problems.at(field):
        return read_interface(said.get(field, {}), problems)


def _component(
    name: str,
    said: Mapping[str, Any],
    faces: Faces,
    executors: Mapping[str, Executor],
    settings: Mapping[str, Sources],
    problems: Problems,
) -> Component:
    label, dag = said.get("executorLabel"), None
    if "dag" in said:
        with problems.at("dag"):
            dag = _dag(said["dag"], faces, faces.inputs[name], settings, problems)
    elif label is None:
        problems.add("a component needs an executorLabel or a dag")
    elif label not in executors:
        problems.add(f"there is no executor {label!r} in the deploymentSpec", "executorLabel")
    passed = {each.get("field", ""): each.get("applyToTask", False) for each in said.get("taskConfigPassthroughs", ())}
    return Component(name, faces.inputs[name], faces.outputs[name], dag, None if dag else label, passed)


def _dag(
    said: Mapping[str, Any], faces: Faces, inputs: Interface, settings: Mapping[str, Sources], problems: Problems
) -> Dag:
    tasks: dict[str, Task] = {}
    beside = said.get("tasks", {})
    for name, each in sorted(beside.items()):  # protobuf's maps have no order of their own
        with problems.at("tasks", name):
            _check_name(name, problems)
            task = read_task(name, each, problems)
            task = replace(task, exits=exits(task, beside))
            tasks[name] = given(task, settings.get(task.component, ()), inputs.parameters, beside)
    wiring = Wiring(faces, inputs, tasks, problems)
    wired: dict[str, Task] = {}
    for name, task in tasks.items():
        with problems.at("tasks", name):
            wired[name] = wiring.wired(task)
    with problems.at("outputs"):
        outputs = said.get("outputs", {})
        parameters = {name: _parameter_output(each) for name, each in outputs.get("parameters", {}).items()}
        artifacts = {name: _artifact_output(each) for name, each in outputs.get("artifacts", {}).items()}
        _check_outputs(wiring, parameters, "parameters", problems)
        _check_outputs(wiring, artifacts, "artifacts", problems)
    return Dag(ordered(wired, problems), downstream(wired), parameters, artifacts)


def _check_name(name: str, problems: Problems) -> None:
    """A task's name becomes part of paths: of keys in the bucket and of folders."""
    if not name or "/" in name or name in (".", "..") or any(ord(sign) < 32 for sign in name):
        problems.add(f"{name!r} cannot be the name of a task: it may hold no slash and no control characters")
    if len(name) > NAME_MAX:
        problems.add(f"a name of {len(name)} characters: at most {NAME_MAX} are taken")


def _check_outputs(wiring: Wiring, outputs: Mapping[str, DagOutput], field: str, problems: Problems) -> None:
    with problems.at(field):
        for name, output in outputs.items():
            wiring.output(name, output, field == "artifacts")


def _parameter_output(said: Mapping[str, Any]) -> DagOutput:
    one = said.get("valueFromParameter")
    found = [one] if one is not None else said.get("valueFromOneof", {}).get("parameterSelectors", ())
    return DagOutput(tuple(FromTask(e.get("producerSubtask", ""), e.get("outputParameterKey", "")) for e in found))


def _artifact_output(said: Mapping[str, Any]) -> DagOutput:
    found = said.get("artifactSelectors", ())
    return DagOutput(tuple(FromTask(e.get("producerSubtask", ""), e.get("outputArtifactKey", "")) for e in found))
