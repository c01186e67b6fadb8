"""What runs made, found again: artifacts, what they were made of, what a viewer draws, what steps printed."""

import io
import json
import tarfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from libs.base.errors import BadRequest, Forbidden, NotFound
from libs.testing.blobs import FolderBlobs
from libs.testing.cluster_wire import connect
from services.pipelines.adapters.artifact_bytes import StoredBytes
from services.pipelines.adapters.ledger import PUT_ARTIFACT
from services.pipelines.app import PipelinesSettings, means
from services.pipelines.domain.catalog.paging import Page
from services.pipelines.domain.engine.records import State
from services.pipelines.domain.steps.naming import pod_name
from services.pipelines.domain.steps.values import StepOrder, StepResult, StoredArtifact
from services.pipelines.handlers.artifacts import Artifacts
from tests.services.pipelines.api.conftest import Server, only_in, secret
from tests.services.pipelines.conductor.rig import Rig, rig

BODIES = {"data": b"1,2,3", "page": b"<b>hi</b>", "executor-logs": b"hello\n"}
MATRIX = {"annotationSpecs": [{"displayName": "a"}, {"displayName": "b"}], "rows": [{"row": [1, 0]}, {"row": [0, 2]}]}
CURVE = [{"confidenceThreshold": 0.5, "recall": 1.0, "falsePositiveRate": 0.25}]
METADATA = {
    "figures": {"accuracy": 0.5, "note": "x"},
    "classes": {"confusionMatrix": MATRIX, "confidenceMetrics": CURVE},
}
TYPES = {"data": "Dataset", "page": "HTML", "figures": "Metrics", "classes": "ClassificationMetrics"}


def typed(title: str) -> dict[str, object]:
    return {"artifactType": {"schemaTitle": f"system.{title}", "schemaVersion": "0.0.1"}}


def compiled() -> str:
    """One step that gives artifacts of all types, and one that reads the data and gives a model."""
    produced = {"taskOutputArtifact": {"producerTask": "make", "outputArtifactKey": "data"}}
    tasks = {
        "make": {"taskInfo": {"name": "make"}, "componentRef": {"name": "comp-make"}},
        "train": {
            "taskInfo": {"name": "train"},
            "componentRef": {"name": "comp-train"},
            "inputs": {"artifacts": {"data": produced}},
            "dependentTasks": ["make"],
        },
    }
    for task in tasks.values():
        task["cachingOptions"] = {"enableCache": True}
    executor = {"container": {"image": "python:3.11", "command": ["run"]}}
    components = {
        "comp-make": {
            "executorLabel": "exec",
            "outputDefinitions": {"artifacts": {name: typed(title) for name, title in TYPES.items()}},
        },
        "comp-train": {
            "executorLabel": "exec",
            "inputDefinitions": {"artifacts": {"data": typed("Dataset")}},
            "outputDefinitions": {"artifacts": {"model": typed("Model")}},
        },
    }
    return json.dumps(
        {
            "pipelineInfo": {"name": "made"},
            "schemaVersion": "2.1.0",
            "components": components,
            "deploymentSpec": {"executors": {"exec": executor}},
            "root": {"dag": {"tasks": tasks}},
        }
    )


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[tuple[Rig, Artifacts]]:
    """A conductor whose steps store what they promised, and the desk that shows it."""
    blobs = FolderBlobs(tmp_path / "blobs")

    def play(order: StepOrder) -> StepResult:
        artifacts = {slot.name: (stored(slot.name, slot.uri),) for slot in order.artifacts}
        log = stored("executor-logs", f"{order.root}/executor-logs")
        return StepResult(True, artifacts=artifacts, log=log)

    def stored(name: str, uri: str) -> StoredArtifact:
        body, path = BODIES.get(name, b""), tmp_path / "blobs" / uri.removeprefix("s3://millstream/")
        if body:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)
        return StoredArtifact(name, uri, f"sha256:{0:064}" if body else "", len(body), 1, METADATA.get(name, {}))

    async with rig(tmp_path, play) as running, running.leading():
        running.ports.settings = PipelinesSettings(service="pipelines", store_url="", insecure=True)
        allowed = replace(means(running.ports), allow=only_in("team"))
        kept = StoredBytes(blobs, "millstream", connect(running.cluster))
        yield running, Artifacts(allowed, kept, secret, running.ports.clock)


async def test_an_artifact_leads_back_to_its_data_and_forward_to_what_was_made_of_it(here: tuple[Rig, Artifacts]):
    running, desk = here
    run = await running.over(await running.submit(compiled()))
    made = {each["name"]: each for each in (await desk.of_run(None, run.id))["artifacts"] if each["type"] != "Artifact"}
    words = {"Metrics": "Metric", "ClassificationMetrics": "ClassificationMetric"}  # KFP's API has others than its SDK
    titles = {**TYPES, "model": "Model"}
    assert {name: each["type"] for name, each in made.items()} == {n: words.get(t, t) for n, t in titles.items()}
    assert {name: each["artifact_type"] for name, each in made.items()} == {n: f"system.{t}" for n, t in titles.items()}
    up = await desk.lineage(None, made["model"]["artifact_id"], "up")
    assert [task["name"] for task in up["tasks"]] == ["train", "make"]
    assert {each["name"] for each in up["artifacts"]} == {"model", "data"}
    assert [(each["run_id"], each["pipeline"], each["spec"]) for each in up["runs"]] == [(run.id, "made", run.spec)]
    down = await desk.lineage(None, made["data"]["artifact_id"], "down")
    assert {each["name"] for each in down["artifacts"]} == {"data", "model", "executor-logs"}
    assert down["is_whole"]
    again = await running.over(await running.submit(compiled()))
    cached = {each["artifact_id"] for each in (await desk.of_run(None, again.id))["artifacts"]}
    assert made["model"]["artifact_id"] in cached, "what came from the cache is shown, too"
    why = {each["path"]: each["cache"] for each in (await desk.cache(None, again.id))["tasks"]}
    assert why["root/train"].startswith("hit")
    with pytest.raises(BadRequest, match="sideways"):
        await desk.lineage(None, made["data"]["artifact_id"], "sideways")


async def test_an_artifact_is_read_listed_and_drawn(here: tuple[Rig, Artifacts]):
    running, desk = here
    run = await running.over(await running.submit(compiled()))
    made = {each["name"]: each["artifact_id"] for each in (await desk.of_run(None, run.id))["artifacts"]}
    listed = await desk.list(None, "team", Page(size=2))
    assert (len(listed["artifacts"]), listed["total_size"]) == (2, 7)
    assert await desk.content(None, made["data"], "") == BODIES["data"]
    assert (await desk.files(None, made["data"]))["files"] == [{"path": "", "size": "5"}]
    drawn = {name: await desk.view(None, made[name]) for name in (*TYPES, "model")}
    assert drawn["page"] == {"kind": "html", "text": "<b>hi</b>"}
    assert drawn["figures"] == {"kind": "metrics", "metrics": {"accuracy": 0.5}}
    assert drawn["classes"]["confusion_matrix"] == {"labels": ["a", "b"], "rows": [[1, 0], [0, 2]]}
    point = {"threshold": 0.5, "true_positive_rate": 1.0, "false_positive_rate": 0.25}
    assert drawn["classes"]["roc_curve"] == [point]
    assert drawn["data"] == drawn["model"] == {"kind": "none"}
    with pytest.raises(NotFound):
        await desk.content(None, made["data"], "../../../../../secret")


async def test_what_a_step_printed_is_found_by_its_task_also_when_it_came_from_the_cache(here: tuple[Rig, Artifacts]):
    running, desk = here
    for _ in range(2):
        run = await running.over(await running.submit(compiled()))
        tasks = {each["path"]: each["uid"] for each in json.loads(await desk.tasks(None, run.id))["tasks"]}
        assert await desk.log(None, run.id, tasks["root/make"]) == "hello\n"
        assert await desk.output(None, run.id, "make", "main-logs") == b"hello\n"
        assert await desk.output(None, run.id, tasks["root/make"], "data") == BODIES["data"]
    with pytest.raises(NotFound, match="output of the task 'make' 'gone'"):
        await desk.output(None, run.id, "make", "gone")
    with pytest.raises(NotFound, match="task 'gone'"):
        await desk.log(None, run.id, "gone")


async def test_what_a_stopped_step_had_printed_is_found_though_no_result_told_of_it(here: tuple[Rig, Artifacts]):
    running, desk = here
    run = await running.over(await running.submit(compiled()))
    async with running.ports.store.write() as uow:
        await uow.later("DELETE FROM pipeline_artifacts")
    make = (await running.tasks(run))["root/make"]
    assert await desk.log(None, run.id, make.uid) == "hello\n"


async def test_what_a_running_step_prints_is_followed_and_what_is_over_is_read(here: tuple[Rig, Artifacts]):
    running, desk = here
    run = await running.over(await running.submit(compiled()))
    make = (await running.tasks(run))["root/make"]
    assert await desk.follow(None, run.id, make.uid) is None, "its log is whole"
    async with running.ports.store.write() as uow:
        goes_on = json.dumps(replace(make, state=State.RUNNING).to_json())
        await uow.later("UPDATE pipeline_tasks SET body = ?2 WHERE uid = ?1", make.uid, goes_on)

    class Printing(StoredBytes):
        async def following(self, namespace: str, pod: str) -> AsyncIterator[bytes]:
            yield f"{namespace} {pod}\n".encode()

    kept = Printing(FolderBlobs(Path()), "millstream", desk.stored._cluster)  # type: ignore[attr-defined]
    lines = await replace(desk, stored=kept).follow(None, run.id, make.uid)
    assert lines is not None
    assert [line async for line in lines] == [f"team {pod_name(run.id, 'make', 'root/make', 1)}\n".encode()]
    gone = desk.stored.following("team", "no-such-pod")
    assert [line async for line in gone] == [], "whoever follows looks again"
    theirs = replace(desk, means=replace(desk.means, allow=only_in("other")))
    with pytest.raises(Forbidden):
        await theirs.follow(None, run.id, make.uid)


async def test_nobody_sees_what_another_namespace_made(here: tuple[Rig, Artifacts]):
    running, desk = here
    run = await running.over(await running.submit(compiled()))
    [made, *_] = (await desk.of_run(None, run.id))["artifacts"]
    id, theirs = made["artifact_id"], replace(desk, means=replace(desk.means, allow=only_in("other")))
    for asked in (
        theirs.get(None, id), theirs.view(None, id), theirs.content(None, id, ""), theirs.lineage(None, id, "up"),
        theirs.of_run(None, run.id), theirs.tasks(None, run.id),
        theirs.output(None, run.id, "make", "data"), theirs.list(None, "team", Page()),
    ):  # fmt: skip
        with pytest.raises(Forbidden):
            await asked
    assert (await theirs.list(None, "other", Page()))["artifacts"] == []
    assert await desk.stored.read("other", made["uri"], 100) is None, "bytes are the namespace's own"


async def test_a_link_reads_an_artifact_through_the_platforms_own_door_until_its_time_is_over(server: Server):
    blobs, clock = server.blobs, server.clock
    for key, body in {"file": b"x" * 9_000_000, "tree/a": b"first", "tree/b/c": b"second"}.items():
        await blobs.put(f"pipelines/team/r/{key}", body)
    async with server.ports.store.write() as uow:
        for name in ("file", "tree", "gone"):
            uri = f"s3://millstream/pipelines/team/r/{name}"
            await uow.later(PUT_ARTIFACT, name, "team", "r", "t", name, "system.Model", uri, "", 0, "{}", 0)
    through = {"X-Forwarded-Host": "ml.example.org", "X-Forwarded-Proto": "https"}
    links = {}
    for name in ("file", "tree", "gone"):
        told = (await server.http.get(f"/artifacts/{name}", params={"view": "DOWNLOAD"}, headers=through)).json()
        links[name] = told["download_url"]
        assert links[name].startswith(f"https://ml.example.org/pipelines/v1/downloads/{name}?"), "as it was reached"
    server.rights.only = "nowhere"
    paths = {name: link.removeprefix("https://ml.example.org") for name, link in links.items()}
    file = await server.http.get(f"http://pipelines{paths['file']}")
    assert (len(file.content), file.headers["content-length"]) == (9_000_000, "9000000")
    assert file.headers["content-disposition"] == "attachment; filename*=UTF-8''file"
    tree = await server.http.get(f"http://pipelines{paths['tree']}")
    with tarfile.open(fileobj=io.BytesIO(tree.content)) as packed:
        found = {each.name: packed.extractfile(each).read() for each in packed}  # type: ignore[union-attr]
    assert found == {"tree/a": b"first", "tree/b/c": b"second"}
    assert (await server.http.get(f"http://pipelines{paths['gone']}")).status_code == 404
    stolen = paths["file"].replace("/file?", "/tree?")
    assert (await server.http.get(f"http://pipelines{stolen}")).status_code == 401, "good for one artifact alone"
    await clock.advance(901)
    assert (await server.http.get(f"http://pipelines{paths['file']}")).status_code == 401
