"""A model server, and the whole service, inside the test's own process: real HTTP semantics, no socket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from libs.service.app import Given
from libs.service.shell import serve
from services.serving.app import ServingSettings, build
from services.serving.workloads.model_server import frameworks
from services.serving.workloads.model_server.engine import Engine
from services.serving.workloads.model_server.http import application
from tests.services.serving import models
from tests.services.serving.cluster import SmallCluster

SAVERS: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "sklearn": ("sklearn", models.save_sklearn),
    "onnx": ("onnx", models.save_onnx),
    "xgboost": ("xgboost", models.save_xgboost),
    "exported": ("pytorch", models.save_exported),
    "script": ("pytorch", models.save_script),
}


@pytest.fixture(scope="session")
def engine_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Engine]:
    made: dict[str, Engine] = {}

    def engine(which: str) -> Engine:
        if which not in made:
            format_name, save = SAVERS[which]
            path = save(tmp_path_factory.mktemp(which))
            made[which] = Engine("m", "1", 1, model=frameworks.load(format_name, path, 1), grpc_up=True)
        return made[which]

    return engine


@pytest.fixture
async def client_of(engine_of: Callable[[str], Engine]) -> AsyncIterator[Callable[[str], httpx.AsyncClient]]:
    clients: list[httpx.AsyncClient] = []

    def client(which: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(application(engine_of(which), 1 << 20))
        clients.append(httpx.AsyncClient(transport=transport, base_url="http://model"))
        return clients[-1]

    yield client
    for each in clients:
        await each.aclose()


@pytest.fixture
def cluster():
    return SmallCluster()


@pytest.fixture
async def service(tmp_path, cluster):
    settings = ServingSettings(
        service="serving",
        store_url=f"sqlite:///{tmp_path}/serving.db",
        insecure=True,
        public_url="http://127.0.0.1:8080",
        s3_endpoint="http://127.0.0.1:9000",
        s3_access_key="key",
        s3_secret_key="secret",
    )
    async with serve(build(), settings, Given(cluster=cluster)) as running:
        yield running


@pytest.fixture
async def client(service):
    transport = httpx.ASGITransport(service.asgi)
    async with httpx.AsyncClient(transport=transport, base_url="http://serving") as client:
        yield client
