"""The whole scheduler over a real store and the memory bus: owners say their wishes and hear what is decided."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from contracts.commands.scheduling.v1 import FinishWorkload, PodSet, ReportWorkload, SubmitWorkload
from contracts.letters import letter_for, subject_for
from contracts.messages import Message
from contracts.registry import registry
from libs.base.clock import SystemClock
from libs.base.ids import SeededIds
from libs.service.app import FaultPoint, Given, no_fault
from libs.service.shell import Service, serve
from libs.store import Store
from libs.testing.bus import MemoryBus
from libs.testing.bus_broker import MemoryBroker
from libs.testing.cluster import MemoryCluster
from libs.testing.cluster_wire import connect
from services.scheduler import app as scheduler

API = "/apis/kueue.x-k8s.io/v1beta2"
HEADERS = {"content-type": "application/cloudevents+json; charset=utf-8"}
ROOM = {"capacity_cpu": "2", "capacity_memory": "4Gi"}
PATIENCE_S = 30.0


def of(name: str) -> dict[str, Any]:
    return {"namespace": "team", "name": name, "uid": f"uid-{name}", "kind": "TrainJob"}


def submit(name: str, cpu: str = "1", nodes: int = 1, **more: Any) -> SubmitWorkload:
    pods = PodSet(name="node", count=nodes, requests={"cpu": cpu, "memory": "512Mi"})
    return SubmitWorkload(**{**of(name), "generation": 1, "pod_sets": [pods], **more})


def finish(name: str, reason: Any = "Succeeded") -> FinishWorkload:
    return FinishWorkload(**of(name), reason=reason)


def report(name: str, admission: str = "1", **more: Any) -> ReportWorkload:
    return ReportWorkload(**{**of(name), "admission": admission, "ready": True, **more})


class Rig:
    """`say` as an owner does; `hear` waits for what the scheduler says next to one of them."""

    def __init__(self, service: Service, broker: MemoryBroker, http: httpx.AsyncClient) -> None:
        self.service, self.broker, self.http = service, broker, http
        self.ids = SeededIds(9, service.ports.clock)
        self.bus = MemoryBus(broker, "owner")
        self._read: dict[str, int] = {}

    async def say(self, message: Message) -> None:
        letter = letter_for(message, id=self.ids.event(), source="millstream/owner", now=self.service.ports.clock.now())
        subject = subject_for(message.type, message.namespace)
        await self.bus.publish(subject, json.dumps(letter.to_dict()).encode(), headers=HEADERS, msg_id=letter.id)

    async def hear(self, name: str) -> Any:
        """The next fact about this owner."""
        return await until(lambda: self._next(name))

    async def hears(self, name: str, type_: type[Message]) -> Any:
        """The next fact of this class about it, others passed over."""
        while not isinstance(found := await self.hear(name), type_):
            pass
        return found

    async def silent(self, name: str) -> bool:
        """Nothing is said to it, though everything that was said has been handled."""
        await self.say(submit("probe", "0", suspended=False))
        await self.hear("probe")
        await self.say(finish("probe", "Deleted"))
        return self._next(name) is None

    def said(self, name: str | None = None) -> list[Message]:
        """All facts that the scheduler said so far."""
        letters = [json.loads(message.data) for message in self.broker.stream.messages]
        ours = [letter for letter in letters if letter["source"] == "millstream/scheduler"]
        facts = [registry()[letter["type"]].read(letter["data"]) for letter in ours]
        return [fact for fact in facts if name is None or fact.name == name]  # type: ignore[union-attr]

    def _next(self, name: str) -> Message | None:
        facts = self.said(name)
        at = self._read.get(name, 0)
        if at >= len(facts):
            return None
        self._read[name] = at + 1
        return facts[at]

    async def make(self, kind: str, plural: str, name: str, spec: Any, namespace: str | None = None) -> None:
        body = {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": kind, "metadata": {"name": name}}
        body |= spec if kind == "WorkloadPriorityClass" else {"spec": spec}
        place = f"{API}/namespaces/{namespace}/{plural}" if namespace else f"{API}/{plural}"
        answer = await self.http.post(place, json=body)
        assert answer.status_code == 201, answer.text

    async def queue(self, name: str, cpu: str = "2", *, flavor: str = "default-flavor", **spec: Any) -> None:
        """A ClusterQueue with this much cpu, and a LocalQueue of the same name in the namespace team."""
        quotas = [{"name": "cpu", "nominalQuota": cpu}, {"name": "memory", "nominalQuota": "64Gi"}]
        group = {"coveredResources": ["cpu", "memory"], "flavors": [{"name": flavor, "resources": quotas}]}
        await self.make(
            "ClusterQueue", "clusterqueues", name, {"namespaceSelector": {}, "resourceGroups": [group], **spec}
        )
        await self.make("LocalQueue", "localqueues", name, {"clusterQueue": name}, "team")

    async def get(self, plural: str, name: str, namespace: str | None = None) -> Any:
        place = f"{API}/namespaces/{namespace}/{plural}" if namespace else f"{API}/{plural}"
        return (await self.http.get(f"{place}/{name}")).json()

    async def workloads(self) -> Any:
        return (await self.http.get(f"{API}/namespaces/team/workloads")).json()["items"]

    async def workload(self, name: str) -> Any:
        """The Workload of this owner, None if there is none."""
        return next(
            (obj for obj in await self.workloads() if obj["metadata"]["ownerReferences"][0]["name"] == name), None
        )

    async def patch(self, path: str, body: Any) -> httpx.Response:
        headers = {"content-type": "application/merge-patch+json"}
        return await self.http.patch(f"{API}/{path}", content=json.dumps(body), headers=headers)


async def until(look: Callable[[], Any], timeout_s: float = PATIENCE_S) -> Any:
    """What `look` answers as soon as that is something."""
    async with asyncio.timeout(timeout_s):
        while not (found := look()):  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        return found


async def comes_true(look: Callable[[], Any], timeout_s: float = PATIENCE_S) -> Any:
    """As `until`, for looks that ask the service."""
    async with asyncio.timeout(timeout_s):
        while not (found := await look()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        return found


async def _is_open(http: httpx.AsyncClient) -> bool:
    """Whether the default queue is there and was looked at."""
    found = await http.get(f"{API}/clusterqueues/default")
    return found.status_code == 200 and bool((found.json().get("status") or {}).get("conditions"))


class _Closing:
    def __init__(self, store: Store) -> None:
        self.aclose = store.close


@asynccontextmanager
async def running(
    folder: Path,
    broker: MemoryBroker | None = None,
    *,
    machines: MemoryCluster | None = None,
    fault: FaultPoint = no_fault,
    seed: int = 1,
    **settings: Any,
) -> AsyncIterator[Rig]:
    """The scheduler on the store in `folder`, which may be that of an earlier one."""
    clock = SystemClock()
    broker = broker or MemoryBroker(clock)
    built = scheduler.build()
    ids = SeededIds(seed, clock)
    store = await Store.open(f"sqlite:///{folder}/s.db", clock=clock, ids=ids, migrations=[built.migrations])
    cluster = connect(machines or MemoryCluster(clock, ids))
    given = Given(clock=clock, ids=ids, store=store, bus=MemoryBus(broker, "scheduler"), cluster=cluster, fault=fault)
    told = scheduler.SchedulerSettings(service="scheduler", insecure=True, replica="only", **{**ROOM, **settings})
    async with aclosing(_Closing(store)), serve(built, told, given) as service:
        transport = httpx.ASGITransport(app=service.asgi)
        async with httpx.AsyncClient(transport=transport, base_url="http://scheduler", trust_env=False) as http:
            await comes_true(lambda: _is_open(http))
            yield Rig(service, broker, http)
