"""The conductor on PostgreSQL: a run, its cache, a takeover, the run's end and what is forgotten."""

import asyncio
from pathlib import Path

from contracts.events.serving.v1 import InferenceServiceDeleted
from contracts.events.training.v1 import TrainJobDeleted
from libs.testing.store_postgres import Postgres
from services.pipelines.adapters.jobs import SqlJobs
from services.pipelines.adapters.releases import SqlReleases
from tests.services.pipelines.api.test_jobs import EXTERN, JOB, created, hear, succeeded
from tests.services.pipelines.api.test_releases import an_hour, registered
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


async def test_jobs_that_are_gone_are_forgotten_on_postgresql_unless_something_came_that_they_lead_to(
    tmp_path: Path, postgres: Postgres
):
    async with rig(tmp_path, added, url=postgres.emptied_database()) as here:
        for uid in ("a", "b"):
            told = created("", uid=uid), succeeded("", f"{EXTERN}/{uid}", uid=uid)
            await hear(here, *told, TrainJobDeleted(**{**JOB, "uid": uid}))
        await hear(here, InferenceServiceDeleted(namespace="team", name="old", uid="u0"))
        for rows in (SqlJobs, SqlReleases):
            await an_hour(here, rows)
        async with here.ports.store.read() as reader:
            unneeded = await SqlJobs(reader).unneeded()
            assert sorted(unneeded) == ["a", "b"]
            assert await SqlReleases(reader).unneeded() == ["u0"]
        await hear(here, registered(f"{EXTERN}/b", "8"))
        async with here.ports.store.write() as uow:
            await SqlJobs(uow).drop(unneeded)
            await SqlReleases(uow).drop(["u0"])
        async with here.ports.store.read() as reader:
            assert await reader.rows("SELECT uid FROM pipeline_jobs") == [("b",)]
            assert await SqlReleases(reader).unneeded() == []
