"""A step door on a real port before a real S3 server, and the launcher's zip as a process in a folder of its own."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from libs.base import SystemClock, SystemIds
from libs.base.errors import Unavailable
from libs.blobs import S3Blobs
from libs.service.http import _handlers
from libs.store import Store
from libs.testing.bus_server import free_port
from services.pipelines.adapters.launcher import launcher
from services.pipelines.adapters.making import Making
from services.pipelines.adapters.stepfiles import SINGLE_MAX, SignedFiles
from services.pipelines.api.steps import router
from services.pipelines.app import MIGRATIONS
from services.pipelines.domain.engine.records import Kind, State, TaskRecord, Values
from services.pipelines.domain.engine.words import Failed, RunFacts, Succeeded
from services.pipelines.domain.ir.model import Component, ContainerExecutor, Interface, Pipeline
from services.pipelines.domain.steps.order import order
from services.pipelines.domain.steps.pod import component_env
from services.pipelines.domain.steps.results import outcome
from services.pipelines.domain.steps.tokens import namespace_key
from services.pipelines.domain.steps.values import StepOrder, StepResult

SECRET = b"the service's secret"
BUCKET = "millstream"
RUN = RunFacts("11111111-2222-3333-4444-555555555555", "team", "demo", f"s3://{BUCKET}/pipelines/team/r1", {},
               datetime(2026, 11, 23, tzinfo=UTC))  # fmt: skip
"""The run of all steps here."""


def ordered(
    command: list[str], inputs: Values = Values(), gives: Interface = Interface(), attempt: int = 1, **env: str
) -> StepOrder:
    """The order for a component with this command, as the service would write it."""
    executor = ContainerExecutor("exec", "python:3.11", tuple(command), env=tuple(env.items()))
    component = Component("comp-step", Interface(), gives, executor="exec")
    root = Component("root", Interface(), Interface())
    pipeline = Pipeline("demo", {"root": root, "comp-step": component}, {"exec": executor})
    record = TaskRecord("root/step", "uid-1", "root", "step", "step", Kind.STEP, "comp-step", State.PENDING,
                        attempt=attempt, inputs=inputs)  # fmt: skip
    return order(pipeline, record, RUN)


@dataclass
class OneDesk:
    """The StepDesk of a conductor that has one step."""

    order: StepOrder | None = None
    results: list[StepResult] = field(default_factory=list)
    away: int = 0
    """How many results it turns away first, as a service does that is starting or has no leader."""

    async def order_of(self, uid: str, attempt: int) -> StepOrder | None:
        known = self.order is not None and (uid, attempt) == (self.order.uid, self.order.attempt)
        return self.order if known else None

    async def report(self, namespace: str, uid: str, attempt: int, result: StepResult) -> bool:
        if self.away:
            self.away -= 1
            raise Unavailable("the service is starting")
        self.results.append(result)
        return True


@dataclass(frozen=True)
class Ended:
    """How the launcher's process ended, and what the service makes of what it told."""

    code: int
    output: str
    outcome: Succeeded | Failed | None


class Bench:
    """`run` is one attempt from the start of its pod's process to the end."""

    def __init__(self, url: str, blobs: S3Blobs, desk: OneDesk, folder: Path) -> None:
        self.url, self.blobs, self.desk, self.folder = url, blobs, desk, folder
        self._pods = 0
        (folder / "launcher.pyz").write_bytes(launcher())

    def environment(self, order: StepOrder, **more: str) -> dict[str, str]:
        return {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            **{each["name"]: each["value"].replace("$$(", "$(") for each in component_env(order)},
            "MILLSTREAM_STEP_URL": f"{self.url}/pipelines/v1/steps/{order.namespace}/{order.uid}/{order.attempt}",
            "MILLSTREAM_STEP_KEY": namespace_key(SECRET, order.namespace),
            "MILLSTREAM_STEP_ROOT": str(self.folder / f"pod-{self._pods}"),
            **more,
        }

    async def begin(self, order: StepOrder, **more: str) -> asyncio.subprocess.Process:
        self.desk.order = order
        self._pods += 1
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            "python3", str(self.folder / "launcher.pyz"), env=self.environment(order, **more), cwd=self.folder,
            stdout=pipe, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip

    async def run(self, order: StepOrder, **more: str) -> Ended:
        before = len(self.desk.results)
        process = await self.begin(order, **more)
        output = (await asyncio.wait_for(process.communicate(), 90))[0].decode()
        told = self.desk.results[before:]
        return Ended(process.returncode or 0, output, outcome(order, told[0]) if told else None)


@asynccontextmanager
async def bench(blobs: S3Blobs, folder: Path, single_max: int = SINGLE_MAX) -> AsyncIterator[Bench]:
    desk, port = OneDesk(), free_port()

    async def key() -> bytes:
        return SECRET

    app = FastAPI()
    for kind, handler in _handlers().items():
        app.add_exception_handler(kind, handler)
    store = await Store.open(
        f"sqlite:///{folder}/store.db", clock=SystemClock(), ids=SystemIds(), migrations=[MIGRATIONS]
    )
    files = SignedFiles(blobs, BUCKET, Making(store, blobs, SystemClock()), single_max)
    app.include_router(router(desk, files, key))
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", lifespan="off"))
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    yield Bench(f"http://127.0.0.1:{port}", blobs, desk, folder)
    server.should_exit = True
    await serving
    await store.close()


def moved(order: StepOrder, **changes: Any) -> StepOrder:
    return replace(order, **changes)


def given(values: Mapping[str, Any]) -> Values:
    return Values(dict(values))
