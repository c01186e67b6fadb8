"""A Kubernetes API that does on purpose what a real one does rarely: goes away, forgets, sends what is huge."""

import asyncio
import json
from pathlib import Path
from typing import Any

from aiohttp import web

KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: toy
contexts: [{{name: toy, context: {{cluster: toy, user: toy}}}}]
clusters: [{{name: toy, cluster: {{server: "{server}"}}}}]
users: [{{name: toy, user: {{tokenFile: "{token}"}}}}]
"""


def pod(name: str, version: int, **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "team", "resourceVersion": str(version), **more}}


def status(code: int, reason: str) -> dict[str, Any]:
    return {"kind": "Status", "apiVersion": "v1", "code": code, "reason": reason, "message": f"told: {reason}"}


class ToyServer:
    """Answers from a script: `listings` and `watches` are consumed one per request, the last watch stays open.

    `answers` come first, also to a watch: a code, a body and headers, or b"cut" for a connection that breaks.
    """

    def __init__(self) -> None:
        self.listings: list[tuple[int, list[dict[str, Any]]]] = []
        self.watches: list[list[dict[str, Any] | bytes | None]] = []
        self.asked: list[web.Request] = []
        self.bodies: list[Any] = []
        self.answers: list[tuple[int, Any] | tuple[int, Any, dict[str, str]] | bytes] = []

    async def start(self, folder: Path) -> str:
        """Serves on loopback; returns the path of a kubeconfig."""
        app = web.Application()
        app.router.add_route("*", "/{rest:.*}", self.handle)
        self.runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0)
        await site.start()
        (folder / "token").write_text("first-token")
        file = folder / "kubeconfig"
        server = f"http://127.0.0.1:{self.runner.addresses[0][1]}"
        file.write_text(KUBECONFIG.format(server=server, token=folder / "token"))
        return str(file)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        self.bodies.append(await request.json() if request.can_read_body else None)
        if self.answers and self.answers[0] == b"cut":
            self.answers.pop(0)
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if self.answers:
            code, body, *headers = self.answers.pop(0)
            text = body if isinstance(body, str) else json.dumps(body)
            return web.Response(status=code, text=text, headers=dict(*headers))
        if request.query.get("watch"):
            return await self.watch(request)
        version, items = self.listings.pop(0) if len(self.listings) > 1 else self.listings[0]
        return web.json_response({"kind": "PodList", "metadata": {"resourceVersion": str(version)}, "items": items})

    async def watch(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        script = self.watches.pop(0) if self.watches else [None]
        for event in script:
            if event is None:
                await asyncio.sleep(3600)
            elif event == b"cut":
                assert request.transport is not None
                request.transport.abort()
            else:
                await answer.write(event if isinstance(event, bytes) else json.dumps(event).encode() + b"\n")
        return answer
