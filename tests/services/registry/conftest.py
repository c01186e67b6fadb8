"""A whole registry in the test's process on a fresh SQLite database, without a broker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from libs.base.settings import Settings
from libs.service.shell import Service, serve
from services.registry.app import build


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/registry.db"


@pytest.fixture
async def service(store_url: str) -> AsyncIterator[Service]:
    settings = Settings(service="registry", store_url=store_url, insecure=True)
    async with serve(build(), settings) as running:
        yield running


@pytest.fixture
async def client(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(service.asgi)
    async with httpx.AsyncClient(transport=transport, base_url="http://registry/api/model_registry/v1") as client:
        yield client
