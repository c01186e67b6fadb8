"""Which change wakes which controller, and the tasks that they run in."""

from collections.abc import Awaitable, Callable
from typing import Any

from libs.base.clock import Clock
from libs.resources.kinds import Kind
from libs.service.tasks import Tasks
from services.node.domain.environment import references
from services.node.domain.owned import controller_uid
from services.node.ports import PodRuntime
from services.node.reconcile.edge import Edge
from services.node.reconcile.housekeeping import Housekeeping
from services.node.reconcile.kinds import (
    ACCOUNT,
    CLAIM,
    CONFIGMAP,
    DEPLOYMENT,
    JOB,
    NAMESPACE,
    POD,
    ROUTE,
    SECRET,
    SERVICE,
    STATEFULSET,
)  # fmt: skip
from services.node.reconcile.mirror import Mirror
from services.node.reconcile.network import Network
from services.node.reconcile.pods import Pods
from services.node.reconcile.queue import Queue
from services.node.reconcile.recorder import Recorder
from services.node.reconcile.workloads import Workloads

Object = dict[str, Any]
OWNERS: dict[str, Kind] = {kind.kind: kind for kind in (JOB, DEPLOYMENT, STATEFULSET)}


class Controllers:
    """`start` takes over what was there before; from then on the change feed drives everything."""

    pods: Pods
    workloads: Workloads
    recorder: Recorder

    def __init__(
        self,
        mirror: Mirror,
        network: Network,
        edge: Edge,
        housekeeping: Housekeeping,
        runtime: PodRuntime,
        clock: Clock,
    ) -> None:
        self._mirror, self._network, self._edge = mirror, network, edge
        self._housekeeping, self._runtime = housekeeping, runtime
        self._tasks = Tasks(clock)
        self._queues: dict[str, Queue] = {}

    def wake_pod(self, key: tuple[str, str]) -> None:
        """Another look at one pod."""
        self._queues[POD.resource].add(key)

    async def first_objects(self) -> None:
        """What has to be there before anything else can be wanted."""
        await self._housekeeping.first_objects()

    async def start(self) -> None:
        """1. know everything; 2. know what runs; 3. look at all of it; 4. follow changes."""
        await self._mirror.load()
        self._make_queues()
        events = self._runtime.events()
        await self.pods.adopt(self._mirror.all(POD))
        self._mirror.listen(self._route)
        self._mirror.announce()
        self._spawn("runtime-events", lambda: self._hear(events))
        self._spawn("mirror", self._mirror.run)
        self._spawn("network", self._network.run)
        self._spawn("edge", self._edge.run)
        self._spawn("old-events", self.recorder.forget_old)
        self._spawn("old-changes", self.recorder.keep_log_trimmed)
        for name, queue in self._queues.items():
            self._spawn(name, queue.run)

    async def stop(self) -> None:
        """Ends the controllers; containers go on."""
        if self._queues:
            self.pods.stop()
        for queue in self._queues.values():
            queue.drop_timers()
        await self._tasks.stop()
        await self._network.close()

    def _make_queues(self) -> None:
        house = self._housekeeping
        made = {
            POD.resource: self.pods.reconcile,
            JOB.resource: self.workloads.reconcile_job,
            DEPLOYMENT.resource: self.workloads.reconcile_deployment,
            STATEFULSET.resource: self.workloads.reconcile_statefulset,
            SERVICE.resource: lambda key: self._network.give_address(*key),
            ROUTE.resource: lambda key: self._edge.tell(*key),
            NAMESPACE.resource: lambda key: house.namespace(key[1]),
            CLAIM.resource: lambda key: self._claim(*key),
        }
        self._queues = {name: Queue(name, work, 8 if name == POD.resource else 2) for name, work in made.items()}

    async def _claim(self, namespace: str, name: str) -> None:
        if self._mirror.get(CLAIM, namespace, name) is None:
            await self._housekeeping.claim_gone(namespace, name)
        else:
            await self._housekeeping.claim(namespace, name)

    def _spawn(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        self._tasks.start(name, work)

    async def _hear(self, events: Any) -> None:
        async for event in events:
            self.pods.hear(event)

    def _route(self, resource: str, now: Object | None, before: Object | None) -> None:
        """One change; `before` is None for what is new or was there at the start."""
        obj = now or before
        if obj is None:
            return
        ours = resource == POD.resource and self.pods.knows(obj, gone=now is None)
        if (queue := self._queues.get(resource)) and not ours:
            queue.add((obj["metadata"].get("namespace", ""), obj["metadata"]["name"]))
        if resource in (SERVICE.resource, ROUTE.resource) or (
            resource == POD.resource and any(self._network.concerns(pod) for pod in (now, before) if pod)
        ):
            self._network.changed()
            self._edge.changed()
        if resource == POD.resource:
            self._wake_owner(obj)
        elif resource == SERVICE.resource:
            self._wake_routes()
        elif resource in (CONFIGMAP.resource, SECRET.resource, CLAIM.resource, ACCOUNT.resource):
            self._wake_users(resource, obj, new=before is None)
        elif resource == JOB.resource and now is None:
            self._wake_children(obj)

    def _wake_owner(self, pod: Object) -> None:
        for ref in pod["metadata"].get("ownerReferences") or []:
            if ref.get("controller") and (kind := OWNERS.get(ref["kind"])):
                self._queues[kind.resource].add((pod["metadata"]["namespace"], ref["name"]))

    def _wake_children(self, job: Object) -> None:
        for pod in self._mirror.all(POD):
            if controller_uid(pod) == job["metadata"]["uid"]:
                self.wake_pod((pod["metadata"]["namespace"], pod["metadata"]["name"]))

    def _wake_routes(self) -> None:
        for route in self._mirror.all(ROUTE):
            self._queues[ROUTE.resource].add((route["metadata"]["namespace"], route["metadata"]["name"]))

    def _wake_users(self, resource: str, obj: Object, *, new: bool) -> None:
        """Pods that show or wait for a ConfigMap, Secret, claim or account."""
        namespace, name = obj["metadata"]["namespace"], obj["metadata"]["name"]
        for pod in self._mirror.all(POD):
            if pod["metadata"]["namespace"] != namespace:
                continue
            maps, secrets = references(pod["spec"])
            used = {CONFIGMAP.resource: maps, SECRET.resource: secrets}.get(resource)
            if (used is not None and name in used) or (used is None and new):
                self.pods.refresh_volumes(pod["metadata"]["uid"])
