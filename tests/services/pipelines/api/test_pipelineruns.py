"""PipelineRuns become runs, once; the conductor does not run, so that runs stay as they are."""

from datetime import UTC, datetime
from typing import Any

import pytest

from libs.base import Invalid
from libs.resources.reconcile import Context, Key
from services.pipelines.adapters.pipelineruns import PIPELINERUN, PipelineRuns
from tests.services.pipelines.api.conftest import Server
from tests.services.pipelines.api.test_runs import SIMPLE, simple

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HERE = ("team", "once")


async def made(server: Server) -> PipelineRuns:
    obj = {
        "apiVersion": PIPELINERUN.api_version,
        "kind": "PipelineRun",
        "metadata": {"namespace": HERE[0], "name": HERE[1]},
        "spec": {
            "pipelineSpec": simple(),
            "parameters": {"name": "x"},
            "failFast": True,
            "timeoutSeconds": 9,
            "exitTimeoutSeconds": 5,
        },
    }
    await server.ports.resources.create(PIPELINERUN, obj)
    return PipelineRuns(server.means)


async def reconciled(server: Server, of: PipelineRuns) -> dict[str, Any]:
    ports = server.ports
    await of.reconcile(Key(*HERE), Context(ports.resources, ports.store, server.clock, ports.ids))
    found = await ports.resources.find(PIPELINERUN, *HERE)
    assert found is not None
    return found


async def test_a_run_that_somebody_deletes_does_not_begin_a_second_time(server: Server):
    of = await made(server)
    id = (await reconciled(server, of))["status"]["runId"]
    async with server.means.look() as needs:
        run = await needs.runs.get(id)
    assert run is not None and (run.options.fail_fast, run.options.timeout_s) == (True, 9.0)
    await server.delete(f"/runs/{id}")
    for _ in range(2):
        told = (await reconciled(server, of))["status"]
        assert (told["state"], told["runId"], told["conditions"][0]["reason"]) == ("FAILED", id, "RunDeleted")
    said = await server.said()
    assert said.count("pipelines.run.created.v1") == said.count("pipelines.pipelinerun.failed.v1") == 1


async def test_a_deleted_object_ends_its_run_once_and_only_looks_while_that_ends(server: Server):
    of = await made(server)
    await reconciled(server, of)
    await server.ports.resources.delete(PIPELINERUN, *HERE)
    await reconciled(server, of)
    async with server.ports.store.write():  # nobody else writes meanwhile
        obj = await reconciled(server, of)
    assert obj["metadata"]["finalizers"]
    assert (await server.said()).count("pipelines.run.terminated.v1") == 1


async def wanted(server: Server, name: str, parameters: dict[str, Any], **source: Any) -> Any:
    spec = {"parameters": parameters, **source}
    meta = {"namespace": HERE[0], "name": name}
    obj = {"apiVersion": PIPELINERUN.api_version, "kind": "PipelineRun", "metadata": meta, "spec": spec}
    return await server.ports.resources.create(PIPELINERUN, obj)


async def test_parameters_that_its_pipeline_does_not_take_are_refused_on_write(server: Server):
    await server.upload("/pipelines/upload", SIMPLE.encode(), name="kept", namespace=HERE[0])
    for source in ({"pipelineSpec": simple()}, {"pipelineRef": {"name": "kept"}}):
        with pytest.raises(Invalid) as refused:
            await wanted(server, "wrong", {"name": "x", "colour": 1, "rows": "many"}, **source)
        assert [cause.field for cause in refused.value.causes] == ["spec.parameters.colour", "spec.parameters.rows"]
        assert "no such parameter (it has: name, rows)" in refused.value.message
        with pytest.raises(Invalid, match=r"spec.parameters.name: the pipeline needs it \(STRING\)"):
            await wanted(server, "wrong", {}, **source)
    broken = simple(root={"dag": {"tasks": {"a": {"componentRef": {"name": "comp-b"}}}}})
    with pytest.raises(Invalid, match=r"spec.pipelineSpec.root.dag.tasks.a"):
        await wanted(server, "wrong", {}, pipelineSpec=broken)
    await wanted(server, "right", {"name": "x"}, pipelineRef={"name": "kept"})


async def test_of_a_pipeline_that_is_not_there_the_object_and_an_event_tell(server: Server):
    await wanted(server, HERE[1], {"name": "x"}, pipelineRef={"name": "later"})
    told = (await reconciled(server, PipelineRuns(server.means)))["status"]["conditions"][0]
    assert (told["status"], told["reason"], told["message"]) == ("False", "Refused", "pipeline 'later' not found")
    assert "pipelines.pipelinerun.failed.v1" in await server.said()


def test_a_table_says_why_a_run_failed():
    [why] = [column.value for column in PIPELINERUN.columns if column.name == "Why"]
    assert callable(why)
    failed = {"type": "Succeeded", "status": "False", "message": "task `train` failed: no memory\nmore of it"}
    assert why({"status": {"conditions": [failed]}}, NOW) == "task `train` failed: no memory"
    assert len(why({"status": {"conditions": [{**failed, "message": "x" * 500}]}}, NOW)) == 80
    assert why({"status": {"conditions": [{**failed, "status": "Unknown"}]}}, NOW) == why({}, NOW) == ""
