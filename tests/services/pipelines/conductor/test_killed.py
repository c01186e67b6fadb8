"""The conductor killed at each of its steps: between what it was told, the commit, and the pods that follow from it."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from services.pipelines.adapters import conductor as loop
from services.pipelines.domain.steps.values import StepResult
from tests.services.pipelines.conductor.rig import added, chain, rig, until
from tests.services.pipelines.conductor.test_gates import gated

MOMENTS = {"before the commit": "_settle", "after the commit": "_carry_out"}


class Killed(Exception):
    """The process is gone."""


@pytest.mark.parametrize("moment", MOMENTS)
async def test_every_step_has_one_result_wherever_the_conductor_was_killed(tmp_path: Path, moment: str):
    async with rig(tmp_path, added) as here:
        for number in range(1, 5):
            run = await here.submit(chain(3, cached=False))
            async with here.leading():
                dead = _armed(here.conductor, MOMENTS[moment], number)
                await until(lambda: dead)  # noqa: B023
            async with here.leading():
                run = await here.over(run)
            assert run.state == "SUCCEEDED", (number, run.error)
            assert (await here.tasks(run))["root/add-2"].outputs.parameters == {"Output": 4}
            said = await here.said(run)
            assert (said.count("task.succeeded"), said.count("run.succeeded")) == (3, 1), number


def _armed(conductor: Any, name: str, number: int) -> list[int]:
    """Kills it at the `number`-th call; the list is empty until then."""
    work, calls, dead = getattr(conductor, name), [0], []

    def guarded(*told: Any) -> Any:
        calls[0] += 1
        if calls[0] == number:
            dead.append(number)
            raise Killed
        return work(*told)

    setattr(conductor, name, guarded)
    return dead


async def test_who_hands_in_a_result_has_an_answer_though_what_follows_from_it_fails(tmp_path: Path):
    async with rig(tmp_path, added) as here:
        here.plays = False
        run = await here.submit(chain(2, cached=False))
        async with here.leading():
            await until(lambda: here.conductor.live)
            await until(lambda: any(at.plural == "pods" for at in here.cluster.objects))
            uid = (await here.tasks(run))["root/add-0"].uid
            assert _armed(here.conductor, "_carry_out", 1) == []
            async with asyncio.timeout(30):
                assert await here.conductor.finish(uid, 1, StepResult(True, values={"Output": 2}))


async def test_a_conductor_that_has_nothing_to_do_only_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(loop, "LOOK_S", 0.05)
    async with rig(tmp_path, added) as here:
        await here.submit(gated())
        async with here.leading():
            await until(lambda: any(live.machine.record("root/gate") for live in here.conductor.live.values()))
            await asyncio.sleep(0.1)
            turns: list[int] = []
            work = here.conductor._turn

            async def noted() -> None:
                turns.append(1)
                await work()

            here.conductor._turn = noted
            await asyncio.sleep(0.2)
            assert turns == [], "a run waits for a person, and nobody was told anything"
            await here.over(await here.submit(chain(1)))
            assert turns


async def test_a_run_that_can_no_longer_be_read_fails_and_holds_up_no_other(tmp_path: Path):
    async with rig(tmp_path, added) as here:
        lost = await here.submit(chain(1, cached=False))
        async with here.ports.store.write() as uow:
            await uow.later("UPDATE pipeline_runs SET spec = 'gone' WHERE id = ?1", lost.id)
        other = await here.submit(chain(1, cached=False))
        async with here.leading():
            assert (await here.over(other)).state == "SUCCEEDED"
            lost = await here.over(lost)
        assert lost.state == "FAILED"
        assert "the compiled pipeline gone is not kept any more" in lost.error
        assert "run.failed" in await here.said(lost)


@pytest.mark.parametrize("how", ["terminate", "delete"])
async def test_the_pod_of_a_step_that_was_stopped_goes_though_the_conductor_was_killed_over_it(
    tmp_path: Path, how: str
):
    async with rig(tmp_path, added) as here:
        here.plays = False
        run = await here.submit(chain(1, cached=False))
        async with here.leading():
            await until(lambda: here.conductor.pods.counts["running"])
            await until(lambda: any(at.plural == "pods" for at in here.cluster.objects))
        await here.change(lambda runs: getattr(runs, how)(run.id))
        async with here.leading():
            here.conductor.pods.stop = here.conductor.pods.stop_run = lambda *key: None
            dead = _armed(here.conductor, "_carry_out", 1) if how == "terminate" else _armed(here.conductor, "_seat", 1)
            await until(lambda: dead)
        assert any(at.plural == "pods" for at in here.cluster.objects)
        other = await here.submit(chain(1, cached=False))
        async with here.leading():
            await until(
                lambda: [at.name for at in here.cluster.objects if at.plural == "pods" and other.id[:8] in at.name]
            )
            await until(lambda: len([at for at in here.cluster.objects if at.plural == "pods"]) == 1, 5)
