"""A kept result is only given out again while its bytes lie in the bucket, and to see that costs few requests."""

import asyncio
import json
from hashlib import sha256
from pathlib import Path

import pytest

from libs.base import SystemClock
from libs.blobs import Blob, BlobError
from libs.testing.blobs import FolderBlobs
from services.pipelines.adapters import settling
from services.pipelines.adapters.compiling import compiled
from services.pipelines.adapters.presence import PAGE, Presence
from services.pipelines.adapters.rehearsal import SqlRehearsal
from services.pipelines.domain.catalog.documents import from_yaml
from services.pipelines.domain.engine.records import Artifact, Outputs
from services.pipelines.domain.runs import NewRun
from services.pipelines.domain.steps.values import StepOrder, StepResult, StoredArtifact
from tests.services.pipelines.conductor.rig import Rig, rig

BODY = b"1,2,3\n"
HIT = "hit: nothing that its outputs depend on has changed"


class Counted(FolderBlobs):
    """Counts what is asked of it; may be away."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.folder, self.asked, self.away = folder, 0, False

    async def stat(self, key: str) -> Blob | None:
        await self._ask()
        return await super().stat(key)

    async def list(self, prefix: str, *, limit: int = 10_000) -> list[Blob]:
        await self._ask()
        return await super().list(prefix, limit=limit)

    async def _ask(self) -> None:
        self.asked += 1
        if self.away:
            raise BlobError("connection refused")


def made(uri: str) -> Outputs:
    digest = f"sha256:{sha256(BODY).hexdigest()}"
    return Outputs({}, {"data": (Artifact("data", f"s3://millstream/{uri}", digest=digest, size=len(BODY)),)})


def files(length: int, steps: str = "write") -> str:
    """A compiled pipeline of steps one after another, each of which reads the file of the last and writes its own."""
    tasks = {}
    for number in range(length):
        before = {"producerTask": f"{steps}-{number - 1}", "outputArtifactKey": "data"}
        given = {"taskOutputArtifact": before} if number else {"runtimeValue": {"constant": 1}}
        tasks[f"{steps}-{number}"] = {
            "taskInfo": {"name": f"{steps}-{number}"},
            "componentRef": {"name": "comp-next" if number else "comp-first"},
            "inputs": {"artifacts": {"data": given}} if number else {},
            "cachingOptions": {"enableCache": True},
            **({"dependentTasks": [f"{steps}-{number - 1}"]} if number else {}),
        }
    data = {"artifacts": {"data": {"artifactType": {"schemaTitle": "system.Dataset", "schemaVersion": "0.0.1"}}}}
    return json.dumps({
        "pipelineInfo": {"name": "files"},
        "schemaVersion": "2.1.0",
        "components": {
            "comp-first": {"executorLabel": "exec", "outputDefinitions": data},
            "comp-next": {"executorLabel": "exec", "inputDefinitions": data, "outputDefinitions": data},
        },
        "deploymentSpec": {"executors": {"exec": {"container": {"image": "python:3.11", "command": ["write"]}}}},
        "root": {"dag": {"tasks": tasks}},
    })  # fmt: skip


def writing(folder: Path):
    """What the steps do: a file, or a folder of two for those named so, and a line of output."""

    def play(order: StepOrder) -> StepResult:
        [slot] = order.artifacts
        names = ["a", "b"] if order.name == "tree-0" else [""]
        for name in (*(f"{slot.uri}/{each}" if each else slot.uri for each in names), f"{order.root}/executor-logs"):
            path = folder / name.removeprefix("s3://millstream/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(BODY)
        digest = f"{'sha256-tree' if len(names) > 1 else 'sha256'}:{sha256(order.name.encode()).hexdigest()}"
        made = StoredArtifact(slot.name, slot.uri, digest, len(BODY) * len(names), len(names))
        log = StoredArtifact("executor-logs", f"{order.root}/executor-logs", f"sha256:{0:064}", len(BODY), 1)
        return StepResult(True, artifacts={slot.name: (made,)}, log=log)

    return play


@pytest.fixture
async def here(tmp_path: Path):
    async with rig(tmp_path, writing(tmp_path / "blobs")) as running:
        running.ports.blobs = Counted(tmp_path / "blobs")
        async with running.leading():
            yield running


def lying(here: Rig, task: str) -> Path:
    return next(path for path in here.ports.blobs.folder.rglob("data") if f"/{task}/" in str(path))


async def reasons(here: Rig, text: str) -> dict[str, str]:
    run = await here.over(await here.submit(text))
    assert run.state == "SUCCEEDED", run.error
    async with here.ports.store.read() as reader:
        rows = await reader.rows("SELECT path, cache FROM pipeline_tasks WHERE run_id = ?1", run.id)
    return {str(path).removeprefix("root/"): str(why) for path, why in rows if why}


async def test_a_run_that_is_wholly_kept_asks_the_bucket_once(here: Rig):
    await here.over(await here.submit(files(12)))
    here.ports.blobs.asked = 0
    assert set((await reasons(here, files(12))).values()) == {HIT}
    assert here.ports.blobs.asked == 1


async def test_what_is_gone_or_changed_is_made_again_and_what_is_there_is_not(here: Rig):
    await here.over(await here.submit(files(3)))
    lying(here, "write-1").unlink()
    for log in here.ports.blobs.folder.rglob("executor-logs"):
        log.unlink()
    found = await reasons(here, files(3))
    assert found["write-1"] == "miss: its output `data` is gone from the bucket"
    assert (found["write-0"], found["write-2"]) == (HIT, HIT), "what is read has the same digest as before"
    assert [order.name for order in here.orders] == ["write-0", "write-1", "write-2", "write-1"]
    lying(here, "write-2").write_bytes(b"more than there was")
    found = await reasons(here, files(3))
    assert found["write-2"] == "miss: its output `data` changed in the bucket (6 bytes were kept, now 19)"
    assert set((await reasons(here, files(3))).values()) == {HIT}, "what was made again is kept"


async def test_a_folder_counts_by_all_that_is_in_it(here: Rig):
    await here.over(await here.submit(files(1, "tree")))
    assert await reasons(here, files(1, "tree")) == {"tree-0": HIT}
    next(here.ports.blobs.folder.rglob("data/b")).unlink()
    [why] = (await reasons(here, files(1, "tree"))).values()
    assert why == "miss: its output `data` changed in the bucket (12 bytes were kept, now 6)"


async def test_a_fork_and_a_dry_run_see_what_is_gone(here: Rig):
    run = await here.over(await here.submit(files(2)))
    lying(here, "write-0").unlink()
    pipeline, _ = compiled(from_yaml(files(2)))
    new = NewRun("team", "files", run.spec, "files")
    plan = await SqlRehearsal(here.ports.store, here.ports.clock, "millstream", here.ports.blobs).rehearse(
        new, pipeline
    )
    assert (plan[0].decision, plan[0].reason) == ("run", "miss: its output `data` is gone from the bucket")
    fork = await here.over(await here.submit(files(2), fork_of=run.id, anew=("root/write-1",)))
    assert fork.state == "SUCCEEDED"
    assert [order.name for order in here.orders] == ["write-0", "write-1", "write-0", "write-1"]


async def test_a_bucket_that_does_not_answer_holds_up_nothing_and_is_asked_once(here: Rig):
    await here.over(await here.submit(files(3)))
    here.ports.blobs.away, here.ports.blobs.asked = True, 0
    for _ in range(2):  # another run does not ask again: it would wait for itself
        async with asyncio.timeout(30):
            found = await reasons(here, files(3))
        assert set(found.values()) == {"miss: the bucket does not say whether its outputs are still there"}
    assert here.ports.blobs.asked == 1


async def test_while_the_bucket_is_asked_nobody_waits_for_it_but_the_step_itself(here: Rig):
    await here.over(await here.submit(files(2)))
    answers, asked, list_ = asyncio.Event(), asyncio.Event(), here.ports.blobs.list

    async def slowly(prefix: str, *, limit: int = 10_000) -> list[Blob]:
        asked.set()
        await answers.wait()
        return await list_(prefix, limit=limit)

    here.ports.blobs.list = slowly
    waits = await here.submit(files(2))
    await asked.wait()
    async with asyncio.timeout(30), here.ports.store.write():
        pass
    assert await here.reasons(waits) == {settling.LATER}
    other = await here.over(await here.submit(files(2).replace('"enableCache": true', '"enableCache": false')), 2)
    assert (other.state, (await here.run(waits.id)).state) == ("SUCCEEDED", "RUNNING")
    answers.set()
    assert (await here.over(waits)).state == "SUCCEEDED"
    assert await here.reasons(waits) == {HIT}
    assert "task.started" not in await here.said(waits)


async def test_who_takes_over_asks_the_bucket_again_and_tells_once_that_the_step_starts(tmp_path: Path):
    async with rig(tmp_path, writing(tmp_path / "blobs")) as here:
        here.ports.blobs = Counted(tmp_path / "blobs")
        async with here.leading():
            await here.over(await here.submit(files(1)))
            lying(here, "write-0").unlink()
            here.ports.blobs.list = never
            run = await here.submit(files(1))
            async with asyncio.timeout(30):
                while await here.reasons(run) != {settling.LATER}:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        del here.ports.blobs.list
        async with here.leading():
            assert (await here.over(run)).state == "SUCCEEDED"
        assert (await here.said(run)).count("task.started") == 1
        assert await here.reasons(run) == {"miss: its output `data` is gone from the bucket"}


async def never(prefix: str, *, limit: int = 10_000) -> list[Blob]:
    await asyncio.Event().wait()
    raise AssertionError


async def test_many_kept_steps_are_decided_in_turns_between_which_others_write(
    here: Rig, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(settling, "ANSWERS_MAX", 5)
    for _ in range(2):
        run = await here.over(await here.submit(files(12)))
        assert run.state == "SUCCEEDED"
    assert await here.reasons(run) == {HIT} and len(here.orders) == 12
    async with here.ports.store.read() as reader:
        rows = await reader.rows(
            "SELECT count(DISTINCT ended) FROM (SELECT json_extract(body, '$.ended_at') AS ended "
            "FROM pipeline_tasks WHERE run_id = ?1 AND path <> 'root')", run.id,
        )  # fmt: skip
    assert rows[0][0] >= 2, "in one transaction each would end at the same moment"


async def test_a_run_of_many_objects_is_listed_beside_the_questions_and_they_do_not_wait_for_it(tmp_path: Path):
    blobs, slow = Counted(tmp_path / "blobs"), asyncio.Event()

    async def slowly(prefix: str, *, limit: int = 10_000) -> list[Blob]:
        if limit > PAGE:
            await slow.wait()
        return await FolderBlobs.list(blobs, prefix, limit=limit)

    blobs.list = slowly  # type: ignore[method-assign]
    for number in range(PAGE + 1):
        await blobs.put(f"pipelines/team/r/t{number:05}/1/data", b"x")
    presence = Presence(blobs, "millstream", SystemClock())

    async def lost(number: int) -> str:
        uri = f"s3://millstream/pipelines/team/r/t{number:05}/1/data"
        return await presence.lost(Outputs({}, {"data": (Artifact("data", uri, digest="sha256:0", size=1),)}))

    for number in range(PAGE + 1, PAGE + 20):
        await blobs.put(f"pipelines/team/r/t{number:05}/1/data", b"x")
    late = {await lost(number) for number in range(PAGE, PAGE + 20)}
    assert late == {""}, "behind the first page, while the listing hangs"
    slow.set()
    await asyncio.sleep(0)
    await asyncio.wait_for(presence._whole["pipelines/team/r/"], 30)
    blobs.asked = 0
    assert {await lost(number) for number in range(PAGE + 1)} == {""}
    assert blobs.asked == 0
    assert await lost(99_999) == "miss: its output `data` is gone from the bucket"


@pytest.mark.parametrize("place", ["pipelines/team//x", "pipelines/team/r/" + "x" * 300, "x/" * 600 + "x"])
async def test_a_place_that_no_bucket_has_is_gone_and_keeps_nobody_from_asking(tmp_path: Path, place: str):
    """Whoever posts results says where they lie; of a key like these a store only says that it is wrong."""
    blobs = FolderBlobs(tmp_path)
    await blobs.put("pipelines/team/run/data", BODY)
    seen = Presence(blobs, "millstream", SystemClock())
    assert "is gone" in await seen.lost(made(place))
    assert await seen.lost(made("pipelines/team/run/data")) == ""


async def test_an_answer_that_nobody_understands_is_as_good_as_none(tmp_path: Path):
    class Odd(FolderBlobs):
        async def stat(self, key: str) -> Blob | None:
            raise KeyError("ContentLength")

    assert "does not say" in await Presence(Odd(tmp_path), "millstream", SystemClock()).lost(made("pipelines/a/b/c"))
