"""Artifacts that somebody records from outside: found again where those of steps are, and nowhere else."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import pytest

from services.pipelines.adapters.ledger import PUT_TASK
from services.pipelines.domain.engine.records import Kind, State, TaskRecord
from services.pipelines.domain.runs import task_uid
from tests.services.pipelines.api.conftest import Server, refused
from tests.services.pipelines.api.test_runs import asked

MODEL = {"name": "champion", "type": "Model", "uri": "s3://elsewhere/champion", "metadata": {"auc": 0.91}}


async def ran(server: Server) -> tuple[str, str]:
    """A run with one task that is recorded as done."""
    run = (await server.post("/runs", asked()))["run_id"]
    uid = task_uid(run, "root/train")
    record = TaskRecord("root/train", uid, "root", "train", "train", Kind.STEP, "comp-train", State.SUCCEEDED)
    async with server.ports.store.write() as uow:
        await uow.later(PUT_TASK, uid, run, "root/train", 0, "SUCCEEDED", 1, "", json.dumps(record.to_json()))
    return run, uid


async def test_an_artifact_recorded_from_outside_is_found_in_its_namespace_and_said_once(server: Server):
    made = await server.post("/artifacts", {"artifact": {**MODEL, "namespace": "team-a", "description": "the best"}})
    assert (made["type"], made["artifact_type"], made["namespace"]) == ("Model", "system.Model", "team-a")
    assert made["metadata"] == {"auc": 0.91, "description": "the best"} and made["digest"] == ""
    assert await server.get(f"/artifacts/{made['artifact_id']}") == made
    assert (await server.get("/artifacts", namespace="team-a"))["artifacts"] == [made]
    assert (await server.get("/artifacts"))["artifacts"] == []
    assert await server.said() == ["pipelines.artifact.recorded.v1"]
    metric = {"name": "loss", "type": 6, "number_value": 0.25}
    many = [{"artifact": metric}, {"artifact": {**MODEL, "type": "system.Dataset"}}]
    told = (await server.post("/artifacts:batchCreate", {"artifacts": many}))["artifacts"]
    assert [each["type"] for each in told] == ["Metric", "Dataset"], "not KFP's words"
    assert (told[0]["number_value"], made["description"]) == (0.25, "the best")
    for value in ({"string_value": "Metric"}, {"string_value": "system.Metrics"}):
        wanted = json.dumps({"predicates": [{"operation": "EQUALS", "key": "type", **value}]})
        assert [each["name"] for each in (await server.get("/artifacts", filter=wanted))["artifacts"]] == ["loss"]
    assert (told[0]["metadata"], told[0]["uri"]) == ({"loss": 0.25}, "")


async def test_an_artifact_of_a_task_stands_in_its_lineage(server: Server):
    run, task = await ran(server)
    form = {"artifact": MODEL, "run_id": run, "task_id": task, "producer_key": "model", "type": "OUTPUT"}
    model = (await server.post("/artifacts", form))["artifact_id"]
    data = (await server.post("/artifacts", {"artifact": {**MODEL, "name": "rows", "type": "Dataset"}}))["artifact_id"]
    link = {"artifact_id": data, "task_id": task, "type": "TASK_OUTPUT_INPUT", "key": "table"}
    for _ in range(2):  # once more is as once
        told = await server.post("/artifact_tasks", {"artifact_task": link})
    assert told["run_id"] == run
    around = await server.get(f"http://pipelines/pipelines/v1/artifacts/{model}/lineage", direction="up")
    assert {one["name"] for one in around["artifacts"]} == {"champion", "rows"}
    assert [each["type"] for each in (await server.get("/artifact_tasks", run_ids=run))["artifact_tasks"]] == [
        "TASK_OUTPUT_INPUT",
        "OUTPUT",
    ]
    page = await server.get("/artifact_tasks", task_ids=task, page_size=1)
    assert (page["total_size"], page["next_page_token"]) == (2, "1")
    [last] = (await server.get("/artifact_tasks", task_ids=task, page_size=1, page_token="1"))["artifact_tasks"]
    assert (last["artifact_id"], last["key"]) == (model, "model")
    assert (await server.get("/artifact_tasks", run_ids=run, artifact_ids=data))["total_size"] == 1
    assert (await server.get("/artifact_tasks", run_ids=run, type="OUTPUT"))["total_size"] == 1
    [shown] = (await server.get("/tasks", run_id=run))["tasks"]
    assert shown == await server.get(f"/tasks/{task}") and shown["state"] == "SUCCEEDED"
    assert (await server.said()).count("pipelines.artifact.linked.v1") == 2


WRONG: dict[str, tuple[dict[str, Any], int, str]] = {
    "no name": ({"name": " "}, 400, "artifact.name: missing"),
    "no type": ({"type": None}, 400, "artifact.type: None is not one of Artifact, Model"),
    "a type of nobody": ({"type": "Painting"}, 400, "artifact.type: 'Painting' is not one of"),
    "a number that is none": ({"number_value": float("nan")}, 400, "artifact.number_value: nan is no number"),
    "no URI": ({"uri": "a\nb"}, 400, "artifact.uri: 'a\\nb' is no URI"),
    "another namespace's": ({"uri": "s3://millstream/pipelines/other/x"}, 403, "belongs to another namespace"),
    "the platform's own": ({"uri": "s3://millstream/backups/x"}, 403, "lies outside of this namespace's places"),
    "much metadata": ({"metadata": {"a": "x" * 2**20}}, 400, "artifact.metadata: more than"),
    "a namespace of nobody": ({"namespace": "A!"}, 400, "namespace: 'A!' is not a name"),
}


@pytest.mark.parametrize("case", WRONG)
async def test_an_artifact_that_makes_no_sense_is_refused_by_its_field(server: Server, case: str):
    more, status, message = WRONG[case]
    sent = json.dumps({"artifact": {**MODEL, **more}})
    answer = await server.http.post("/artifacts", content=sent, headers={"content-type": "application/json"})
    found = refused(answer)
    assert found[0] == status and message in found[2]
    assert (await server.get("/artifacts"))["artifacts"] == [] and await server.said() == []


async def test_nobody_records_or_links_where_they_have_no_rights(server: Server):
    run, task = await ran(server)
    mine = (await server.post("/artifacts", {"artifact": MODEL}))["artifact_id"]
    theirs = (await server.post("/artifacts", {"artifact": {**MODEL, "namespace": "theirs"}}))["artifact_id"]
    link = {"artifact_id": theirs, "task_id": task, "type": "OUTPUT"}
    other = await server.http.post("/artifact_tasks", json={"artifact_task": link})
    assert refused(other)[0] == 400 and "it is of the namespace 'theirs'" in refused(other)[2]
    gone = await server.http.post("/artifacts", json={"artifact": MODEL, "run_id": run, "task_id": "nothing"})
    assert refused(gone)[0] == 400 and "has no task 'nothing'" in refused(gone)[2]
    nothing = await server.http.get("/artifact_tasks")
    assert refused(nothing)[0] == 400 and "give 1 to" in refused(nothing)[2]
    before = await server.said()
    server.rights.only = "theirs"
    answers = [
        await server.http.post("/artifacts", json={"artifact": MODEL}),
        await server.http.post("/artifacts", json={"artifact": MODEL, "run_id": run, "task_id": task}),
        await server.http.post("/artifacts:batchCreate", json={"artifacts": [{"artifact": MODEL}]}),
        await server.http.post("/artifact_tasks", json={"artifact_task": {**link, "artifact_id": mine}}),
        await server.http.post("/artifact_tasks:batchCreate", json={"artifact_tasks": [link]}),
        await server.http.get("/artifact_tasks", params={"artifact_ids": mine}),
        await server.http.get("/artifact_tasks", params={"task_ids": task, "artifact_ids": theirs}),
        await server.http.get("/tasks", params={"run_id": run}),
        await server.http.get(f"/tasks/{task}"),
    ]
    assert [refused(answer)[:2] for answer in answers] == [(403, 7)] * len(answers)
    assert await server.said() == before
    assert ("create", "artifacts.pipelines.kubeflow.org", "default") in server.rights.asked


async def test_what_lies_in_our_bucket_has_its_digest_and_size_and_nothing_else_is_read(server: Server):
    uri = "s3://millstream/pipelines/default/given/rows.csv"
    rows = b"a,b\n1,2\n"
    await server.blobs.put(uri.removeprefix("s3://millstream/"), rows)
    told = (await server.post("/artifacts", {"artifact": {**MODEL, "uri": uri}}))["digest"]
    assert told == f"sha256:{sha256(rows).hexdigest()}"
    await server.blobs.put(uri.removeprefix("s3://millstream/"), b"changed")
    again = await server.post("/artifacts", {"artifact": {**MODEL, "uri": uri}})
    assert (again["digest"], again["artifact_size"]) == (told, "8"), "what is known is read again"
    for other in (f"{uri}.gone", "s3://elsewhere/x", ""):
        made = await server.post("/artifacts", {"artifact": {**MODEL, "uri": other}})
        assert (made["digest"], made["artifact_size"]) == ("", "0")


async def test_what_no_run_made_can_be_deleted_by_who_may_and_what_a_run_made_goes_with_it(server: Server):
    run, task = await ran(server)
    here = "http://pipelines/pipelines/v1/artifacts"
    loose = (await server.post("/artifacts", {"artifact": MODEL}))["artifact_id"]
    link = {"artifact_id": loose, "task_id": task, "type": "TASK_OUTPUT_INPUT"}
    await server.post("/artifact_tasks", {"artifact_task": link})
    bound = (await server.post("/artifacts", {"artifact": MODEL, "run_id": run}))["artifact_id"]
    instead = refused(await server.http.delete(f"/artifacts/{loose}"))
    assert instead[:2] == (501, 12) and "DELETE /pipelines/v1/artifacts/" in instead[2]
    server.rights.only = "theirs"
    assert refused(await server.http.delete(f"{here}/{loose}"))[:2] == (403, 7)
    server.rights.only = ""
    status, _, message = refused(await server.http.delete(f"{here}/{bound}"))
    assert status == 400 and "goes when that is deleted" in message
    await server.delete(f"{here}/{loose}")
    assert refused(await server.http.get(f"/artifacts/{loose}"))[:2] == (404, 5)
    assert (await server.get("/artifact_tasks", task_ids=task))["artifact_tasks"] == []
    assert (await server.said())[-1] == "pipelines.artifact.deleted.v1"
