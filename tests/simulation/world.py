"""The platform in one process: four services over one broker and one cluster, all in memory, all mortal.

What is real: the services, the shell, the store on SQLite, the resource API, the controllers, the cluster client. What
is simulated: time, the broker, the cluster's API server and machine, the disk's and the network's delays, death.
"""

import asyncio
import json
import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from libs.base import Unavailable
from libs.base.ids import SeededIds
from libs.service.app import App, Given
from libs.service.shell import Service, serve
from libs.store import Store
from libs.testing.bus import MemoryBus
from libs.testing.bus_broker import MemoryBroker, Stream
from libs.testing.cluster import MemoryCluster
from libs.testing.cluster_wire import connect
from libs.testing.kubelet import Kubelet
from libs.testing.loop import Life, LoopClock
from libs.testing.store_inline import inline
from services.registry.app import build as build_registry
from services.scheduler.app import build as build_scheduler
from services.serving.app import build as build_serving
from services.trainer.app import build as build_trainer
from tests.simulation.chance import Chance, Fates, Switched, latency

BUILDERS: dict[str, Callable[[], App]] = {
    "trainer": build_trainer,
    "scheduler": build_scheduler,
    "registry": build_registry,
    "serving": build_serving,
}
CAPACITY = {"capacity_cpu": "4", "capacity_memory": "8Gi"}
REPLICAS = {"trainer": 2, "serving": 1, "registry": 1, "scheduler": 2}


class Lost(Exception):
    """No answer came: the service was down, or died while it was asked. What was asked may have been done."""


class Trouble(Exception):
    """An error that the run threw in; whoever logs it is innocent."""


class Process:
    """One replica of a service, from its start to its end."""

    def __init__(self, world: "World", name: str, number: int) -> None:
        self.world, self.name, self.number = world, name, number
        self.life = Life(f"{name}-{number}")
        self.service: Service | None = None
        self._leave = asyncio.Event()
        self.bus = MemoryBus(world.broker, name)

    async def run(self) -> None:
        """Until it is asked to stop; a kill ends it anywhere."""
        world, app = self.world, BUILDERS[self.name]()
        where = inline(world.file(self.name), latency=world.latency("disk"), life=self.life, fails=world.disk_fails)
        ids = SeededIds(world.chance.of("ids").getrandbits(64), world.clock)
        migrations = [app.migrations] if app.migrations else []
        store = await Store.on(where, clock=world.clock, ids=ids, migrations=migrations)
        given = Given(
            clock=world.clock,
            ids=ids,
            store=store,
            bus=self.bus,
            cluster=connect(world.cluster, life=self.life, trouble=world.cluster_trouble),
            fault=self._fault,
            jitter=world.chance.of("jitter").random,
        )
        settings = app.settings(service=self.name, insecure=True, **(CAPACITY if self.name == "scheduler" else {}))
        async with serve(app, settings, given) as self.service:
            await self._leave.wait()
            self.service.begin_stop()
        self.service = None
        await self.bus.close()
        await store.close()

    def ask_to_stop(self) -> None:
        """As by SIGTERM."""
        self._leave.set()

    async def kill(self) -> None:
        """As by kill -9."""
        self.service = None
        self.life.dead = True
        await self.bus.kill()
        await self.life.kill()

    async def _fault(self, step: str) -> None:
        """At a named step between commit, publish and ack: nothing, an error, a long pause or the end."""
        world, rng, weather = self.world, self.world.chance.of("faults"), self.world.weather
        drawn = rng.random()
        if not world.stormy or drawn > weather.crash + weather.error + weather.hang:
            return
        if drawn < weather.crash:
            world.note(f"{self.life.name} dies at {step}")
            world.crash(self)
            await asyncio.Event().wait()
        elif drawn < weather.crash + weather.error:
            raise Trouble(f"thrown in at {step}")
        else:
            await world.clock.sleep(rng.choice([0.5, 5.0, 45.0]))


class World:
    """One run's world. `stormy` is False once no more faults shall happen; `fell` tells of processes that ended without
    being killed or asked to."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.chance, self.folder = Chance(seed), folder
        self.weather = self.chance.weather()
        self.clock = LoopClock()
        self.stormy = True
        self.diary: list[str] = []
        self.fell: list[str] = []
        self.message_faults = Switched(self.chance.of("messages"), self.weather.messages)
        self.broker = MemoryBroker(self.clock, faults=self.message_faults, late_s=self.weather.late_s)
        self.wiped: list[tuple[Stream, Stream]] = []
        self.cluster = MemoryCluster(self.clock, SeededIds(seed, self.clock))
        self.kubelet = Kubelet(self.cluster, Fates(self.chance.of("pods"), self.weather))
        self.processes: dict[tuple[str, int], Process] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self._dying: list[asyncio.Task[None]] = []

    def file(self, service: str) -> Path:
        return self.folder / f"{service}.db"

    def latency(self, concern: str) -> Callable[[], float]:
        return latency(self.chance.of(concern), self.weather.latency_s)

    def note(self, text: str) -> None:
        """For the one who reads a failed run."""
        self.diary.append(f"{self.clock.monotonic():10.3f} {text}")

    async def start(self) -> None:
        for name, app in BUILDERS.items():
            await _prepare(self.file(name), name, app())
        for name in BUILDERS:
            for number in range(self.chance.of("replicas").randint(1, REPLICAS[name])):
                self._keepers.append(asyncio.create_task(self._keep(name, number)))

    async def stop(self) -> None:
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        for process in self.processes.values():
            await process.kill()

    def crash(self, process: Process) -> None:
        """From outside of the process's own tasks, which end by it."""
        context_free = Life("reaper")
        self._dying.append(context_free.begin(process.kill()))

    def random_process(self, rng: random.Random) -> Process:
        return self.processes[rng.choice(sorted(self.processes))]

    def wipe(self) -> None:
        self.wiped.append((self.broker.stream, self.broker.dead))
        self.broker.wipe()

    def disk_fails(self) -> bool:
        return self.chance.of("disk failures").random() < self.weather.disk_fails and self.stormy

    async def cluster_trouble(self, moment: str) -> None:
        """What may happen around a call to the cluster, and while a watch is open."""
        rng, weather = self.chance.of("cluster"), self.weather
        rate = weather.watch_breaks if moment == "watching" else weather.cluster_silent
        await self.clock.sleep(weather.latency_s * rng.expovariate(1.0))
        if rng.random() < rate and self.stormy:
            if moment == "watching" and rng.random() < 0.3:
                self.cluster.forget_history()
            raise Unavailable(f"thrown in when {moment}")

    async def ask(
        self, name: str, method: str, path: str, body: Any = None, token: str | None = None
    ) -> tuple[int, Any]:
        """One HTTP request to some living replica; raises Lost."""
        alive = [p for (service, _), p in self.processes.items() if service == name and p.service is not None]
        if not alive:
            raise Lost(f"{name} is down")
        process = self.chance.of("http").choice(alive)
        asking = process.life.begin(_ask(process, method, path, body, token))
        await asyncio.wait([asking])
        if asking.cancelled() or process.life.dead:
            raise Lost(f"{process.life.name} died")
        answer = asking.result()
        return answer.status_code, answer.json()

    async def _keep(self, name: str, number: int) -> None:
        """Starts a replica again, some time after it ended."""
        rng = self.chance.of("downtime")
        while True:
            process = self.processes[name, number] = Process(self, name, number)
            running = process.life.begin(process.run())
            await asyncio.wait([running])
            if not process.life.dead and (error := running.exception()) is not None:
                self.note(f"{process.life.name} ended by itself: {error!r}")
                if not isinstance(error, (Unavailable, Trouble)):
                    self.fell.append(f"{process.life.name} ended by itself: {error!r}")
                await process.kill()
            await self.clock.sleep(0.2 + rng.expovariate(1 / 5) if self.stormy else 0.2)


async def _ask(process: Process, method: str, path: str, body: Any, token: str | None) -> httpx.Response:
    assert process.service is not None
    transport = httpx.ASGITransport(app=process.service.asgi)
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{process.name}", trust_env=False) as http:
        headers = {"content-type": "application/merge-patch+json" if method == "PATCH" else "application/json"}
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        content = None if body is None else json.dumps(body).encode()
        return await http.request(method, path, content=content, headers=headers)


_MIGRATED: dict[str, bytes] = {}


async def _prepare(file: Path, name: str, app: App) -> None:
    """A migrated, empty database; migrating is not what is simulated, so it is done once for many runs."""
    if name not in _MIGRATED:
        with tempfile.TemporaryDirectory() as folder:
            empty, life = Path(folder) / "empty.db", Life("migration")
            clock = LoopClock()
            where = inline(empty, latency=lambda: 0.0, life=life)
            migrations = [app.migrations] if app.migrations else []
            store = await Store.on(where, clock=clock, ids=SeededIds(0, clock), migrations=migrations)
            await store.close()
            _MIGRATED[name] = empty.read_bytes()
    file.write_bytes(_MIGRATED[name])  # noqa: ASYNC240  nothing else runs yet
