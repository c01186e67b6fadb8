"""Why a step that was begun does not run yet is told in its task, and no longer than it is so."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from services.pipelines.adapters.runs import ReadRuns
from services.pipelines.app import PipelinesSettings, means
from services.pipelines.domain.catalog import run_view
from services.pipelines.domain.runs import Run
from services.pipelines.handlers.artifacts import Artifacts
from tests.services.pipelines.api.conftest import only_in
from tests.services.pipelines.conductor.rig import Rig, added, chain, rig, until


async def detail(here: Rig, run: Run) -> dict[str, Any]:
    """The step as KFP's clients see it."""
    async with here.ports.store.read() as reader:
        runs = ReadRuns(reader)
        found = run_view.details(run, await runs.tasks(run.id), await runs.waits(run.id))
    return next((one for one in found if one["display_name"] != run.name), {})


async def waits(here: Rig, run: Run) -> str:
    """As the page and `pipeline show RUN TASK` get it."""
    here.ports.settings = PipelinesSettings(service="pipelines", store_url="", insecure=True)
    nothing: Any = None
    desk = Artifacts(replace(means(here.ports), allow=only_in("team")), nothing, nothing, here.ports.clock)
    return str(
        next(one["waits"] for one in json.loads(await desk.tasks(None, run.id))["tasks"] if one["kind"] == "step")
    )


async def shown(here: Rig, run: Run, why: str) -> dict[str, Any]:
    async with asyncio.timeout(30):
        while why not in str((await detail(here, run)).get("error")):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return await detail(here, run)


async def test_a_pod_that_finds_no_node_or_no_image_says_so_in_its_task_until_it_runs(tmp_path: Path):
    no_node = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes: no cpu"}]
    pulls = {"name": "main", "state": {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}}
    async with rig(tmp_path, added) as here:
        here.plays = False
        run = await here.submit(chain(1, cached=False))
        async with here.leading():
            await until(lambda: any(at.plural == "pods" for at in here.cluster.objects))
            (at,) = [at for at in here.cluster.objects if at.plural == "pods"]
            here.cluster.patch(at, {"status": {"phase": "Pending", "conditions": no_node}}, status=True)
            told = await shown(here, run, "does not run yet (Unschedulable): 0/1 nodes: no cpu")
            assert (told["state"], told["error"]["code"]) == ("PENDING", 14)
            assert "0/1 nodes: no cpu" in await waits(here, run)
            assert told["state_history"][-1]["error"] == told["error"]
            waiting = {"phase": "Pending", "conditions": [], "containerStatuses": [pulls]}
            here.cluster.patch(at, {"status": waiting}, status=True)
            await shown(here, run, "no such image")
            running = {"phase": "Running", "containerStatuses": []}
            here.cluster.patch(at, {"status": running}, status=True)
            async with asyncio.timeout(30):
                while (await detail(here, run)).get("state") != "RUNNING":  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            assert "error" not in await detail(here, run)
            assert await waits(here, run) == ""
        async with here.ports.store.read() as reader:
            assert await reader.rows("SELECT * FROM pipeline_waits") == []


async def test_a_step_whose_pod_cannot_even_be_described_fails_instead_of_waiting_for_ever(tmp_path: Path):
    """That a parameter holds a toleration is known when it is sent, what it says is not."""
    late = {"runtimeValue": {"constant": {"key": "gpu", "tolerationSeconds": "soon"}}}
    executor = {"exec-add": {"tolerations": [{"tolerationJson": late}]}}
    platform = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executor}}}}
    async with rig(tmp_path, added) as here, here.leading():
        run = await here.submit(yaml.safe_dump_all([yaml.safe_load(chain(1)), platform]))
        assert "'soon'" in (await here.over(run)).error
        assert here.conductor.pods.counts == {"waiting": 0, "running": 0}
