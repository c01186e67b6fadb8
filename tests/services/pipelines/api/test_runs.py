"""Runs over KFP's API: taken with typed parameters, found again, and refused before anything runs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

import services.pipelines
from libs.service.manifest import load
from services.pipelines.adapters.live import facts_of
from services.pipelines.domain.engine.words import RunOptions as EngineOptions
from services.pipelines.domain.runs import RunOptions
from tests.services.pipelines.api.conftest import Server, refused

Golden = Callable[[str], bytes]
SIMPLE = """
pipelineInfo: {name: simple}
schemaVersion: 2.1.0
sdkVersion: kfp-2.17.0
deploymentSpec: {executors: {exec-a: {container: {image: python:3.11}}}}
components: {comp-a: {executorLabel: exec-a}}
root:
  inputDefinitions:
    parameters:
      rows: {parameterType: NUMBER_INTEGER, defaultValue: 3.0}
      name: {parameterType: STRING}
  dag: {tasks: {a: {componentRef: {name: comp-a}, taskInfo: {name: a}}}}
"""


def simple(**more: Any) -> dict[str, Any]:
    spec: dict[str, Any] = {**yaml.safe_load(SIMPLE), **more}
    return spec


def importing(uri: Any) -> dict[str, Any]:
    """A pipeline that imports what `uri`, a source of the parameter, says."""
    spec = simple()
    spec["deploymentSpec"]["executors"]["exec-i"] = {
        "importer": {"artifactUri": {"runtimeParameter": "uri"}, "typeSchema": {"schemaTitle": "system.Dataset"}}
    }
    spec["components"]["comp-i"] = {
        "executorLabel": "exec-i",
        "inputDefinitions": {"parameters": {"uri": {"parameterType": "STRING"}}},
        "outputDefinitions": {
            "artifacts": {"artifact": {"artifactType": {"schemaTitle": "system.Dataset", "schemaVersion": "0.0.1"}}}
        },
    }
    task = {"componentRef": {"name": "comp-i"}, "taskInfo": {"name": "i"}, "inputs": {"parameters": {"uri": uri}}}
    spec["root"]["dag"]["tasks"] = {"i": task}
    return spec


def asked(**more: Any) -> dict[str, Any]:
    return {"pipeline_spec": simple(), "runtime_config": {"parameters": {"name": "x"}}, **more}


async def test_a_run_gets_its_defaults_a_place_and_the_default_experiment(server: Server):
    made = await server.post("/runs", asked())
    found = await server.get(f"/runs/{made['run_id']}")
    assert (found["display_name"], found["state"], found["storage_state"]) == ("simple", "PENDING", "AVAILABLE")
    assert found["runtime_config"]["parameters"] == {"rows": 3, "name": "x"}
    assert isinstance(found["runtime_config"]["parameters"]["rows"], int), "integers stay integers"
    assert found["runtime_config"]["pipeline_root"] == f"s3://millstream/pipelines/default/{made['run_id']}"
    assert found["pipeline_spec"]["pipelineInfo"]["name"] == "simple"
    experiment = await server.get(f"/experiments/{found['experiment_id']}")
    assert (experiment["display_name"], experiment["last_run_created_at"]) == ("Default", found["created_at"])
    assert await server.said() == ["pipelines.experiment.created.v1", "pipelines.run.created.v1"]


async def test_a_run_of_a_version_refers_to_it_and_takes_the_newest_where_none_is_named(server: Server):
    package = SIMPLE.encode()
    id = (await server.upload("/pipelines/upload", package, name="p")).json()["pipeline_id"]
    await server.clock.advance(1)
    newest = (await server.upload("/pipelines/upload_version", package, name="v2", pipelineid=id)).json()
    made = await server.post(
        "/runs", {"pipeline_version_reference": {"pipeline_id": id}, "runtime_config": {"parameters": {"name": "x"}}}
    )
    expected = {"pipeline_id": id, "pipeline_version_id": newest["pipeline_version_id"]}
    assert made["pipeline_version_reference"] == expected
    assert "pipeline_spec" not in await server.get(f"/runs/{made['run_id']}"), "the API knows one of the two"
    gone = {"pipeline_version_reference": {"pipeline_id": id, "pipeline_version_id": "gone"}}
    assert refused(await server.http.post("/runs", json=gone))[:2] == (404, 5)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a missing parameter": ({"runtime_config": {}}, "runtime_config.parameters.name"),
    "a text for a number": ({"runtime_config": {"parameters": {"name": "x", "rows": "3"}}}, "is not a whole number"),
    "an unknown parameter": ({"runtime_config": {"parameters": {"name": "x", "zz": 1}}}, "no such parameter"),
    "a huge parameter": ({"runtime_config": {"parameters": {"name": "x" * 2**21}}}, "at most 1048576"),
    "no pipeline": ({"pipeline_spec": None}, "send one of the two"),
    "two pipelines": ({"pipeline_version_reference": {"pipeline_id": "x"}}, "send one of the two"),
    "no experiment": ({"experiment_id": "gone"}, "experiment 'gone' not found"),
    "a root elsewhere": (
        {"runtime_config": {"parameters": {"name": "x"}, "pipeline_root": "s3://millstream/pipelines/team-b/x"}},
        "is not below s3://millstream/pipelines/default/",
    ),
    "a root that climbs": (
        {"runtime_config": {"parameters": {"name": "x"}, "pipeline_root": "s3://millstream/pipelines/default/../b"}},
        "is not below",
    ),
    "a root of the pipeline's own elsewhere": (
        {"pipeline_spec": simple(defaultPipelineRoot="gs://mine/x")},
        "'gs://mine/x' is not below",
    ),
    "an import from another namespace": (
        {"pipeline_spec": importing({"runtimeValue": {"constant": "s3://millstream/pipelines/team-b/x/data"}})},
        "belongs to another namespace",
    ),
    "an import of what the platform keeps for itself": (
        {"pipeline_spec": importing({"runtimeValue": {"constant": "s3://millstream/backups/2026/store"}})},
        "lies outside of this namespace's places: s3://millstream/pipelines/default/",
    ),
    "an import by a roundabout path": (
        {"pipeline_spec": importing({"runtimeValue": {"constant": "s3://millstream/models/default/../b/x"}})},
        "has a segment '.' or '..'",
    ),
    "an import by a parameter": (
        {
            "pipeline_spec": importing({"componentInputParameter": "name"}),
            "runtime_config": {"parameters": {"name": "s3://millstream/pipelines/team-b/x/data"}},
        },
        "belongs to another namespace",
    ),
}


async def test_what_cannot_run_is_refused_before_it_does(server: Server):
    for case, (more, told) in REFUSED.items():
        status, _, message = refused(await server.http.post("/runs", json=asked(**more)))
        assert status in (400, 404) and told in message, case
    assert await server.said() == [] and (await server.get("/runs"))["runs"] == []


async def test_runs_are_filtered_by_state_and_deleted_with_what_only_they_used(server: Server):
    made = [(await server.post("/runs", asked(display_name=name)))["run_id"] for name in ("a", "b")]
    await server.post(f"/runs/{made[0]}:terminate")
    filter = '{"predicates": [{"operation": "EQUALS", "key": "state", "string_value": "CANCELING"}]}'
    assert [run["run_id"] for run in (await server.get("/runs", filter=filter))["runs"]] == [made[0]]
    assert refused(await server.http.post(f"/runs/{made[1]}:archive"))[:2] == (400, 9)
    assert refused(await server.http.post(f"/runs/{made[1]}:retry"))[:2] == (400, 9)
    async with server.means.look() as needs:
        spec = (await needs.runs.get(made[0])).spec
    for left, id in ((True, made[0]), (False, made[1])):
        await server.delete(f"/runs/{id}")
        async with server.means.look() as needs:
            assert (await needs.catalog.document(spec) is not None) == left
    assert refused(await server.http.get(f"/runs/{made[0]}"))[:2] == (404, 5)


async def test_an_archived_experiment_takes_no_runs(server: Server):
    id = (await server.post("/experiments", {"display_name": "e"}))["experiment_id"]
    run = (await server.post("/runs", asked(experiment_id=id)))["run_id"]
    await server.post(f"/experiments/{id}:archive")
    assert (await server.get(f"/experiments/{id}"))["storage_state"] == "ARCHIVED"
    assert (await server.get(f"/runs/{run}"))["storage_state"] == "AVAILABLE", "it goes on"
    assert "is archived" in refused(await server.http.post("/runs", json=asked(experiment_id=id)))[2]
    await server.post(f"/experiments/{id}:unarchive")
    await server.post("/runs", asked(experiment_id=id))
    await server.delete(f"/experiments/{id}")
    assert (await server.get(f"/runs/{run}"))["experiment_id"] == id, "runs stay"


async def test_nobody_reaches_into_another_namespace(server: Server):
    theirs = (await server.post("/experiments", {"display_name": "e", "namespace": "team-b"}))["experiment_id"]
    run = (await server.post("/runs", asked(experiment_id=theirs)))["run_id"]
    pipeline = (await server.upload("/pipelines/upload", SIMPLE.encode(), namespace="team-b")).json()["pipeline_id"]
    assert (await server.get("/runs"))["runs"] == [], "who names no namespace sees the default one"
    server.rights.only = "team-a"
    mine = (await server.post("/experiments", {"display_name": "e", "namespace": "team-a"}))["experiment_id"]
    reference = {"pipeline_version_reference": {"pipeline_id": pipeline}, "pipeline_spec": None}
    answers = [
        await server.http.get(f"/runs/{run}"),
        await server.http.get("/runs", params={"experiment_id": theirs}),
        await server.http.get("/runs", params={"namespace": "team-b"}),
        await server.http.post(f"/runs/{run}:terminate"),
        await server.http.delete(f"/runs/{run}"),
        await server.http.post("/runs", json=asked(experiment_id=theirs)),
        await server.http.post("/runs", json=asked(experiment_id=mine, **reference)),
        await server.http.get(f"/pipelines/{pipeline}"),
        await server.http.get(f"/pipelines/{pipeline}/versions"),
        await server.http.delete(f"/pipelines/{pipeline}", params={"cascade": True}),
        await server.http.delete(f"/experiments/{theirs}"),
        await server.http.get("/auth", params={"namespace": "team-b", "resources": "RUNS", "verb": "GET"}),
    ]
    assert [refused(answer)[:2] for answer in answers] == [(403, 7)] * len(answers)
    await server.post("/runs", asked(experiment_id=mine))
    assert ("terminate", "runs.pipelines.kubeflow.org", "team-b") in server.rights.asked, "as KFP's own roles have it"
    guards = load(Path(services.pipelines.__file__).parent).guards
    writing = {(verb, what) for verb, what, _ in server.rights.asked if verb not in ("get", "list")}
    assert writing <= {(verb, what) for what, verbs in guards.items() for verb in verbs}, "its roles allow it"


async def test_a_run_is_told_when_to_end_and_what_not_to_reuse(server: Server):
    config = {
        "parameters": {"name": "x"},
        "fail_fast": True,
        "timeout_seconds": 60,
        "exit_timeout_seconds": 9,
        "caching": False,
    }
    made = await server.post("/runs", asked(runtime_config=config))
    async with server.means.look() as needs:
        run = await needs.runs.get(made["run_id"])
    assert run is not None and facts_of(run).options == EngineOptions(deadline_s=60.0, exits_s=9.0, fail_fast=True)
    assert run.options == RunOptions(cache=False, timeout_s=60.0, exits_s=9.0, fail_fast=True)
    for field, wrong in (("fail_fast", "yes"), ("timeout_seconds", 0), ("exit_timeout_seconds", 0), ("caching", 1)):
        answer = await server.http.post("/runs", json=asked(runtime_config={**config, field: wrong}))
        status, _, message = refused(answer)
        assert status == 400 and field.split("_")[0] in message
