"""Two platforms with another database, bucket and namespace each; both with a conductor, their REST API on a port and a
real S3 server. Steps are played, their bytes are real."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI, Request
from millstream.client import Client

from libs.base.errors import Forbidden
from libs.blobs import Endpoint, Reader, S3Blobs
from libs.testing.bus_server import free_port
from services.pipelines.adapters.sharing import SharedCache
from services.pipelines.adapters.specs import Specs
from services.pipelines.api.sharing import router
from services.pipelines.app import PipelinesSettings, means, saying
from services.pipelines.domain.runs import Run
from services.pipelines.domain.steps.values import StepOrder, StepResult, StoredArtifact
from services.pipelines.handlers.sharing import SharedResults
from tests.blobs.server import s3_server
from tests.services.pipelines.conductor.rig import Rig, rig

NUMBERS = count()
LARGE = bytes(range(256)) * 40_000
"""More than one part."""
BODIES: dict[str, dict[str, bytes]] = {"file": {"": b"1,2,3\n"}, "large": {"": LARGE}}
BODIES["tree"] = {"z": b"last", "b/deep/x": b"x", "a": b"first", "b/y": b"y"}


@dataclass
class Platform:
    """`root` is its bucket as a folder; `refused` are the (verb, plural) that nobody may."""

    rig: Rig
    root: Path
    client: Client
    shared: SharedCache
    refused: set[tuple[str, str]] = field(default_factory=set)

    @property
    def namespace(self) -> str:
        return self.rig.namespace

    async def run(self, text: str, **options: Any) -> tuple[Run, dict[str, str]]:
        """A run to its end, and why its steps ran or not."""
        run = await self.rig.over(await self.rig.submit(text, **options))
        assert run.state == "SUCCEEDED", run.error
        async with self.rig.ports.store.read() as reader:
            rows = await reader.rows("SELECT path, cache FROM pipeline_tasks WHERE run_id = $1", run.id)
        return run, {str(path).removeprefix("root/"): str(why) for path, why in rows if why}

    async def outputs(self, run: Run, path: str) -> Any:
        return (await self.rig.tasks(run))[path].outputs

    def lying(self, uri: str) -> Path:
        return self.root / uri.removeprefix(f"s3://{self.rig.bucket}/")


def playing(endpoint: Endpoint, bucket: str) -> Any:
    """Each step writes what its name says, and answers with true digests."""
    client = Reader(endpoint, bucket).client

    def store(uri: str, body: bytes) -> str:
        client.put_object(bucket, uri.removeprefix(f"s3://{bucket}/"), io.BytesIO(body), len(body))
        return sha256(body).hexdigest()

    def play(order: StepOrder) -> StepResult:
        made = {}
        for slot in order.artifacts:
            files = BODIES[order.name.partition("-")[0]]
            digests = {name: store(f"{slot.uri}/{name}" if name else slot.uri, body) for name, body in files.items()}
            order_of = [name for name in ("", "a", "z", "b/y", "b/deep/x") if name in digests]
            lines = "".join(f"{digests[name]}  {name}\n" for name in order_of)
            tree = f"sha256-tree:{sha256(lines.encode()).hexdigest()}"
            digest, size = f"sha256:{digests['']}" if "" in digests else tree, sum(map(len, files.values()))
            made[slot.name] = (StoredArtifact(slot.name, slot.uri, digest, size, len(files), {"rows": 3}),)
        log = f"{order.root}/executor-logs"
        digest = store(log, b"hello\n")
        values = dict.fromkeys(order.parameters, 41)
        printed = StoredArtifact("executor-logs", log, f"sha256:{digest}", 6, 1)
        return StepResult(True, values=values, artifacts=made, log=printed)

    return play


@asynccontextmanager
async def platform(folder: Path, endpoint: Endpoint, s3: Path, url: str, bucket: str, space: str) -> Any:
    root = s3 / bucket
    await asyncio.to_thread(folder.mkdir)
    blobs = S3Blobs(endpoint, bucket)
    await blobs.put(".here", b"")
    async with rig(folder, playing(endpoint, bucket), url=url) as running:
        running.bucket, running.namespace, running.ports.blobs = bucket, space, blobs
        settings: Any = PipelinesSettings(service="pipelines", store_url="", insecure=True, s3_bucket=bucket)
        running.ports.settings = settings
        outbox = partial(saying, running.ports)
        shared = SharedCache(running.ports.store, Specs(), blobs, bucket, running.ports.clock, outbox)
        here = Platform(running, root, Client("http://127.0.0.1"), shared)

        async def allow(user: Any, verb: str, plural: str, namespace: str, name: str) -> None:
            if (verb, plural) in here.refused or namespace != space:
                raise Forbidden(f"{verb} {plural} in {namespace!r} is forbidden")

        desk = SharedResults(replace(means(running.ports), allow=allow), shared)
        async with served(desk) as port, running.leading():
            here.client = Client(f"http://127.0.0.1:{port}")
            yield here
            here.client.close()
    blobs.close()


@asynccontextmanager
async def served(desk: SharedResults) -> AsyncIterator[int]:
    app, port = FastAPI(), free_port()

    @app.middleware("http")
    async def known(request: Request, call: Any) -> Any:
        request.state.user = None
        return await call(request)

    app.include_router(router(desk))
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", lifespan="off"))
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    yield port
    server.should_exit = True
    await serving


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Endpoint, Path]]:
    folder = tmp_path_factory.mktemp("s3")
    with s3_server(folder) as endpoint:
        yield endpoint, folder


@pytest.fixture
async def two(tmp_path: Path, s3: tuple[Endpoint, Path], postgres: Any) -> AsyncIterator[tuple[Platform, Platform]]:
    """A laptop's, and one as on a cluster."""
    endpoint, folder = s3
    number = next(NUMBERS)
    async with AsyncExitStack() as stack:
        laptop = platform(tmp_path / "laptop", endpoint, folder, "", f"laptop-{number}", "team")
        url = postgres.emptied_database()
        cluster = platform(tmp_path / "cluster", endpoint, folder, url, f"company-{number}", "research")
        yield await stack.enter_async_context(laptop), await stack.enter_async_context(cluster)
