"""KFP's REST API with its real store, routes and rights; the conductor does not run, so that runs stay as they are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from libs.base.errors import Forbidden
from libs.service.app import App, Given, Ports
from libs.service.manifest import Manifest
from libs.service.shell import serve
from libs.testing.blobs import FolderBlobs
from libs.testing.clock import VirtualClock
from libs.testing.cluster import MemoryCluster
from libs.testing.cluster_wire import connect
from services.pipelines.adapters.artifact_bytes import StoredBytes
from services.pipelines.adapters.rehearsal import SqlRehearsal
from services.pipelines.api import console, downloads, forks, lineage, pictures
from services.pipelines.api.v2beta1.rest import rest
from services.pipelines.app import MIGRATIONS, PipelinesSettings, means
from services.pipelines.handlers.artifacts import Artifacts
from services.pipelines.handlers.desk import Means
from services.pipelines.handlers.pictures import Pictures
from services.pipelines.handlers.spaces import Spaces

GOLDEN = Path(__file__).parents[1] / "golden" / "kfp_2.17.0"
Body = dict[str, Any]


@dataclass
class Rights:
    """What a cluster's authorisers would say: all may do everything, or only something in one namespace. `core` is
    what may be done in the core group, if that is not everything: (verb or user, plural, name or "")."""

    only: str = ""
    core: set[tuple[str, str, str]] | None = None
    asked: list[tuple[str, str, str]] = field(default_factory=list)

    async def allows(self, user: Any, verb: str, kind: Any, namespace: str, name: str, part: str) -> bool:
        self.asked.append((verb, kind.resource, namespace))
        if self.core is not None and kind.group == "":
            account = user.name.startswith("system:serviceaccount:")
            return (user.name if account else verb, kind.plural, name) in self.core
        return not self.only or namespace == self.only


@dataclass
class Server:
    """A running API and how to ask it; whatever it says is found in its store."""

    ports: Ports
    means: Means
    clock: VirtualClock
    blobs: FolderBlobs
    rights: Rights
    http: httpx.AsyncClient

    async def get(self, path: str, **query: Any) -> Body:
        return _good(await self.http.get(path, params=query))

    async def post(self, path: str, body: Any = None) -> Body:
        return _good(await self.http.post(path, json=body if body is not None else {}))

    async def delete(self, path: str, **query: Any) -> Body:
        return _good(await self.http.delete(path, params=query))

    async def upload(self, path: str, package: bytes, **query: Any) -> httpx.Response:
        return await self.http.post(path, params=query, files={"uploadfile": ("package", package)})

    async def said(self) -> list[str]:
        """The types of all that was said, in order."""
        async with self.ports.store.read() as reader:
            changes = await reader.changes_since(0)
        return [change.letter["type"] for change in changes if change.letter]


async def secret() -> bytes:
    """The service's own."""
    return b"the service's secret"


def _good(answer: httpx.Response) -> Body:
    assert answer.status_code == 200, answer.text
    found: Body = answer.json()
    return found


def refused(answer: httpx.Response) -> tuple[int, int, str]:
    """The HTTP status, gRPC's code, and the message, of an answer in KFP's form."""
    told = answer.json()
    assert {"code", "message", "details"} <= set(told)
    return answer.status_code, told["code"], told["message"]


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/pipelines.db"


@pytest.fixture
async def server(store_url: str, tmp_path: Path) -> AsyncIterator[Server]:
    rights = Rights()
    clock, blobs, made = VirtualClock(), FolderBlobs(tmp_path / "blobs"), {}

    def routers(ports: Ports) -> Any:
        made["ports"], made["means"] = ports, means(ports)
        kept = StoredBytes(blobs, "millstream", connect(MemoryCluster(clock, ports.ids)))
        artifacts = Artifacts(made["means"], kept, secret, clock)
        rehearsal = SqlRehearsal(ports.store, clock, "millstream")
        more = [
            forks.router(made["means"], rehearsal),
            pictures.router(Pictures(made["means"])),
            console.router(Spaces(made["means"])),
        ]
        return [rest(made["means"], artifacts), lineage.router(artifacts), downloads.router(artifacts), *more]

    manifest = Manifest(name="pipelines", routes=("/apis/v2beta1", "/pipelines/v1"))
    app = App(
        manifest=manifest,
        settings=PipelinesSettings,
        routers=routers,
        migrations=MIGRATIONS,
        authorize=lambda ports: rights.allows,
    )
    settings = PipelinesSettings(service="pipelines", store_url=store_url, insecure=True)
    async with serve(app, settings, Given(clock=clock)) as running:
        transport = httpx.ASGITransport(running.asgi)
        async with httpx.AsyncClient(transport=transport, base_url="http://pipelines/apis/v2beta1") as http:
            yield Server(made["ports"], made["means"], clock, blobs, rights, http)


@pytest.fixture
def golden() -> Callable[[str], bytes]:
    """A pipeline as kfp 2.17 compiled it."""
    return lambda name: (GOLDEN / f"{name}.yaml").read_bytes()


def only_in(namespace: str) -> Callable[..., Any]:
    """Leave for one namespace."""

    async def allow(user: Any, verb: str, plural: str, space: str, name: str) -> None:
        if space != namespace:
            raise Forbidden(f"{verb} {plural} in {space!r} is forbidden")

    return allow
