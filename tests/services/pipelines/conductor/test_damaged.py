"""A kept output whose bytes are damaged: told by who reads it, not given out again, and made anew by a retry."""

import json
from pathlib import Path

import pytest

from services.pipelines.adapters import settling
from services.pipelines.domain.engine.records import DAMAGED
from services.pipelines.domain.steps.values import StepOrder, StepResult, StoredArtifact
from tests.services.pipelines.api.test_artifacts import compiled
from tests.services.pipelines.conductor.rig import rig, until
from tests.services.pipelines.conductor.test_killed import _armed


def uncached_reader() -> str:
    spec = json.loads(compiled())
    spec["root"]["dag"]["tasks"]["train"]["cachingOptions"] = {}
    return json.dumps(spec)


def reading(damaged: set[str]):
    """Steps that look at what they read; each attempt writes other bytes."""

    def play(order: StepOrder) -> StepResult:
        for uri in order.digests:
            if uri in damaged:
                return StepResult(False, 1, f"input 'data' at {uri} is not what was stored", damaged=uri)
        artifacts = {
            slot.name: (StoredArtifact(slot.name, slot.uri, f"sha256:{order.attempt:064}", 5, 1),)
            for slot in order.artifacts
        }
        return StepResult(True, artifacts=artifacts)

    return play


async def test_damage_fails_its_reader_alone_and_a_retry_makes_the_kept_output_anew(tmp_path: Path):
    damaged: set[str] = set()
    async with rig(tmp_path, reading(damaged)) as here, here.leading():
        first = await here.over(await here.submit(uncached_reader()))
        [data] = (await here.tasks(first))["root/make"].outputs.artifacts["data"]
        damaged.add(data.uri)
        second = await here.over(await here.submit(uncached_reader()))
        tasks = await here.tasks(second)
        assert (second.state, tasks["root/make"].cached_from != "") == ("FAILED", True)
        error = tasks["root/train"].error
        assert error is not None and (error.reason, tasks["root/train"].attempt) == (DAMAGED, 1), "it is final"
        assert f"{data.uri} is not what was stored; it is no longer given out from the cache" in error.message
        await here.change(lambda runs: runs.retry(second.id))
        again = await here.over(second)
        made = (await here.tasks(again))["root/make"]
        assert (again.state, made.cached_from, made.attempt) == ("SUCCEEDED", "", 2)
        assert (await here.over(await here.submit(uncached_reader()))).state == "SUCCEEDED"


async def test_a_retry_of_a_fork_makes_anew_what_it_was_given_damaged(tmp_path: Path):
    damaged: set[str] = set()
    async with rig(tmp_path, reading(damaged)) as here, here.leading():
        first = await here.over(await here.submit(uncached_reader()))
        [data] = (await here.tasks(first))["root/make"].outputs.artifacts["data"]
        damaged.add(data.uri)
        fork = await here.over(await here.submit(uncached_reader(), fork_of=first.id, anew=("root/train",)))
        assert fork.state == "FAILED"
        await here.change(lambda runs: runs.retry(fork.id))
        assert (await here.over(fork)).state == "SUCCEEDED"
        assert (await here.tasks(fork))["root/make"].cached_from == ""


async def test_who_takes_over_between_a_retry_and_its_start_knows_what_was_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    damaged: set[str] = set()
    async with rig(tmp_path, reading(damaged)) as here:
        async with here.leading():
            first = await here.over(await here.submit(uncached_reader()))
            [data] = (await here.tasks(first))["root/make"].outputs.artifacts["data"]
            damaged.add(data.uri)
            fork = await here.over(await here.submit(uncached_reader(), fork_of=first.id, anew=("root/train",)))
        await here.change(lambda runs: runs.retry(fork.id))
        with monkeypatch.context() as busy:
            busy.setattr(settling, "ANSWERS_MAX", 0)
            async with here.leading():
                dead = _armed(here.conductor, "_carry_out", 1)
                await until(lambda: dead)
        async with here.leading():
            assert (await here.over(fork)).state == "SUCCEEDED"
        assert (await here.tasks(fork))["root/make"].cached_from == ""


async def test_a_step_cannot_have_thrown_away_what_it_does_not_read(tmp_path: Path):
    def play(order: StepOrder) -> StepResult:
        if order.name == "train":
            return StepResult(False, 1, "no", damaged="s3://millstream/pipelines/team/other")
        return StepResult(True, artifacts={})

    async with rig(tmp_path, play) as here, here.leading():
        run = await here.over(await here.submit(uncached_reader()))
        error = (await here.tasks(run))["root/train"].error
        assert error is not None and error.reason == "Failed"
