"""Runs carried through by the conductor: what is stored, started, said and ended."""

import asyncio
from pathlib import Path

from libs.testing.cluster import Address
from services.pipelines.adapters.conductor import Conductor
from services.pipelines.adapters.specs import Specs
from services.pipelines.domain.steps.values import StepOrder, StepResult
from tests.services.pipelines.conductor.rig import HERE, added, chain, failed, rig, until, well


async def test_a_chain_runs_to_its_end_and_every_step_gets_what_the_last_gave(tmp_path: Path):
    async with rig(tmp_path, added) as here, here.leading():
        run = await here.over(await here.submit(chain(5)))
        assert run.state == "SUCCEEDED"
        tasks = await here.tasks(run)
        assert tasks["root/add-4"].outputs.parameters == {"Output": 6}
        assert [state for _, state in run.history] == ["PENDING", "RUNNING", "SUCCEEDED"]
        said = await here.said(run)
        assert said[:2] == ["run.created", "run.started"]
        assert said[-1] == "run.succeeded"
        assert said.count("task.started") == said.count("task.succeeded") == 5


async def test_a_step_that_was_done_before_is_not_done_again_and_the_run_says_why(tmp_path: Path):
    async with rig(tmp_path, added) as here, here.leading():
        first = await here.over(await here.submit(chain(3)))
        again = await here.over(await here.submit(chain(3)))
        assert len(here.orders) == 3
        done, cached = await here.tasks(first), await here.tasks(again)
        assert cached["root/add-2"].outputs == done["root/add-2"].outputs
        assert cached["root/add-2"].cached_from == done["root/add-2"].uid
        other = await here.over(await here.submit(chain(3, value=7)))
        assert len(here.orders) == 6
        assert "miss: input x changed (1 -> 7)" in await here.reasons(other)
        assert await here.reasons(first) == {"miss: no earlier result of this step is kept"}


async def test_a_run_that_asks_for_no_caching_gets_none_and_neither_does_a_task(tmp_path: Path):
    async with rig(tmp_path, added) as here, here.leading():
        await here.over(await here.submit(chain(2)))
        await here.over(await here.submit(chain(2), cache=False))
        await here.over(await here.submit(chain(2, cached=False)))
        assert len(here.orders) == 6


async def test_a_failed_step_fails_the_run_and_a_retry_goes_on_from_it(tmp_path: Path):
    broken = True

    def play(order: StepOrder) -> StepResult:
        return failed("no luck") if broken and order.name == "add-1" else added(order)

    async with rig(tmp_path, play) as here, here.leading():
        run = await here.over(await here.submit(chain(3)))
        assert run.state == "FAILED"
        assert "no luck" in run.error
        broken = False
        await here.change(lambda runs: runs.retry(run.id))
        run = await here.over(run)
        assert run.state == "SUCCEEDED"
        assert [order.name for order in here.orders] == ["add-0", "add-1", "add-1", "add-2"]
        assert "run.retried" in await here.said(run)


async def test_a_pod_that_dies_without_a_word_is_made_again_at_no_cost_to_the_users_retries(tmp_path: Path):
    def play(order: StepOrder) -> StepResult | None:
        return None if order.attempt == 1 else added(order)

    async with rig(tmp_path, play) as here, here.leading():
        run = await here.over(await here.submit(chain(1)))
        assert run.state == "SUCCEEDED"
        [task] = [task for task in (await here.tasks(run)).values() if task.kind == "step"]
        assert (task.attempt, task.losses, task.failures) == (2, 1, 0)


async def test_a_pod_that_dies_again_and_again_fails_the_run_with_the_cause(tmp_path: Path):
    async with rig(tmp_path, lambda order: None) as here, here.leading():
        run = await here.over(await here.submit(chain(1)))
        assert run.state == "FAILED"
        assert "failed" in run.error
        assert len(here.orders) == 4


async def test_a_terminated_run_stops_its_pods_and_starts_no_more(tmp_path: Path):
    never = asyncio.Event()

    async with rig(tmp_path, well) as here, here.leading():

        async def hang(uid: str, attempt: int) -> None:
            await never.wait()

        here.desk.order_of = hang
        run = await here.submit(chain(2))
        await until(lambda: here.cluster.list("", "pods"))
        await here.change(lambda runs: runs.terminate(run.id))
        run = await here.over(run)
        assert run.state == "CANCELED"
        assert [state for _, state in run.history][-2:] == ["CANCELING", "CANCELED"]
        await until(lambda: not here.cluster.list("", "pods"))


async def test_who_takes_over_starts_what_has_no_pod_and_a_result_told_twice_counts_once(tmp_path: Path):
    async with rig(tmp_path, added) as here:
        run = await here.submit(chain(30, cached=False))
        for _ in range(6):
            async with here.leading():
                await asyncio.sleep(0.08)
        async with here.leading():
            run = await here.over(run)
            assert run.state == "SUCCEEDED"
            tasks = await here.tasks(run)
            assert tasks["root/add-29"].outputs.parameters == {"Output": 31}
            assert (await here.said(run)).count("task.succeeded") == 30
            assert await here.desk.finish(tasks["root/add-3"].uid, 1, failed()) is True
            assert (await here.tasks(run))["root/add-3"].state == "SUCCEEDED"


async def test_a_result_that_another_replica_took_is_found_in_the_store(tmp_path: Path):
    async with rig(tmp_path, added) as here, here.leading():
        leading = here.desk
        bystander = type(leading)(
            here.ports.store, Specs(), Conductor(here.ports, Specs(), lambda _: None, "millstream")
        )
        here.desk = bystander
        run = await here.over(await here.submit(chain(2)))
        assert run.state == "SUCCEEDED"
        assert (await here.tasks(run))["root/add-1"].outputs.parameters == {"Output": 3}


async def test_a_deleted_run_leaves_nothing_but_its_bytes(tmp_path: Path):
    async with rig(tmp_path, added) as here, here.leading():
        run = await here.over(await here.submit(chain(2)))
        await here.change(lambda runs: runs.delete(run.id))
        async with here.ports.store.read() as reader:
            for table in ("pipeline_runs", "pipeline_tasks", "pipeline_artifacts", "pipeline_lineage"):
                assert await reader.rows(f"SELECT COUNT(*) FROM {table}") == [(0,)]
        assert "run.deleted" in await here.said(run)


async def test_claims_are_made_and_removed_without_a_pod_and_only_those_that_a_run_made(tmp_path: Path):
    spec = HERE.joinpath("tests/services/pipelines/golden/kfp_2.17.0/volumes.yaml").read_text()
    async with rig(tmp_path, well) as here, here.leading():
        run = await here.over(await here.submit(spec))
        assert run.state == "SUCCEEDED", run.error
        made = (await here.tasks(run))["root/createpvc"].outputs.parameters["name"]
        assert made.endswith("-words")
        assert not here.cluster.list("", "persistentvolumeclaims", "team")
        assert {order.image for order in here.orders} == {"python:3.11"}


async def test_pods_that_ended_while_nobody_led_are_made_anew_and_hold_no_place(tmp_path: Path):
    never = asyncio.Event()

    async with rig(tmp_path, added, limit=2) as here:
        run = await here.submit(chain(1, cached=False))
        other = await here.submit(chain(1, cached=False))
        async with here.leading():

            async def hang(uid: str, attempt: int) -> None:
                await never.wait()

            here.desk.order_of = hang
            await until(lambda: len(here.cluster.list("", "pods")) == 2)
        for pod in here.cluster.list("", "pods"):
            at = Address("", "pods", "team", pod["metadata"]["name"])
            here.cluster.patch(at, {"status": {"phase": "Failed"}}, status=True)
        async with here.leading():
            for one in (run, other):
                ended = await here.over(one)
                assert ended.state == "SUCCEEDED"
                assert (await here.tasks(ended))["root/add-0"].losses == 1
