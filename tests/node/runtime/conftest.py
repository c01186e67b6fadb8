"""A runtime with its spawner in a home of its own, ended with everything in it after the test."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from services.node.ports import ContainerExited, ContainerSpec, ContainerStarted, PodSandbox
from services.node.runtime.control import stop_everything
from services.node.runtime.local import LocalRuntime, RuntimeConfig

PATIENCE_S = 30
LIGHT = {"platform": ("xml.dom",)}  # a fork server that is there at once


class Bench:
    """A runtime and what it said, with words for the usual questions."""

    def __init__(self, runtime: LocalRuntime) -> None:
        self.runtime = runtime
        self.started: dict[tuple[str, str, int], ContainerStarted] = {}
        self.exited: dict[tuple[str, str, int], ContainerExited] = {}
        self._changed = asyncio.Condition()
        self._listener = asyncio.create_task(self._listen(runtime.events()))
        self._numbers = itertools.count(1)

    async def _listen(self, events: AsyncIterator[Any]) -> None:
        async for event in events:
            key = (event.pod_uid, event.name, event.attempt)
            (self.exited if isinstance(event, ContainerExited) else self.started)[key] = event
            async with self._changed:
                self._changed.notify_all()

    async def _until(self, found: Callable[[], Any]) -> Any:
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(lambda: found() is not None)
        return found()

    async def pod(self, **more: Any) -> str:
        uid = f"pod-{next(self._numbers)}"
        await self.runtime.start_pod(
            PodSandbox(uid=uid, namespace="ns", name=uid, ip="127.0.0.1", hostname=uid, **more)
        )
        return uid

    async def start(
        self, *argv: str, pod: str | None = None, image: str = "millstream/test", **more: Any
    ) -> ContainerSpec:
        more = {"name": "main", "attempt": 0, **more}
        spec = ContainerSpec(pod_uid=pod or await self.pod(), image=image, argv=argv, **more)
        await self.runtime.start_container(spec)
        return spec

    async def run(self, *argv: str, **more: Any) -> tuple[ContainerExited, str]:
        """Starts a container and waits for its end; its record and its output."""
        spec = await self.start(*argv, **more)
        return await self.end(spec), self.log(spec)

    async def running(self, spec: ContainerSpec) -> ContainerStarted:
        return await self._until(lambda: self.started.get((spec.pod_uid, spec.name, spec.attempt)))

    async def end(self, spec: ContainerSpec) -> ContainerExited:
        return await self._until(lambda: self.exited.get((spec.pod_uid, spec.name, spec.attempt)))

    def log(self, spec: ContainerSpec, stream: str | None = None) -> str:
        lines = self.runtime.log_path(spec.pod_uid, spec.name, spec.attempt).read_text().splitlines()
        parts = [line.split(" ", 3) for line in lines]
        return "\n".join(text for _, name, _, text in parts if stream in (None, name))

    async def logged(self, spec: ContainerSpec, text: str) -> None:
        async with asyncio.timeout(PATIENCE_S):
            path = self.runtime.log_path(spec.pod_uid, spec.name, spec.attempt)
            while not (path.exists() and text in path.read_text()):  # noqa: ASYNC110 (a file tells nobody)
                await asyncio.sleep(0.01)

    async def close(self) -> None:
        self._listener.cancel()
        await asyncio.gather(self._listener, return_exceptions=True)
        await self.runtime.close()


@contextlib.asynccontextmanager
async def bench_in(home: Path, config: RuntimeConfig | None = None) -> AsyncIterator[Bench]:
    """Opens a bench on a home and ends every process of that home."""
    bench = Bench(await LocalRuntime.open(home, config or RuntimeConfig(warm_platform=False, ml="off", preload=LIGHT)))
    try:
        yield bench
    finally:
        await bench.close()
        assert await asyncio.to_thread(stop_everything, home, 0.5)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench_in(tmp_path / "home") as bench:
        yield bench


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()
