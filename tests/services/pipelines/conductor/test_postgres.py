"""The conductor on PostgreSQL: a run, its cache, a takeover and the run's end, once more there."""

import asyncio
from pathlib import Path

from libs.testing.store_postgres import Postgres
from tests.services.pipelines.conductor.rig import added, chain, rig


async def test_a_run_is_carried_through_taken_over_reused_and_deleted_on_postgresql(tmp_path: Path, postgres: Postgres):
    async with rig(tmp_path, added, url=postgres.emptied_database()) as here:
        run = await here.submit(chain(8))
        async with here.leading():
            await asyncio.sleep(0.1)
        async with here.leading():
            run = await here.over(run)
            assert run.state == "SUCCEEDED"
            assert (await here.tasks(run))["root/add-7"].outputs.parameters == {"Output": 9}
            assert (await here.said(run)).count("task.succeeded") == 8
            done = len(here.orders)
            assert (await here.over(await here.submit(chain(8)))).state == "SUCCEEDED"
            assert len(here.orders) == done
            await here.change(lambda runs: runs.delete(run.id))
        async with here.ports.store.read() as reader:
            assert await reader.rows("SELECT COUNT(*) FROM pipeline_tasks WHERE run_id = $1", run.id) == [(0,)]
