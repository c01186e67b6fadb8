"""Questions to the bucket: bytes of other people, many questions at once, and somebody else who takes the run over."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from libs.base import SystemClock
from services.pipelines.adapters import looking, settling
from services.pipelines.adapters.looking import Looking
from services.pipelines.adapters.presence import Presence
from services.pipelines.adapters.settling import Look
from services.pipelines.domain.engine.records import Artifact, Kind, Outputs, State, TaskRecord
from services.pipelines.domain.runs import Run
from tests.services.pipelines.conductor.rig import Rig, rig, until
from tests.services.pipelines.conductor.test_presence import Counted, files, writing


async def test_a_file_that_lies_where_a_folder_was_kept_is_told_and_not_asked_for_again_and_again(tmp_path: Path):
    blobs = Counted(tmp_path / "blobs")
    await blobs.put("pipelines/team/r/t/1/data", b"x")
    presence = Presence(blobs, "millstream", SystemClock())
    uri = "s3://millstream/pipelines/team/r/t/1/data"
    tree = Outputs({}, {"data": (Artifact("data", uri, digest="sha256-tree:0", size=1),)})
    await presence.look(tree)
    assert presence.known(tree) is not None
    assert "data" in presence.known(tree)


async def test_a_step_that_runs_is_not_given_kept_outputs_by_who_takes_over(tmp_path: Path):
    """The bucket was away, so it was started; by now the bucket is back, and its pod would be nobody's."""
    async with rig(tmp_path, writing(tmp_path / "blobs")) as here:
        here.ports.blobs = Counted(tmp_path / "blobs")
        async with here.leading():
            await here.over(await here.submit(files(1)))
            here.ports.blobs.away, here.plays = True, False
            run = await here.submit(files(1))
            await until_started(here, run)
        here.ports.blobs.away = False
        async with here.leading():
            await until(lambda: here.conductor.pods.counts["running"])
            assert (await here.run(run.id)).state == "RUNNING"
            assert (await here.tasks(run))["root/write-0"].cached_from == ""
        assert (await here.said(run)).count("task.started") == 1


async def test_of_many_steps_that_run_each_was_started_once_whoever_takes_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(settling, "ANSWERS_MAX", 2)
    async with rig(tmp_path, writing(tmp_path / "blobs")) as here:
        here.plays = False
        async with here.leading():
            run = await here.submit(side_by_side(5))
            await until_started(here, run, 5)
        async with here.leading():
            await until(lambda: here.conductor.live and not here.conductor.live[run.id].later)
            assert len(here.conductor.live) == 1
        assert (await here.said(run)).count("task.started") == 5


async def test_few_questions_are_under_way_at_a_time_however_many_wait():
    now, most = 0, 0

    class Slow(Presence):
        async def look(self, outputs: Outputs) -> None:
            nonlocal now, most
            now += 1
            most = max(most, now)
            await asyncio.sleep(0)
            now -= 1

    told: list[str] = []
    asks = Looking(lambda uid, attempt: told.append(uid))
    nothing: Any = None
    presence, outputs = Slow(nothing, "millstream", SystemClock()), Outputs({}, {})
    for number in range(100):
        record = TaskRecord(f"root/{number}", str(number), "root", "step", "step", Kind.STEP, "comp", State.PENDING)
        asks.start("run", presence, [Look(record, outputs)])
    await until(lambda: len(told) == 100)
    assert most == looking.AT_ONCE


async def until_started(here: Rig, run: Run, steps: int = 1) -> None:
    async with asyncio.timeout(30):
        while (await here.said(run)).count("task.started") < steps:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def side_by_side(steps: int) -> str:
    """As `files`, but nobody waits for anybody."""
    spec = json.loads(files(steps))
    for task in spec["root"]["dag"]["tasks"].values():
        task.update(componentRef={"name": "comp-first"}, inputs={}, dependentTasks=[])
    return json.dumps(spec)
