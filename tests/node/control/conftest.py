"""A whole node of its own for a test: real store, real runtime, real processes, in a home that is gone afterwards."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from services.node.adapters.place import Place
from services.node.app import Node, Options, running
from services.node.domain.attempts import Backoff
from services.node.reconcile.kinds import KINDS
from services.node.runtime.control import stop_everything
from services.node.runtime.local import LocalRuntime, RuntimeConfig

Object = dict[str, Any]
BY_KIND = {kind.kind: kind for kind in KINDS}
SHELL = {"image": "python:3.11"}


class Desk:
    """What a test does with a node: make, look, wait."""

    def __init__(self, node: Node, runtime: LocalRuntime) -> None:
        self.node, self.runtime, self.resources = node, runtime, node.resources

    async def make(self, *objs: Object) -> Object:
        made = {}
        for obj in objs:
            space = obj["metadata"].setdefault("namespace", "default") if BY_KIND[obj["kind"]].namespaced else ""
            made = await self.resources.create(BY_KIND[obj["kind"]], obj, namespace=space)
        return made

    async def get(self, kind: str, name: str, namespace: str = "default") -> Object | None:
        return await self.resources.find(BY_KIND[kind], namespace, name)

    async def all(self, kind: str, namespace: str = "default") -> list[Object]:
        return (await self.resources.list(BY_KIND[kind], namespace)).items

    async def patch(self, kind: str, name: str, change: Object) -> Object:
        return await self.resources.patch(BY_KIND[kind], "default", name, change)

    async def delete(self, kind: str, name: str) -> None:
        space = "default" if BY_KIND[kind].namespaced else ""
        await self.resources.delete(BY_KIND[kind], space, name)

    async def until(self, kind: str, name: str, right: Callable[[Any], Any], timeout_s: float = 30) -> Any:
        """The object as soon as `right` says so of it (None: it is gone)."""
        end = time.monotonic() + timeout_s
        space = "default" if BY_KIND[kind].namespaced else ""
        while True:
            obj = await self.get(kind, name, space)
            obj = {"status": {}, **obj} if obj else None
            if right(obj):
                return obj
            if time.monotonic() > end:
                events = [(e["reason"], e["message"]) for e in await self.all("Event")]
                raise AssertionError(f"{kind} {name} did not get there: {obj and obj.get('status')}; events {events}")
            await asyncio.sleep(0.02)

    async def until_says(self, pod: Object, words: str, attempt: int = 0, timeout_s: float = 30) -> None:
        """As soon as the container has written anything, which must be these words."""
        end = time.monotonic() + timeout_s
        while not (said := self.log(pod, attempt=attempt)) and time.monotonic() < end:  # noqa: ASYNC110 (a log is mute)
            await asyncio.sleep(0.02)
        assert said == words

    def log(self, pod: Object, container: str = "main", attempt: int = 0) -> str:
        text = self.runtime.log_path(pod["metadata"]["uid"], container, attempt).read_text()
        return "\n".join(line.split(" ", 3)[3] for line in text.splitlines())


def pod(name: str, script: str, *, policy: str = "Never", **container: Any) -> Object:
    """A pod whose container `main` runs a shell script."""
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec(script, policy, **container)}


def spec(script: str, policy: str = "Never", **container: Any) -> Object:
    volumes = container.pop("volumes", None)
    one = {"name": "main", **SHELL, "command": ["sh", "-c", script], **container}
    found = {"restartPolicy": policy, "terminationGracePeriodSeconds": 1, "containers": [one]}
    return {**found, **({"volumes": volumes} if volumes else {})}


def phase(*wanted: str) -> Callable[[Any], Any]:
    return lambda obj: obj and (obj.get("status") or {}).get("phase") in wanted


def true(condition: str) -> Callable[[Any], Any]:
    def right(obj: Any) -> bool:
        told = ((obj or {}).get("status") or {}).get("conditions") or []
        return any(c["type"] == condition and c["status"] == "True" for c in told)

    return right


@asynccontextmanager
async def node_of(home: Path, *apply: Path, restarts: Backoff | None = None) -> AsyncIterator[Desk]:
    """A node that applies these manifests; with it ends all that it started."""
    place = Place(home)
    place.claim()
    runtime = await LocalRuntime.open(home, RuntimeConfig(warm_platform=False, ml="off"))
    quick = Backoff(0.1, 1.0)
    options = Options(home, apply=apply, restart_backoff=restarts or quick, job_backoff=quick)
    try:
        async with running(options, runtime, place) as node:
            yield Desk(node, runtime)
    finally:
        await runtime.close()
        place.leave()
        await asyncio.to_thread(stop_everything, home, 0.5, 10)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    (tmp_path / "token").write_text("owner")
    async with node_of(tmp_path) as desk:
        yield desk
