"""The whole tuner over a real store, HTTP and controller; the cluster is on paper, and the test plays the trainer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import httpx

from contracts.messages import Message
from libs.base.settings import Settings
from libs.service.app import Given
from libs.service.shell import Service, serve
from services.tuner.app import build
from tests.services.tuner.paper import PaperCluster

Object = dict[str, Any]
API = "/apis/kubeflow.org/v1beta1/namespaces/team"
MERGE = {"content-type": "application/merge-patch+json"}
JOB = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "spec": {
        "template": {
            "spec": {
                "restartPolicy": "Never",
                "containers": [{"name": "main", "image": "python", "args": ["${trialParameters.rate}"]}],
            }
        }
    },
}
TRAINJOB = {
    "apiVersion": "trainer.kubeflow.org/v1alpha1",
    "kind": "TrainJob",
    "spec": {"runtimeRef": {"name": "python"}, "trainer": {"command": ["train", "${trialParameters.rate}"]}},
}
PYTORCHJOB = {
    "apiVersion": "kubeflow.org/v1",
    "kind": "PyTorchJob",
    "spec": {
        "pytorchReplicaSpecs": {
            role: {
                "replicas": 1,
                "template": {
                    "spec": {"containers": [{"name": "pytorch", "image": "p", "args": ["${trialParameters.rate}"]}]}
                },
            }
            for role in ("Master", "Worker")
        }
    },
}
EXPERIMENT: Object = {
    "apiVersion": "kubeflow.org/v1beta1",
    "kind": "Experiment",
    "metadata": {"name": "rates", "namespace": "team"},
    "spec": {
        "objective": {"type": "maximize", "objectiveMetricName": "accuracy"},
        "algorithm": {"algorithmName": "random"},
        "maxTrialCount": 4,
        "parallelTrialCount": 2,
        "parameters": [
            {"name": "lr", "parameterType": "double", "feasibleSpace": {"min": "0.001", "max": "0.1"}},
        ],
        "trialTemplate": {
            "primaryContainerName": "main",
            "trialParameters": [{"name": "rate", "reference": "lr"}],
            "trialSpec": JOB,
        },
    },
}


def experiment(run: Object = JOB, **spec: Any) -> Object:
    made = deepcopy(EXPERIMENT)
    made["spec"] |= spec
    made["spec"]["trialTemplate"]["trialSpec"] = deepcopy(run)
    names = {"TrainJob": "node", "PyTorchJob": "pytorch", "Job": "main"}
    made["spec"]["trialTemplate"]["primaryContainerName"] = names[run["kind"]]
    return made


def as_told(job: Object) -> str:
    """The better, the greater the rate."""
    return f"epoch 1\naccuracy={float(job['spec']['template']['spec']['containers'][0]['args'][0]) * 10}\n"


class Rig:
    def __init__(self, service: Service, http: httpx.AsyncClient, cluster: PaperCluster) -> None:
        self.service, self.http, self.cluster = service, http, cluster

    async def create(self, obj: Object) -> httpx.Response:
        answer = await self.http.post(f"{API}/experiments", json=obj)
        assert answer.status_code == 201, answer.text
        return answer

    async def patch(self, change: Object) -> httpx.Response:
        return await self.http.patch(f"{API}/experiments/rates", json=change, headers=MERGE)

    async def experiment(self) -> Object:
        return (await self.http.get(f"{API}/experiments/rates")).json()

    async def trials(self, selector: str = "") -> list[Object]:
        found = (await self.http.get(f"{API}/trials", params={"labelSelector": selector})).json()["items"]
        return sorted(found, key=lambda trial: int(trial["metadata"]["labels"]["millstream.dev/trial-number"]))

    async def is_over(self) -> bool:
        return bool((await self.experiment()).get("status", {}).get("completionTime"))

    async def hear(self, fact: Message) -> None:
        """Delivers a fact to the tuner's handler as the shell does."""
        app, ports = self.service.app, self.service.ports
        async with ports.store.write() as uow:
            await app.handlers[type(fact)](fact, app.needs(ports, uow))

    async def said(self) -> list[tuple[str, Object]]:
        """Type and data of all letters, in the order of their being said."""
        async with self.service.ports.store.read() as reader:
            changes = await reader.changes_since(0)
        return [(change.letter["type"], change.letter["data"]) for change in changes if change.letter]

    async def said_of(self, type: str) -> list[str]:
        return [
            data.get("name") or data["manifest"]["metadata"]["name"] for told, data in await self.said() if told == type
        ]


async def until(holds: Callable[[], Awaitable[Any]], timeout_s: float = 30) -> Any:
    async with asyncio.timeout(timeout_s):
        while not (found := await holds()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return found


@asynccontextmanager
async def started(folder: Path, cluster: PaperCluster) -> AsyncIterator[Rig]:
    settings = Settings(service="tuner", insecure=True, store_url=f"sqlite:///{folder}/tuner.db")
    async with serve(build(), settings, Given(cluster=cluster)) as service:
        transport = httpx.ASGITransport(app=service.asgi)
        async with httpx.AsyncClient(transport=transport, base_url="http://tuner") as http:
            yield Rig(service, http, cluster)
