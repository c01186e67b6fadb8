"""A real store, a real server and a real kubectl for the resource API's tests."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from libs.base import SystemClock, SystemIds
from libs.resources import Resources
from libs.store import Store
from libs.testing.resources import TOYS, served

ROOT = Path(__file__).parents[2]


@dataclass
class Ran:
    code: int
    out: str
    err: str


Kubectl = Callable[..., Awaitable[Ran]]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await Store.open(f"sqlite:///{tmp_path}/store.db", clock=SystemClock(), ids=SystemIds())
    yield opened
    await opened.close()


@pytest.fixture
def resources(store: Store) -> Resources:
    return Resources(store, TOYS, clock=SystemClock(), ids=SystemIds(), source="millstream/toys")


@pytest.fixture
async def server(resources: Resources) -> AsyncIterator[str]:
    async with served(resources) as url:
        yield url


@pytest.fixture
async def http(server: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server, timeout=20) as client:
        yield client


@pytest.fixture
def kubectl(server: str, tmp_path: Path) -> Kubectl:
    program = shutil.which("kubectl", path=str(ROOT / ".venv" / "bin")) or shutil.which("kubectl")
    assert program, "kubectl is part of the environment"
    config = tmp_path / "kubeconfig"
    config.write_text(
        f"apiVersion: v1\nkind: Config\nclusters: [{{name: c, cluster: {{server: '{server}'}}}}]\n"
        "contexts: [{name: c, context: {cluster: c, user: u, namespace: default}}]\ncurrent-context: c\n"
        "users: [{name: u}]\n"
    )

    async def run(*args: str, stdin: str | None = None) -> Ran:
        process = await asyncio.create_subprocess_exec(
            str(program),
            f"--kubeconfig={config}",
            f"--cache-dir={tmp_path}/cache",
            *args,
            stdin=asyncio.subprocess.PIPE if stdin is not None else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        )
        out, err = await asyncio.wait_for(process.communicate(stdin.encode() if stdin is not None else None), 30)
        return Ran(process.returncode or 0, out.decode(), err.decode())

    return run
