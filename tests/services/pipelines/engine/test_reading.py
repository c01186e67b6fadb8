"""A pipeline that cannot run is refused before anything runs, and the answer names the field."""

import json
from typing import Any

import pytest

from services.pipelines.adapters.spec import canonical, pipeline_of
from services.pipelines.domain.ir.graphs import MOST_TASKS
from services.pipelines.domain.ir.model import ContainerExecutor, Pipeline
from services.pipelines.domain.ir.problems import SpecError
from services.pipelines.domain.ir.reading import read
from services.pipelines.domain.ir.values import LARGEST, run_parameters
from tests.services.pipelines.engine.specs import document, each, graph, retried, step, task

ADD = step({"a": "NUMBER_INTEGER", "b": "NUMBER_INTEGER?"}, {"Output": "NUMBER_INTEGER"})
TASK = "root.dag.tasks"

BAD: dict[str, tuple[dict[str, Any], str, str]] = {
    "a circle": (
        document({"a": task("add", "c", a=1), "b": task("add", "a", a=1), "c": task("add", "b", a=1)}, {"add": ADD}),
        "root.dag.tasks",
        "wait for each other in a circle: a -> b -> c -> a",
    ),
    "itself": (document({"a": task("add", "a", a=1)}, {"add": ADD}), f"{TASK}.a.dependentTasks", "wait for itself"),
    "an unknown task": (
        document({"a": task("add", "b", a=1)}, {"add": ADD}),
        f"{TASK}.a.dependentTasks",
        "no task 'b'",
    ),
    "an unknown component": (
        document({"a": task("sub", a=1)}, {"add": ADD}),
        f"{TASK}.a.componentRef.name",
        "there is no component 'sub'",
    ),
    "an unknown executor": (
        document({"a": task("add", a=1)}, {"add": {**ADD, "executorLabel": "other"}}),
        "components.add.executorLabel",
        "there is no executor 'other'",
    ),
    "a missing input": (
        document({"a": task("add")}, {"add": ADD}),
        f"{TASK}.a.inputs.parameters.a",
        "the component 'add' needs it (NUMBER_INTEGER)",
    ),
    "an input of another type": (
        document({"a": task("add", a="many")}, {"add": ADD}),
        f"{TASK}.a.inputs.parameters.a",
        '"many" is not a whole number (NUMBER_INTEGER)',
    ),
    "an output handed on where another type is needed": (
        document(
            {"a": task("list"), "b": task("add", a=">a.Output")}, {"add": ADD, "list": step({}, {"Output": "LIST"})}
        ),
        f"{TASK}.b.inputs.parameters.a",
        "a LIST is handed on where a NUMBER_INTEGER is needed",
    ),
    "an output that there is not": (
        document({"a": task("add", a=1), "b": task("add", a=">a.Sum")}, {"add": ADD}),
        f"{TASK}.b.inputs.parameters.a",
        "the task 'a' gives no 'Sum' (it gives: Output)",
    ),
    "a graph's input that there is not": (
        document({"a": task("add", a="@n")}, {"add": ADD}),
        f"{TASK}.a.inputs.parameters.a",
        "the graph that the task stands in has no parameter 'n'",
    ),
    "a condition that is none": (
        document({"a": task("add", when="inputs.parameter_values['a'] === 2", a=1)}, {"add": ADD}),
        f"{TASK}.a.triggerPolicy.condition",
        "not understood at character 32",
    ),
    "a condition on what is not given": (
        document({"a": task("add", when="inputs.parameter_values['z'] == 2", a=1)}, {"add": ADD}),
        f"{TASK}.a.triggerPolicy.condition",
        "asks for the input 'z'",
    ),
    "items that are no list": (
        document({"a": each(task("add"), "a", "[1, 2")}, {"add": ADD}),
        f"{TASK}.a.parameterIterator.items.raw",
        "is no list in JSON",
    ),
    "an item for no input": (
        document({"a": each(task("add", a=1), "z", "[1]")}, {"add": ADD}),
        f"{TASK}.a.parameterIterator.itemInput",
        "has no input 'z'",
    ),
    "items from nowhere": (
        document({"a": each(task("add"), "a", "l")}, {"add": ADD}),
        f"{TASK}.a.parameterIterator.items",
        "given no input 'l'",
    ),
    "a wait that shrinks": (
        document({"a": retried(task("add", a=1), 2, factor=0.5)}, {"add": ADD}),
        f"{TASK}.a.retryPolicy.backoffFactor",
        "write 1 or more",
    ),
    "a component that holds itself": (
        document({"a": task("outer")}, {"outer": graph({"b": task("inner")}), "inner": graph({"c": task("outer")})}),
        "components.outer",
        "a component holds itself: outer -> inner -> outer",
    ),
    "sub-pipelines that unfold without end": (
        document(
            {"a": task("g0")},
            {f"g{n}": graph({f"t{i}": task(f"g{n + 1}") for i in range(8)}) for n in range(8)} | {"g8": step()},
        ),
        "root",
        f"at most {MOST_TASKS} are run",
    ),
    "a task that is a path": (
        document({"../a": task("add", a=1)}, {"add": ADD}),
        f"{TASK}.../a",
        "may hold no slash",
    ),
    "a name without end": (
        document({"a" * 254: task("add", a=1)}, {"add": ADD}),
        f"{TASK}.{'a' * 254}",
        "at most 253 are taken",
    ),
    "a kind without end": (
        document({"a": task("make")}, {"make": step({}, {"m": f"system.{'k' * 247}"})}),
        "components.make.outputDefinitions.artifacts.m.artifactType.schemaTitle",
        "at most 253 are taken",
    ),
    "no name": (
        {**document({"a": task("add", a=1)}, {"add": ADD}), "pipelineInfo": {}},
        "pipelineInfo.name",
        "needs a name",
    ),
    "another schema": (
        {**document({"a": task("add", a=1)}, {"add": ADD}), "schemaVersion": "1.0"},
        "schemaVersion",
        "'1.0' is not read here",
    ),
    "a field that KFP has not": (
        {**document({"a": task("add", a=1)}, {"add": ADD}), "rot": {}},
        "",
        'no field named "rot"',
    ),
    "an executor that is not run here": (
        {
            **document({"a": task("add", a=1)}, {"add": ADD}),
            "deploymentSpec": {"executors": {"exec": {"customJob": {}}}},
        },
        "deploymentSpec.executors.exec",
        "use a container",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_pipeline_that_cannot_run_is_refused_with_the_field_and_the_reason(case: str) -> None:
    said, field, message = BAD[case]
    with pytest.raises(SpecError) as refused:
        read(*canonical(said))
    found = [problem for problem in refused.value.problems if problem.field == field]
    assert found, refused.value.problems
    assert message in found[0].message


def test_all_problems_are_told_at_once() -> None:
    said = document({"a": task("add"), "b": task("gone")}, {"add": ADD})
    with pytest.raises(SpecError) as refused:
        read(*canonical(said))
    assert {problem.field.split(".")[3] for problem in refused.value.problems} == {"a", "b"}


def test_constants_and_defaults_have_the_component_s_types_though_protobuf_knows_no_integers() -> None:
    component = step({"a": "NUMBER_INTEGER", "f": "NUMBER_DOUBLE", "l": "STRUCT"})
    component["inputDefinitions"]["parameters"]["d"] = {"parameterType": "NUMBER_INTEGER", "defaultValue": 7.0}
    pipeline = read(*canonical(document({"t": task("c", a=3.0, f=2, l={"n": [1.0, 2.5]})}, {"c": component})))
    given = pipeline.root.dag.tasks["t"].parameters if pipeline.root.dag else {}
    assert [repr(given[name].source.value) for name in "afl"] == ["3", "2.0", "{'n': [1, 2.5]}"]  # type: ignore[union-attr]
    assert repr(pipeline.components["c"].inputs.parameters["d"].default) == "7"


def test_numbers_of_old_compilers_become_quantities_and_texts_go_before_them() -> None:
    said = document({"a": task("add", a=1)}, {"add": ADD})
    old = {"cpuLimit": 0.5, "memoryLimit": 0.536870912, "accelerator": {"type": "nvidia.com/gpu", "count": "2"}}
    executor = said["deploymentSpec"]["executors"]["exec"]["container"]
    executor["resources"] = {**old, "resourceCpuLimit": "{{$.inputs.parameters['cpu']}}"}
    found = read(*canonical(said)).executors["exec"]
    assert isinstance(found, ContainerExecutor)
    assert found.resources.cpu_limit == "{{$.inputs.parameters['cpu']}}"
    assert found.resources.memory_limit == "536870912"
    assert (found.resources.accelerator_type, found.resources.accelerator_count) == ("nvidia.com/gpu", "2")


def _with_inputs() -> Pipeline:
    inputs = {"n": "NUMBER_INTEGER", "x": "NUMBER_DOUBLE?", "s": "STRING?"}
    said = document({"a": task("add", a="@n")}, {"add": ADD}, inputs=inputs)
    said["root"]["inputDefinitions"]["parameters"]["s"]["defaultValue"] = "word"
    return read(*canonical(said))


def test_a_run_s_parameters_are_typed_and_completed() -> None:
    assert repr(run_parameters(_with_inputs().root, {"n": 3.0, "x": 2})) == "{'n': 3, 's': 'word', 'x': 2.0}"
    assert run_parameters(_with_inputs().root, {"n": 1, "s": None}) == {"n": 1, "s": "word"}


@pytest.mark.parametrize(
    ("given", "field", "message"),
    [
        ({}, "n", "the pipeline needs it (NUMBER_INTEGER) and it was not given"),
        ({"n": 1, "m": 2}, "m", "no such parameter (it has: n, s, x)"),
        ({"n": "3"}, "n", '"3" is not a whole number'),
        ({"n": 3.5}, "n", "3.5 is not a whole number"),
        ({"n": True}, "n", "true is not a whole number"),
        ({"n": 1, "x": 10**400}, "x", "is more than a number of this type can be"),
        ({"n": 1, "s": "x" * LARGEST}, "s", "hand on data as an artifact"),
    ],
)
def test_a_run_s_bad_parameter_is_named(given: dict[str, Any], field: str, message: str) -> None:
    with pytest.raises(SpecError) as refused:
        run_parameters(_with_inputs().root, given)
    problem = refused.value.problems[0]
    assert (problem.field, message in problem.message) == (f"runtime_config.parameters.{field}", True), problem


def test_what_is_stored_reads_as_what_was_sent() -> None:
    spec, platform = canonical(document({"a": task("add", a=1)}, {"add": ADD}))
    body = json.dumps({"pipeline_spec": spec, "platform_spec": platform})
    assert pipeline_of(body) == read(spec, platform)
