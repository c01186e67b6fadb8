"""Runs that are stopped clean up after themselves, whoever leads meanwhile."""

from pathlib import Path
from typing import Any

import yaml

from services.pipelines.domain.steps.values import StepOrder, StepResult
from tests.services.pipelines.conductor.rig import Rig, failed, rig, until, well
from tests.services.pipelines.engine.specs import document, graph, step, task

BODY = "comp-exit-handler-1"


def guarded() -> str:
    """`work` in a dsl.ExitHandler, and `tidy` after it."""
    say = step({"status": "TASK_FINAL_STATUS?"}, {"Output": "STRING"})
    tidy = task("say", "body", always=True, status="!body")
    tasks = {"body": task(BODY), "tidy": tidy}
    return yaml.safe_dump(document(tasks, {"say": say, BODY: graph({"work": task("say")})}))


class Steps:
    """`work` never ends; `tidy` does when it may."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.status: Any = None

    def __call__(self, order: StepOrder) -> StepResult | None:
        self.begun.append(order.name)
        self.status = order.executor_input["inputs"]["parameterValues"].get("status")
        return None if order.name == "work" else well(order)


async def stop(here: Rig, id: str) -> None:
    await here.change(lambda runs: runs.terminate(id))


async def test_a_run_that_is_stopped_tells_its_exit_task_how_it_stands_and_ends_with_it(tmp_path: Path):
    steps = Steps()
    async with rig(tmp_path, steps) as here, here.leading():
        run = await here.submit(guarded())
        here.plays = False
        await until(lambda: any(at.plural == "pods" for at in here.cluster.objects))
        here.plays = True
        await stop(here, run.id)
        run = await here.over(run)
        assert (run.state, [state for _, state in run.history][-2:]) == ("CANCELED", ["CANCELING", "CANCELED"])
        assert steps.begun == ["tidy"] and steps.status["state"] == "CANCELLED"
        said = await here.said(run)
        assert (said.count("run.terminated"), said.count("task.canceled"), said.count("run.canceled")) == (1, 1, 1)
        assert not [at for at in here.cluster.objects if at.plural == "pods" and "work" in at.name]


async def test_who_takes_over_goes_on_cleaning_up_and_a_second_wish_ends_that_too(tmp_path: Path):
    async with rig(tmp_path, Steps()) as here:
        here.plays = False
        runs = [await here.submit(guarded()) for _ in range(2)]
        async with here.leading():
            for run in runs:
                await until(lambda: len([at for at in here.cluster.objects if at.plural == "pods"]) >= 2)
                await stop(here, run.id)
                while "root/tidy" not in await here.tasks(run):
                    await here.ports.clock.sleep(0.01)
        async with here.leading():
            await until(lambda: len(here.conductor.live) == 2)
            for run in runs:
                assert (await here.tasks(run))["root/tidy"].state == "PENDING"
            await stop(here, runs[0].id)
            assert (await here.over(runs[0])).state == "CANCELED"
            assert (await here.tasks(runs[0]))["root/tidy"].state == "CANCELED"
            record = (await here.tasks(runs[1]))["root/tidy"]
            assert await here.conductor.finish(record.uid, 1, StepResult(True, values={"Output": "done"}))
            assert (await here.over(runs[1])).state == "CANCELED"
            assert (await here.tasks(runs[1]))["root/tidy"].state == "SUCCEEDED"


async def test_a_run_whose_time_is_up_cleans_up_and_has_failed(tmp_path: Path):
    steps = Steps()
    async with rig(tmp_path, steps) as here, here.leading():
        here.plays = False
        run = await here.submit(guarded(), timeout_s=0.3)
        await until(lambda: any(at.plural == "pods" for at in here.cluster.objects))
        here.plays = True
        run = await here.over(run)
        assert (run.state, run.error) == ("FAILED", "the run took longer than 0.3 s")
        assert steps.begun == ["tidy"] and steps.status["state"] == "FAILED"


async def test_a_run_that_is_deleted_while_it_goes_on_cleans_up_before_it_goes(tmp_path: Path):
    steps = Steps()
    async with rig(tmp_path, steps) as here, here.leading():
        here.plays = False
        runs = [await here.submit(guarded()) for _ in range(3)]
        for run in runs:
            while not any(record.active for record in (await here.tasks(run)).values()):
                await here.ports.clock.sleep(0.01)
        await stop(here, runs[1].id)
        for run in runs:
            assert await here.change(lambda of, run=run: of.delete(run.id)) is False
            assert (await here.run(run.id)).is_leaving
            while not any(each.name == "say" or each.path == "root/tidy" for each in (await here.tasks(run)).values()):
                await here.ports.clock.sleep(0.01)
        assert await here.change(lambda of: of.delete(runs[2].id)) is True, "asked again, it goes now"
        for run in runs[:2]:
            record = (await here.tasks(run))["root/tidy"]
            assert await here.conductor.finish(record.uid, 1, StepResult(True, values={"Output": "done"}))
            assert await gone(here, run.id)
            said = await here.said(run)
            assert said[-2:] == ["run.canceled", "run.deleted"] and said.count("run.terminated") == 1
        async with here.ports.store.read() as reader:
            for table in ("runs", "tasks", "artifacts", "lineage", "specs"):
                assert not await reader.rows(f"SELECT 1 FROM pipeline_{table}"), table
        assert not here.conductor.live


async def test_an_archived_run_that_is_retried_stays_when_it_ends(tmp_path: Path):
    async with rig(tmp_path, lambda order: failed()) as here, here.leading():
        run = await here.over(await here.submit(guarded()))
        await here.change(lambda of: of.archive(run.id, True))
        await here.change(lambda of: of.retry(run.id))
        run = await here.over(run)
        assert (run.state, run.storage_state, run.is_leaving) == ("FAILED", "ARCHIVED", False)


async def gone(here: Rig, id: str) -> bool:
    async with here.ports.store.read() as reader:
        return not await reader.rows("SELECT 1 FROM pipeline_runs WHERE id = ?1", id)


async def test_a_run_says_how_long_its_exit_tasks_may_take(tmp_path: Path):
    async with rig(tmp_path, Steps()) as here, here.leading():
        here.plays = False
        run = await here.submit(guarded(), exits_s=0.3)
        await until(lambda: any(at.plural == "pods" for at in here.cluster.objects))
        await stop(here, run.id)
        run = await here.over(run, 5)
        assert run.state == "CANCELED" and (await here.tasks(run))["root/tidy"].state == "CANCELED"
