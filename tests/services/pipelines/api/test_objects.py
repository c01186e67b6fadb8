"""Pipelines as objects of pipelines.kubeflow.org: applied by kubectl or uploaded over REST, both see the same."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from libs.base.errors import AlreadyExists, Invalid
from libs.resources import Resources
from services.pipelines.adapters import mirror, pipelineobjects
from services.pipelines.adapters.pipelineobjects import PIPELINE, PIPELINE_VERSION
from tests.services.pipelines.api.conftest import Server
from tests.services.pipelines.api.test_runs import simple

Object = dict[str, Any]
KINDS = (PIPELINE, PIPELINE_VERSION)
ONE = {"displayName": "The one", "description": "d", "tags": {"team": "blue"}}
FACTS = ("pipelines.pipeline.created.v1", "pipelines.pipelineversion.created.v1")


def cluster(server: Server) -> Resources:
    ports = server.ports
    return Resources(ports.store, KINDS, clock=ports.clock, ids=ports.ids, source="millstream/pipelines")


def obj(kind: Any, name: str, **spec: Any) -> Object:
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": name}, "spec": spec}


async def applied(here: Resources, kind: Any, name: str, **spec: Any) -> Object:
    return await here.apply(kind, obj(kind, name, **spec), namespace="default", manager="kubectl")


async def named(here: Resources, kind: Any) -> list[str]:
    return [each["metadata"]["name"] for each in (await here.list(kind)).items]


async def test_what_is_applied_is_found_over_rest_and_changes_and_goes_with_it(server: Server):
    here = cluster(server)
    pipeline = await applied(here, PIPELINE, "one", **ONE)
    version = await applied(
        here, PIPELINE_VERSION, "one-v1", pipelineName="one", versionName="v1", pipelineSpec=simple()
    )
    id = pipeline["metadata"]["uid"]
    found = await server.get("/pipelines/names/one")
    assert (found["pipeline_id"], found["display_name"], found["tags"]) == (id, "The one", {"team": "blue"})
    [kept] = (await server.get(f"/pipelines/{id}/versions"))["pipeline_versions"]
    assert (kept["pipeline_version_id"], kept["name"]) == (version["metadata"]["uid"], "v1")
    assert version["status"]["conditions"][0]["reason"] == "READY"
    assert version["metadata"]["labels"] == {
        "pipelines.kubeflow.org/pipeline": "one",
        "pipelines.kubeflow.org/pipeline-id": id,
    }
    reference = {"pipeline_version_reference": {"pipeline_id": id}, "runtime_config": {"parameters": {"name": "x"}}}
    assert (await server.post("/runs", {"display_name": "r", **reference}))["run_id"], "it runs as an upload does"
    await applied(here, PIPELINE, "one", description="other")
    told = await server.get(f"/pipelines/{id}")
    assert (told["description"], told["display_name"], told.get("tags")) == ("other", "one", None)
    await here.delete(PIPELINE, "default", "one")
    assert (await server.get("/pipelines"))["pipelines"] == [] and await named(here, PIPELINE_VERSION) == []
    said = [each for each in await server.said() if "pipelines.pipeline" in each]
    assert said == [
        *FACTS, "pipelines.pipeline.updated.v1", "pipelines.pipelineversion.deleted.v1", "pipelines.pipeline.deleted.v1"
    ]  # fmt: skip


async def test_what_is_uploaded_is_an_object_and_changes_and_goes_with_it(server: Server):
    here = cluster(server)
    both = {
        "pipeline": {"name": "one", "display_name": "The one"},
        "pipeline_version": {"name": "one", "pipeline_spec": simple()},
    }
    id = (await server.post("/pipelines/create", both))["pipeline_id"]
    second = await server.post(f"/pipelines/{id}/versions", {"name": "v2", "pipeline_spec": simple()})
    pipeline = await here.get(PIPELINE, "default", "one")
    assert (pipeline["metadata"]["uid"], pipeline["spec"]) == (id, {"displayName": "The one"})
    assert await named(here, PIPELINE_VERSION) == ["one", "one-v2"], "as KFP names them"
    version = await here.get(PIPELINE_VERSION, "default", "one-v2")
    assert version["metadata"]["uid"] == second["pipeline_version_id"]
    assert (version["spec"]["pipelineName"], version["spec"]["versionName"]) == ("one", "v2")
    assert version["spec"]["pipelineSpec"] == second["pipeline_spec"]
    await server.http.patch(f"/pipelines/{id}/versions/{second['pipeline_version_id']}", json={"description": "new"})
    changed = await here.get(PIPELINE_VERSION, "default", "one-v2")
    assert (changed["spec"]["description"], changed["metadata"]["generation"]) == ("new", 2)
    await server.delete(f"/pipelines/{id}", cascade=True)
    assert await named(here, PIPELINE) == await named(here, PIPELINE_VERSION) == []
    said = await server.said()
    assert [said.count(fact) for fact in FACTS] == [1, 2]


async def test_names_that_no_object_may_have_get_others_and_taken_ones_too(server: Server):
    here = cluster(server)
    odd = await server.post("/pipelines", {"display_name": "My Pipeline (new)"})
    await server.post(f"/pipelines/{odd['pipeline_id']}/versions", {"name": "Été", "pipeline_spec": simple()})
    [name] = await named(here, PIPELINE)
    assert name.startswith("my-pipeline-new-")
    [version] = (await here.list(PIPELINE_VERSION)).items
    assert version["spec"]["pipelineName"] == name and "versionName" not in version["spec"]
    assert version["metadata"]["annotations"] == {"millstream.dev/name": "Été"}
    await applied(here, PIPELINE, name, description="seen")
    assert (await server.get(f"/pipelines/{odd['pipeline_id']}"))["name"] == "My Pipeline (new)", "it keeps its name"
    for pipeline, of in (("a-b", "c"), ("a", "b-c")):
        id = (await server.post("/pipelines", {"name": pipeline}))["pipeline_id"]
        await server.post(f"/pipelines/{id}/versions", {"name": of, "pipeline_spec": simple()})
    assert len([each for each in await named(here, PIPELINE_VERSION) if each.startswith("a-b-c")]) == 2
    await server.delete(f"/pipelines/{id}", cascade=True)
    assert "a-b-c" in await named(here, PIPELINE_VERSION), "the other one's stays"


async def test_what_is_refused_as_an_upload_is_refused_and_nothing_of_it_stays(server: Server):
    here = cluster(server)
    with pytest.raises(Invalid, match="there is no Pipeline 'one'"):
        await applied(here, PIPELINE_VERSION, "v", pipelineName="one", pipelineSpec=simple())
    await applied(here, PIPELINE, "one")
    broken = {**simple(), "components": {}}
    for rehearsal in (True, False):
        with pytest.raises(Invalid) as told:
            wrong = obj(PIPELINE_VERSION, "v", pipelineName="one", pipelineSpec=broken)
            await here.create(PIPELINE_VERSION, wrong, namespace="default", dry_run=rehearsal)
        assert any(cause.field.startswith("spec.pipelineSpec.") for cause in told.value.causes)
    for kind, spec in ((PIPELINE, {}), (PIPELINE_VERSION, {"pipelineName": "one", "pipelineSpec": simple()})):
        long = obj(kind, "two", **spec)
        long["metadata"]["annotations"] = {"millstream.dev/name": "x" * 254}
        with pytest.raises(Invalid, match="has 254 characters, may have 253"):
            await here.create(kind, long, namespace="default")
    good = obj(PIPELINE_VERSION, "v", pipelineName="one", pipelineSpec=simple())
    await here.create(PIPELINE_VERSION, good, namespace="default", dry_run=True)
    assert await named(here, PIPELINE_VERSION) == [] and await server.said() == ["pipelines.pipeline.created.v1"]
    made = await here.create(PIPELINE_VERSION, good, namespace="default")
    id = (await server.get("/pipelines/names/one"))["pipeline_id"]
    assert (await server.get(f"/pipelines/{id}/versions"))["total_size"] == 1
    with pytest.raises(Invalid, match="cannot be changed: make another version"):
        change = {"spec": {"pipelineSpec": {"pipelineInfo": {"name": "another"}}}}
        await here.patch(PIPELINE_VERSION, "default", "v", change)
    with pytest.raises(AlreadyExists, match="named 'v' already exists"):
        await applied(here, PIPELINE_VERSION, "w", pipelineName="one", versionName="v", pipelineSpec=simple())
    with pytest.raises(Invalid, match="a version goes with its Pipeline"):
        await here.delete(PIPELINE, "default", "one", propagation="Orphan")
    bare = {**made, "metadata": {"name": "v", "namespace": "default"}}
    assert (await here.replace(PIPELINE_VERSION, "default", "v", bare))["metadata"]["ownerReferences"]
    assert (await server.get(f"/pipelines/{id}/versions"))["total_size"] == 1


async def test_a_pipeline_is_compiled_while_others_write(server: Server, monkeypatch: pytest.MonkeyPatch):
    here, ports = cluster(server), server.ports
    await applied(here, PIPELINE, "one")
    compiled, written = pipelineobjects.compiled, asyncio.Event()

    async def write() -> None:
        async with ports.store.write() as uow:
            await uow.set_meta("other", "written")
        written.set()

    loop = asyncio.get_running_loop()

    def slowly(sent: Any) -> Any:
        asyncio.run_coroutine_threadsafe(write(), loop).result(timeout=10)
        return compiled(sent)

    monkeypatch.setattr(pipelineobjects, "compiled", slowly)
    monkeypatch.setattr(pipelineobjects, "_compiled", {})
    await applied(here, PIPELINE_VERSION, "v", pipelineName="one", pipelineSpec=simple())
    assert written.is_set() and await named(here, PIPELINE_VERSION) == ["v"]


async def test_pipelines_of_before_there_were_objects_become_some_once(server: Server):
    here = cluster(server)
    both = {"pipeline": {"name": "one"}, "pipeline_version": {"name": "v", "pipeline_spec": simple()}}
    await server.post("/pipelines/create", both)
    async with server.ports.store.write() as uow:
        await uow.later("DELETE FROM objects")
    for _ in range(2):
        await mirror.mirrored(server.ports.store, server.clock, server.ports.ids)
        assert (await named(here, PIPELINE), await named(here, PIPELINE_VERSION)) == (["one"], ["one-v"])
    assert len([fact for fact in await server.said() if fact in FACTS]) == 2, "it is no news"
