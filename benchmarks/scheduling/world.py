"""A real scheduler, a real broker and the owner of all workloads; only the time of day is virtual."""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from os import sysconf
from pathlib import Path
from typing import Any

from benchmarks.scheduling.shape import Shape
from contracts.commands.scheduling.v1 import FinishWorkload
from contracts.envelope import letter_for, structured, subject_for
from contracts.messages import Message
from libs.base.clock import SystemClock
from libs.base.ids import SystemIds
from libs.bus import Bus, Tuning
from libs.resources import Resources
from libs.service.app import Given
from libs.service.shell import Service, serve
from libs.testing.bus_server import NatsServer
from libs.testing.cluster import MemoryCluster
from libs.testing.cluster_wire import connect
from libs.testing.store_together import commits
from services.scheduler import app as scheduler
from services.scheduler.adapters import loop as loops
from services.scheduler.adapters.kinds import CLUSTER_QUEUE, COHORT, FLAVOR, LOCAL_QUEUE, TOPOLOGY

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
FACTS = ("millstream.scheduling.workload.admitted.", "millstream.scheduling.workload.evicted.")
IN_FLIGHT = 256
LOOK_S, PATIENCE_S = 0.5, 300.0
API = "kueue.x-k8s.io/v1beta2"


class Virtual(SystemClock):
    """The time of day stands still until it is moved; waiting takes real time."""

    ms = 0

    def now(self) -> datetime:
        return EPOCH + timedelta(milliseconds=self.ms)


class World:
    """`waits`: by class, how long each waited, in virtual ms. `said` counts the owner's letters, `published` the
    scheduler's."""

    def __init__(self, shape: Shape, clock: Virtual, bus: Bus, service: Service, broker: int) -> None:
        self.shape, self.clock, self._bus, self._service, self._broker = shape, clock, bus, service, broker
        self.waits: dict[str, list[int]] = defaultdict(list)
        self.waiting: dict[str, int] = {}
        self.running: dict[str, str] = {}
        self.said = self.published = self.taken = self.decisions = self.heard = self.cycles = 0
        self.deciding = 0.0
        self.finish_at: Callable[[int, str], None] = lambda at, uid: None
        self._seen = 0
        self._news = asyncio.Event()
        self._ids = SystemIds(clock)
        self._commits = commits()
        self._rested = -1
        self._gate = asyncio.Semaphore(IN_FLIGHT)
        self._leaving: set[asyncio.Task[None]] = set()

    @classmethod
    @asynccontextmanager
    async def of(cls, shape: Shape, folder: Path) -> AsyncIterator[World]:
        server = NatsServer(folder / "nats", sync_always=True)
        await server.start()
        clock = Virtual()
        bus = await Bus.connect(
            server.url, service="owner", clock=clock, ids=SystemIds(clock), tuning=Tuning(publish_s=PATIENCE_S)
        )
        await bus.ensure("owner", [])
        settings = scheduler.SchedulerSettings(
            service="scheduler",
            insecure=True,
            log_level="error",
            nats_url=server.url,
            store_url=f"sqlite:///{folder}/scheduler.db",
        )
        cluster = connect(MemoryCluster(clock, SystemIds(clock)))
        for obj in _surroundings(shape):
            await cluster.create(obj)
        counted: list[World] = []

        async def step(name: str) -> None:
            if name == "committed" and counted:
                counted[0].taken += 1
                counted[0]._news.set()

        try:
            async with serve(scheduler.build(), settings, Given(clock=clock, cluster=cluster, fault=step)) as service:
                world = cls(shape, clock, bus, service, server._process.pid if server._process else 0)
                await world.furnish()
                counted.append(world)
                tasks = [asyncio.create_task(each) for each in (world.tally(), world.hear())]
                world.measure_decisions()
                yield world
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            await bus.close()
            server.kill()

    async def furnish(self) -> None:
        """Queues, cohorts and nodes, as an administrator makes them."""
        async with self._service.ports.store.write() as uow:  # at once: the quota tree is built anew at every change
            await self._make(self._service.ports.resources.view(uow))
        while self._loop is None or self._loop.shelf is None:
            await self._service.ports.clock.sleep(0.05)

    async def _make(self, resources: Resources) -> None:
        shape = self.shape
        topology = {"topologyName": "racks"} if shape.racks else {}
        if shape.racks:
            levels = [{"nodeLabel": label} for label in LEVELS]
            await resources.create(TOPOLOGY, _obj("Topology", "racks", {"levels": levels}))
        await resources.create(
            FLAVOR, _obj("ResourceFlavor", "machines", {"nodeLabels": GROUP if shape.racks else {}, **topology})
        )
        for cohort in range(shape.cohorts):
            await resources.create(COHORT, _obj("Cohort", f"cohort-{cohort}", {}))
            for number in range(shape.queues):
                name = f"queue-{cohort}-{number}"
                quota = {"name": "cpu", "nominalQuota": str(shape.nominal)}
                limit = {} if shape.borrowing is None else {"borrowingLimit": str(shape.borrowing)}
                flavors = [{"name": "machines", "resources": [{**quota, **limit}]}]
                spec = {
                    "cohortName": f"cohort-{cohort}",
                    "namespaceSelector": {},
                    "resourceGroups": [{"coveredResources": ["cpu"], "flavors": flavors}],
                    "preemption": {"reclaimWithinCohort": "Any", "withinClusterQueue": "LowerPriority"},
                }
                await resources.create(CLUSTER_QUEUE, _obj("ClusterQueue", name, spec))
                await resources.create(LOCAL_QUEUE, _obj("LocalQueue", name, {"clusterQueue": name}, "bench"))

    @property
    def _loop(self) -> Any:
        """The loop that decides, of the service as it runs."""
        controller: Any = self._service.ports.controller
        works = controller._companions if controller is not None else ()
        return next((w.__self__ for w in works if isinstance(getattr(w, "__self__", None), loops.Loop)), None)

    def measure_decisions(self) -> None:
        """Times what the loop decides, and notes where it went to rest: nothing else of it is touched."""
        loop, settle, patience = self._loop, self._loop._settle, self._loop._patience

        def timed(now: int) -> Any:
            began = time.perf_counter()
            found = settle(now)
            self.deciding += time.perf_counter() - began
            self.cycles += 1
            return found

        def resting() -> float:
            self._rested = loop._seq
            self._news.set()
            left: float = patience()
            return left

        loop._settle, loop._patience = timed, resting

    def processor_s(self) -> tuple[float, float]:
        """Processor time so far: of this process, that is of scheduler and owner, and of the broker."""
        fields = Path(f"/proc/{self._broker}/stat").read_text().rsplit(")", 1)[1].split()
        return time.process_time(), (int(fields[11]) + int(fields[12])) / sysconf("SC_CLK_TCK")

    def transactions(self) -> int:
        return int(commits() - self._commits)

    async def step(self, due: Sequence[tuple[int, int, str]]) -> None:
        """Says what is due at this moment, and returns when all that follows from it is done."""
        messages: list[Message] = []
        for _, is_end, uid in due:
            if not is_end:
                self.waiting[uid] = self.clock.ms
                messages.append(self.shape.submit(uid))
            elif (admission := self.running.pop(uid.partition("@")[0], None)) == uid.partition("@")[2]:
                name = uid.partition("@")[0]
                about = {"namespace": "bench", "name": name, "uid": name, "kind": "Task"}
                messages.append(FinishWorkload(**about, reason="Succeeded"))
            elif admission is not None:
                self.running[uid.partition("@")[0]] = admission  # it was evicted and runs anew meanwhile
        await asyncio.gather(*map(self.say, messages))
        end = time.monotonic() + PATIENCE_S
        while not self._is_quiet():
            self._news.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), LOOK_S)
            assert time.monotonic() < end, f"no rest after {PATIENCE_S:.0f} s: {self._state()}"

    def _state(self) -> str:
        head = self._service.ports.store.feed.head
        return (
            f"said {self.said}, taken {self.taken}, decided {self.decisions}, heard {self.heard}, "
            f"rested at {self._rested}, seen {self._seen} of {head}"
        )

    def _is_quiet(self) -> bool:
        head = self._service.ports.store.feed.head
        return (
            self.taken == self.said
            and self._rested >= head == self._seen
            and self.heard == self.decisions
            and not self._leaving
        )

    async def say(self, message: Message) -> None:
        self.said += 1
        letter = letter_for(message, id=self._ids.event(), source="owner", now=self.clock.now())
        headers, data = structured(letter)
        async with self._gate:
            await self._bus.publish(subject_for(message.type, "bench"), data, headers=headers, msg_id=letter.id)

    async def tally(self) -> None:
        """Counts what the scheduler has promised to say, as it is committed."""
        feed = self._service.ports.store.feed
        async for change in feed.subscribe(None, feed.head):
            if change.subject is not None:
                self.published += 1
                self.decisions += change.subject.startswith(FACTS)
            self._seen = change.seq
            if change.seq == feed.head:
                self._news.set()

    async def hear(self) -> None:
        """The owner: what is admitted runs, what is evicted leaves at once and asks again."""
        async with aclosing(self._bus.follow([f"{fact}>" for fact in FACTS], after_seq=0)) as stream:
            async for message in stream:
                data = json.loads(message.data)["data"]
                if "admitted" in message.subject:
                    self._admitted(data["uid"], data["admission"])
                else:
                    self._evicted(data["uid"], data["admission"])
                self.heard += 1
                if self.heard == self.decisions:
                    self._news.set()

    def _admitted(self, uid: str, admission: str) -> None:
        each = self.shape.class_of(uid)
        if uid in self.waiting:
            self.waits[each.name].append(self.clock.ms - self.waiting.pop(uid))
        if self.running.get(uid) != admission:
            self.running[uid] = admission
            self.finish_at(self.clock.ms + each.runtime_ms, f"{uid}@{admission}")

    def _evicted(self, uid: str, admission: str) -> None:
        if self.running.get(uid) == admission:
            del self.running[uid]
        again = asyncio.create_task(self.say(self.shape.submit(uid, after=admission)))
        self._leaving.add(again)
        again.add_done_callback(self._left)

    def _left(self, task: asyncio.Task[None]) -> None:
        self._leaving.discard(task)
        self._news.set()


GROUP = {"tas-node-group": "tas"}
LEVELS = ("cloud.provider.com/topology-block", "cloud.provider.com/topology-rack", "kubernetes.io/hostname")


def _surroundings(shape: Shape) -> list[dict[str, Any]]:
    """The namespace, and the nodes of all racks."""
    found: list[dict[str, Any]] = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "bench"}}]
    for rack in range(shape.racks):
        for host in range(64):
            name = f"node-{rack}-{host}"
            labels = GROUP | dict(zip(LEVELS, ("block-0", f"rack-{rack}", name), strict=True))
            room = {"cpu": "96", "memory": "256Gi", "pods": "110"}
            status = {"allocatable": room, "conditions": [{"type": "Ready", "status": "True"}]}
            metadata = {"name": name, "labels": labels}
            found.append({"apiVersion": "v1", "kind": "Node", "metadata": metadata, "status": status})
    return found


def _obj(kind: str, name: str, spec: dict[str, Any], namespace: str | None = None) -> dict[str, Any]:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": API, "kind": kind, "metadata": metadata, "spec": spec}
