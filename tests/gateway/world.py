"""Two toy services that share one group and version, a node, and a gateway before them, on loopback sockets."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from libs.base import Settings, SystemClock
from libs.resources import Kind
from libs.service import identity
from libs.service.app import App
from libs.service.manifest import Manifest
from libs.service.runner import listen
from libs.service.shell import serve
from libs.service.tls import Files, listen_tls
from services.gateway.app import open_gateway
from services.gateway.domain.options import Options

PRIVATE, PUBLIC = identity.make_keys()
LOCAL_TOKEN = "the-local-token"
SCHEMA = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
BOAT, TRAIN = "boats", "trains"


def kind(name: str) -> Kind:
    return Kind(
        group="toys.example.org",
        version="v1",
        kind=name.capitalize(),
        plural=f"{name}s",
        singular=name,
        schema=SCHEMA,
        short_names=(name[:2],),
    )


def app(name: str, singular: str, routers: Any = lambda ports: (), **more: Any) -> App:
    manifest = Manifest(name=name, owns=(f"{singular}s.toys.example.org/v1",), needs=("store",), **more)
    return App(manifest=manifest, kinds=[kind(singular)], routers=routers)


class Echo:
    """Stands for a service with routes of its own, and for the node: says what it was asked, streams on demand."""

    def __init__(self) -> None:
        self.left = asyncio.Event()
        self.asked: list[web.Request] = []
        self.says: dict[str, tuple[int, Any]] = {}
        """Answers (status and JSON) by path, instead of the echo."""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        if request.query.get("watch"):
            return await self.watch(request)
        if request.path in self.says:
            status, told = self.says[request.path]
            return web.json_response(told, status=status)
        body = await request.read()
        told = {
            "method": request.method,
            "path": request.raw_path,
            "headers": [[name.lower(), value] for name, value in request.headers.items()],
            "size": len(body),
        }
        return web.json_response(told, headers={"Connection": "close"} if request.query.get("close") else None)

    async def watch(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        await answer.write(b'{"type":"ADDED"}\n')
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.left.set()
            raise
        return answer

    async def start(self, stack: AsyncExitStack) -> str:
        application = web.Application(client_max_size=64 * 2**20)
        application.router.add_route("*", "/{rest:.*}", self.handle)
        runner = web.AppRunner(application, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"


@dataclass
class World:
    url: str
    node: Echo
    pipelines: Echo
    stops: dict[str, AsyncExitStack]


@asynccontextmanager
async def world(
    folder: Path, *, apps: Sequence[App] = (), of_services: Mapping[str, Any] | None = None, **options: Any
) -> AsyncIterator[World]:
    """With `apps` beside the two; `of_services` are further settings of all services, `options` the gateway's."""
    async with AsyncExitStack() as stack:
        node, pipelines = Echo(), Echo()
        upstreams = {"pipelines": await pipelines.start(stack)}
        manifests = [
            Manifest(
                name="pipelines",
                routes=("/apis/v2beta1", "/api/model_registry/v1", "/api/model_registry/v1/special"),
                page="/apis/v2beta1/page",
                aliases=("ml-pipeline",),
                self_authenticated=("POST /apis/v2beta1/jobs/{name}/progress",),
            )
        ]
        stops: dict[str, AsyncExitStack] = {}
        for each in (app("boats", "boat"), app("trains", "train"), *apps):
            stops[each.manifest.name] = inner = await stack.enter_async_context(AsyncExitStack())
            upstreams[each.manifest.name] = await _start(each, folder, inner, of_services or {})
            manifests.append(each.manifest)
        given = {
            "service": "gateway",
            "node_url": await node.start(stack),
            "identity_private_key": PRIVATE,
            "local_user": True,
            "local_token": LOCAL_TOKEN,
            "log_level": "warning",
            "discovery_ttl_s": 0.0,
            **options,
        }
        yield await _gateway(Options(upstreams=upstreams, **given), manifests, node, pipelines, stops, stack)


async def _gateway(
    options: Options,
    manifests: Sequence[Manifest],
    node: Echo,
    pipelines: Echo,
    stops: dict[str, AsyncExitStack],
    stack: AsyncExitStack,
) -> World:
    gateway = await stack.enter_async_context(open_gateway(options, manifests=manifests))
    url = await stack.enter_async_context(listen(gateway.asgi, "127.0.0.1", 0))
    if gateway.front is not None:
        files = Files(options.tls_cert_file, options.tls_key_file)
        second = listen_tls(gateway.asgi, "127.0.0.1", options.tls_port, files, gateway.front, SystemClock())
        await stack.enter_async_context(second)
    stack.callback(gateway.begin_stop)
    return World(url, node, pipelines, stops)


async def _start(each: App, folder: Path, stack: AsyncExitStack, more: Mapping[str, Any]) -> str:
    settings = Settings(
        service=each.manifest.name,
        store_url=f"sqlite:///{folder}/{each.manifest.name}.db",
        identity_public_key=PUBLIC,
        log_level="warning",
        **more,
    )
    service = await stack.enter_async_context(serve(each, settings))
    url = await stack.enter_async_context(listen(service.asgi, "127.0.0.1", 0))
    stack.callback(service.begin_stop)
    return url
