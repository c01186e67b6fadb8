"""The conductor on a real store and a cluster in memory; steps are played by functions instead of launchers."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from libs.base import SystemClock, SystemIds
from libs.base.errors import NotFound, Unavailable
from libs.service.app import Ports
from libs.service.pipeline import say
from libs.store import Store
from libs.testing.cluster import Address, Happening, MemoryCluster
from libs.testing.cluster_wire import connect
from services.pipelines.adapters.catalog import SqlCatalog
from services.pipelines.adapters.compiling import compiled
from services.pipelines.adapters.conductor import Conductor
from services.pipelines.adapters.desk import Desk
from services.pipelines.adapters.pods import Pods
from services.pipelines.adapters.runs import ReadRuns, SqlRuns
from services.pipelines.adapters.specs import Specs
from services.pipelines.adapters.told import Told
from services.pipelines.domain.catalog.documents import from_yaml
from services.pipelines.domain.engine.records import TaskRecord
from services.pipelines.domain.ir.values import run_parameters
from services.pipelines.domain.runs import NewRun, Run, RunOptions
from services.pipelines.domain.steps.pod import ATTEMPT, TASK, Site
from services.pipelines.domain.steps.values import StepOrder, StepResult

HERE = Path(__file__).parents[4]
MIGRATIONS = HERE / "services" / "pipelines" / "adapters" / "migrations"
Play = Callable[[StepOrder], StepResult | None]
"""What a step's program does; None: its pod dies without a word."""


@dataclass
class Rig:
    ports: Ports
    cluster: MemoryCluster
    play: Play
    limit: int = 100
    orders: list[StepOrder] = field(default_factory=list)
    plays: bool = True
    """Whether what pods do is played at all."""
    namespace: str = "team"
    bucket: str = "millstream"
    conductor: Any = None
    desk: Any = None

    def build(self) -> None:
        """A conductor that knows nothing yet, as after a start of the process."""
        specs, wire = Specs(), connect(self.cluster)
        site = Site(url="http://pipelines", gateway="http://gateway", launcher=b"zip")

        async def ensure(namespace: str) -> Site:
            """Nothing is mounted here."""
            return site

        def pods(conductor: Conductor) -> Pods:
            def heard(uid: str, attempt: int, ended: Any) -> None:
                conductor.hear(Told(uid, attempt, ended=ended))

            def stuck(uid: str, attempt: int, why: str) -> None:
                conductor.hear(Told(uid, attempt, waits=why))

            more: dict[str, Any] = {"limit": self.limit, "keep_failed_s": 3600, "stuck": stuck}
            return Pods(wire, self.ports.clock, site, ensure, heard, conductor.order_of, **more)

        self.conductor = Conductor(self.ports, specs, pods, self.bucket)
        self.desk = Desk(self.ports.store, specs, self.conductor)

    @asynccontextmanager
    async def leading(self, anew: bool = False) -> AsyncIterator[None]:
        """The conductor and its pods run; the cluster's machine plays what each pod does. `anew`: a conductor that
        breaks off begins again, as under its controller."""
        self.build()
        self.cluster.on_change.append(self._note)
        task = asyncio.ensure_future(self._anew() if anew else self.conductor.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self.cluster.on_change.remove(self._note)  # not before: a pod that is just being made is one to be played

    async def _anew(self) -> None:
        while True:
            with suppress(Exception):
                await self.conductor.run()
            await asyncio.sleep(0.02)

    def _note(self, happening: Happening) -> None:
        if self.plays and happening.type == "ADDED" and happening.address.plural == "pods":
            asyncio.ensure_future(self._run_pod(happening.address, happening.obj))  # noqa: RUF006

    async def play_pod(self, at: Address) -> None:
        """For one that was made while nothing was played."""
        await self._run_pod(at, self.cluster.objects[at])

    async def _run_pod(self, at: Address, pod: dict[str, Any]) -> None:
        labels = pod["metadata"]["labels"]
        uid, attempt = labels[TASK], int(labels[ATTEMPT])
        order = await self.desk.order_of(uid, attempt)
        if order is None:
            return
        self.orders.append(order)
        result = self.play(order)
        if result is not None:
            await self._hand_in(order, result)
        ended = {"phase": "Succeeded" if result and result.succeeded else "Failed"}
        if at in self.cluster.objects:
            self.cluster.patch(at, {"status": ended}, status=True)

    async def _hand_in(self, order: StepOrder, result: StepResult) -> None:
        """As the launcher does: again, until somebody has it."""
        while True:
            try:
                await self.desk.report(order.namespace, order.uid, order.attempt, result)
                return
            except Unavailable:
                await asyncio.sleep(0.05)

    async def submit(self, text: str, parameters: dict[str, Any] | None = None, **options: Any) -> Run:
        pipeline, document = compiled(from_yaml(text))
        async with self.ports.store.write() as uow:
            digest = await SqlCatalog(uow).keep(document)
            new = NewRun(
                namespace=self.namespace,
                name=pipeline.name,
                spec=digest,
                pipeline_name=pipeline.name,
                parameters=run_parameters(pipeline.root, parameters or {}),
                options=RunOptions(**options),
            )
            return await self._runs(uow).create(new)

    async def change(self, what: Callable[[SqlRuns], Any]) -> Any:
        async with self.ports.store.write() as uow:
            return await what(self._runs(uow))

    def _runs(self, uow: Any) -> SqlRuns:
        def tell(event: Any) -> None:
            say(uow, event, self.ports, source="millstream/pipelines")

        return SqlRuns(uow, self.ports.clock, self.ports.ids, tell, f"s3://{self.bucket}/pipelines")

    async def run(self, id: str) -> Run:
        async with self.ports.store.read() as reader:
            found = await ReadRuns(reader).get(id)
        if found is None:
            raise NotFound(id)
        return found

    async def over(self, run: Run, timeout_s: float = 30) -> Run:
        async with asyncio.timeout(timeout_s):
            while not (found := await self.run(run.id)).is_over:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return found

    async def tasks(self, run: Run) -> dict[str, TaskRecord]:
        async with self.ports.store.read() as reader:
            return {record.path: record for record in await ReadRuns(reader).tasks(run.id)}

    async def reasons(self, run: Run) -> set[str]:
        async with self.ports.store.read() as reader:
            return set((await ReadRuns(reader).cache_reasons(run.id)).values())

    async def said(self, run: Run) -> list[str]:
        """The types of what was said of a run, in order, without the platform's prefix."""
        async with self.ports.store.read() as reader:
            changes = await reader.changes_since(0, limit=100_000)
        letters = [change.letter for change in changes if change.letter]
        mine = [one for one in letters if run.id in (one["data"].get("uid"), one["data"].get("run"))]
        return [one["type"].removeprefix("pipelines.").removesuffix(".v1") for one in mine]


@asynccontextmanager
async def rig(folder: Path, play: Play, limit: int = 100, url: str = "") -> AsyncIterator[Rig]:
    clock, ids = SystemClock(), SystemIds()
    url = url or f"sqlite:///{folder}/pipelines.db"
    store = await Store.open(url, clock=clock, ids=ids, migrations=[MIGRATIONS])
    nothing: Any = None
    ports = Ports(settings=None, clock=clock, ids=ids, store=store, telemetry=nothing, resources=nothing)
    try:
        yield Rig(ports, MemoryCluster(clock, ids), play, limit)
    finally:
        await store.close()


async def until(holds: Callable[[], Any], timeout_s: float = 30) -> None:
    async with asyncio.timeout(timeout_s):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def well(order: StepOrder, **values: Any) -> StepResult:
    """Every promised output, with these values or plain ones."""
    plain: dict[str, Any] = {
        "NUMBER_INTEGER": 1, "NUMBER_DOUBLE": 1.5, "STRING": "x", "BOOLEAN": True, "LIST": [1, 2], "STRUCT": {"a": 1},
    }  # fmt: skip
    return StepResult(True, values={name: values.get(name, plain.get(kind)) for name, kind in order.parameters.items()})


def failed(error: str = "boom") -> StepResult:
    return StepResult(False, exit_code=1, error=error)


def chain(length: int, *, cached: bool = True, retries: int = 0, value: int = 1) -> str:
    """A compiled pipeline of steps one after another, each of which adds one to what the last gave."""
    executor = {"container": {"image": "python:3.11", "command": ["add"], "args": ["{{$}}"]}}
    component = {
        "executorLabel": "exec-add",
        "inputDefinitions": {"parameters": {"x": {"parameterType": "NUMBER_INTEGER"}}},
        "outputDefinitions": {"parameters": {"Output": {"parameterType": "NUMBER_INTEGER"}}},
    }
    tasks: dict[str, Any] = {}
    for number in range(length):
        given: dict[str, Any] = {"runtimeValue": {"constant": value}}
        if number:
            before = {"producerTask": f"add-{number - 1}", "outputParameterKey": "Output"}
            given = {"taskOutputParameter": before}
        tasks[f"add-{number}"] = {
            "taskInfo": {"name": f"add-{number}"},
            "componentRef": {"name": "comp-add"},
            "inputs": {"parameters": {"x": given}},
            "cachingOptions": {"enableCache": cached},
            **({"dependentTasks": [f"add-{number - 1}"]} if number else {}),
            **({"retryPolicy": {"maxRetryCount": retries, "backoffDuration": "0s"}} if retries else {}),
        }
    spec = {
        "pipelineInfo": {"name": "chain"},
        "schemaVersion": "2.1.0",
        "sdkVersion": "kfp-2.17.0",
        "components": {"comp-add": component},
        "deploymentSpec": {"executors": {"exec-add": executor}},
        "root": {"dag": {"tasks": tasks}},
    }
    return yaml.safe_dump(json.loads(json.dumps(spec)))


def added(order: StepOrder) -> StepResult:
    return well(order, Output=order.executor_input["inputs"]["parameterValues"]["x"] + 1)
