"""Who may make pods in one namespace cannot speak for a step of another, at the step door or by a pod's labels."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from libs.testing.cluster import Address
from services.pipelines.api.steps import router
from services.pipelines.domain.engine.records import TaskRecord
from services.pipelines.domain.steps.pod import ATTEMPT, MANAGED_BY, MANAGER, TASK
from services.pipelines.domain.steps.tokens import namespace_key, token_for
from tests.services.pipelines.conductor.rig import Rig, added, chain, rig, until
from tests.services.pipelines.conductor.test_gates import gated, gates, paused

SECRET = b"the service's secret"
Run = Any


async def told(here: Rig, namespace: str, record: TaskRecord) -> bool:
    """Whether the door takes a result from a pod of this namespace."""

    async def key() -> bytes:
        return SECRET

    app, nothing = FastAPI(), None
    app.include_router(router(here.desk, nothing, key))  # type: ignore[arg-type]
    token = token_for(namespace_key(SECRET, namespace), record.uid, record.attempt)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://door") as door:
        path = f"/pipelines/v1/steps/{namespace}/{record.uid}/{record.attempt}/result"
        body = {"succeeded": True, "exitCode": 0, "values": {"Output": 666, "decision": "approved"}}
        answer = await door.post(path, json=body, headers={"Authorization": f"Bearer {token}"})
    return bool(answer.json()["accepted"])


@asynccontextmanager
async def silent(folder: Path) -> AsyncIterator[tuple[Rig, Run]]:
    """A run whose first step has a pod that says nothing yet."""
    async with rig(folder, added) as here, here.leading():
        here.plays = False
        run = await here.submit(chain(1, cached=False))
        await until(lambda: here.cluster.list("", "pods", "team"))
        yield here, run


async def test_the_result_of_a_step_is_taken_from_pods_of_its_namespace_alone(tmp_path: Path):
    async with silent(tmp_path) as (here, run):
        step = (await here.tasks(run))["root/add-0"]
        assert not await told(here, "theirs", step)
        assert (await here.tasks(run))["root/add-0"].active, "nothing was changed"
        assert await told(here, "team", step)
        assert (await here.over(run)).state == "SUCCEEDED"
        assert await told(here, "team", step), "who did not hear the answer asks again"


async def test_no_pod_decides_in_a_persons_place(tmp_path: Path):
    async with rig(tmp_path, added) as here, here.leading():
        run = await here.submit(gated())
        await paused(here, run)
        assert not await told(here, "team", (await here.tasks(run))["root/gate"])
        assert (await here.tasks(run))["root/gate"].state == "PAUSED"
        await gates(here).decide(type("Ann", (), {"name": "ann"})(), run.id, "gate", True, "")
        assert (await here.over(run)).state == "SUCCEEDED"


async def test_a_pod_with_a_steps_labels_that_is_not_its_own_says_nothing_of_it(tmp_path: Path):
    async with silent(tmp_path) as (here, run):
        step = (await here.tasks(run))["root/add-0"]
        for attempt in (1, 2):
            labels = {MANAGED_BY: MANAGER, TASK: step.uid, ATTEMPT: str(attempt)}
            forged = pod("theirs", f"forged-{attempt}")
            here.cluster.create(forged, {"metadata": {"name": forged.name, "labels": labels}})
            here.cluster.patch(forged, {"status": {"phase": "Failed"}}, status=True)
        await asyncio.sleep(0.1)
        assert (await here.tasks(run))["root/add-0"] == step, "its own pod goes on"
        [own] = [each["metadata"]["name"] for each in here.cluster.list("", "pods", "team")]
        here.cluster.patch(pod("team", own), {"status": {"phase": "Failed"}}, status=True)
        await until(lambda: len(here.cluster.list("", "pods", "team")) == 2)
        second = (await here.tasks(run))["root/add-0"]
        assert second.attempt == 2 and await told(here, "team", second)
        assert (await here.over(run)).state == "SUCCEEDED"


def pod(namespace: str, name: str) -> Address:
    return Address("", "pods", namespace, name)
