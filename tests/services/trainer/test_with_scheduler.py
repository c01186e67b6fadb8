"""Trainer and scheduler over a real broker: a job asks, is admitted, runs and frees its share."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from copy import deepcopy
from pathlib import Path
from typing import Any

import httpx
import pytest

from libs.service.app import Given
from libs.service.shell import serve
from libs.testing.bus_server import NatsServer
from services.scheduler.app import SchedulerSettings
from services.scheduler.app import build as build_scheduler
from services.trainer.app import TrainerSettings
from services.trainer.app import build as build_trainer
from tests.services.trainer.builders import RUNTIME
from tests.services.trainer.paper import PaperCluster

JOBS = "/apis/trainer.kubeflow.org/v1alpha1/namespaces/team/trainjobs"


class World:
    def __init__(self, http: httpx.AsyncClient, cluster: PaperCluster, broker: NatsServer) -> None:
        self.http, self.cluster, self.broker = http, cluster, broker

    async def submit(
        self, name: str, runtime: str = "python", notes: dict[str, str] | None = None, **trainer: Any
    ) -> None:
        spec = {"runtimeRef": {"name": runtime}, "trainer": {"command": ["true"], **trainer}}
        body = {
            "apiVersion": "trainer.kubeflow.org/v1alpha1",
            "kind": "TrainJob",
            "metadata": {"name": name, "annotations": notes or {}},
            "spec": spec,
        }
        answer = await self.http.post(JOBS, json=body)
        assert answer.status_code == 201, answer.text

    async def state(self, name: str) -> str:
        status = (await self.http.get(f"{JOBS}/{name}")).json().get("status") or {}
        over = [c["type"] for c in status.get("conditions") or []]
        return over[0] if over else (status.get("admission") or {}).get("state", "")

    async def reaches(self, name: str, state: str, timeout_s: float = 30) -> None:
        await _until(lambda: self._is(name, state), timeout_s)

    async def complete(self, name: str) -> None:
        await _until(lambda: self._has_child(name), 10)
        await self.cluster.run_pods(name, "team", "Succeeded", 0)
        await self.cluster.finish(name, "team", "Complete")

    async def granted(self, name: str) -> int:
        """Nodes that the job may have now."""
        status = (await self.http.get(f"{JOBS}/{name}")).json().get("status") or {}
        return sum(each["count"] for each in (status.get("admission") or {}).get("podSets") or [])

    async def has(self, name: str, nodes: int) -> None:
        async def so() -> bool:
            child = self.cluster.objects.get(("jobs", "team", f"{name}-node-0"))
            return child is not None and child["spec"]["completions"] == nodes == await self.granted(name)

        await _until(so, 25)

    async def _is(self, name: str, state: str) -> bool:
        return await self.state(name) == state

    async def _has_child(self, name: str) -> bool:
        return ("jobs", "team", f"{name}-node-0") in self.cluster.objects


async def _until(holds: Callable[[], Awaitable[bool]], timeout_s: float) -> None:
    async with asyncio.timeout(timeout_s):
        while not await holds():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Room for two nodes at a time."""
    broker, cluster = NatsServer(tmp_path / "nats"), PaperCluster()
    await broker.start()
    common: dict[str, Any] = {"insecure": True, "nats_url": broker.url}
    trainer = TrainerSettings(service="trainer", store_url=f"sqlite:///{tmp_path}/trainer.db", **common)
    room = {"capacity_cpu": "2", "capacity_memory": "4Gi"}
    scheduler = SchedulerSettings(service="scheduler", store_url=f"sqlite:///{tmp_path}/s.db", **room, **common)
    async with AsyncExitStack() as stack:
        stack.callback(broker.kill)
        await stack.enter_async_context(serve(build_scheduler(), scheduler, Given(cluster=cluster)))
        service = await stack.enter_async_context(serve(build_trainer(), trainer, Given(cluster=cluster)))
        transport = httpx.ASGITransport(app=service.asgi)
        http = await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://trainer"))
        yield World(http, cluster, broker)


async def test_jobs_beyond_the_room_wait_and_start_as_others_end(world: World):
    await world.submit("a", numNodes=2)
    await world.reaches("a", "Admitted")
    await world.submit("b", numNodes=2)
    await world.reaches("b", "Queued")
    await world.complete("a")
    await world.reaches("a", "Complete")
    await world.reaches("b", "Admitted")


async def test_the_nodes_that_a_runtime_asks_for_count_too(world: World):
    three = deepcopy(RUNTIME)
    three["metadata"]["name"] = "three"
    three["spec"]["mlPolicy"] = {"numNodes": 3}
    answer = await world.http.post("/apis/trainer.kubeflow.org/v1alpha1/clustertrainingruntimes", json=three)
    assert answer.status_code == 201, answer.text
    await world.submit("giant", runtime="three")
    await world.reaches("giant", "Queued")
    await world.submit("small")
    await world.reaches("small", "Admitted")


@pytest.mark.timeout(90)
async def test_an_elastic_job_starts_with_the_nodes_there_are_and_grows_when_others_end(world: World):
    await world.submit("a", numNodes=1)
    await world.reaches("a", "Admitted")
    await world.submit("wide", notes={"millstream.dev/min-nodes": "1", "millstream.dev/max-nodes": "2"}, numNodes=2)
    await world.reaches("wide", "Admitted")
    await world.has("wide", 1)
    await world.cluster.run_pods("wide", "team", "Running")
    await world.complete("a")
    await world.has("wide", 2)


@pytest.mark.timeout(90)
async def test_a_job_gets_its_admission_although_the_broker_lost_everything(world: World):
    await world.submit("a", numNodes=2)
    await world.reaches("a", "Admitted")
    await world.submit("b", numNodes=2)
    await world.reaches("b", "Queued")
    await world.broker.wipe()
    await world.complete("a")
    await world.submit("c")
    await world.reaches("b", "Admitted", 60)
    await world.complete("b")
    await world.reaches("c", "Admitted", 60)
