"""Services: their addresses, the names that pods resolve, and the proxies behind cluster addresses."""

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

from libs.base.clock import Clock
from libs.resources import Resources
from services.node.domain.addresses import SERVICES, next_address
from services.node.domain.naming import endpoints, hosts, selects
from services.node.domain.pods import FINISHED
from services.node.ports import HostAlias, PodRuntime
from services.node.reconcile.kinds import POD, SERVICE
from services.node.reconcile.mirror import Mirror
from services.node.reconcile.needs import NodeFacts

Object = dict[str, Any]
SETTLE_S = 0.01


class Proxies(Protocol):
    """Listeners on cluster addresses."""

    async def serve(self, wanted: dict[tuple[str, int], list[tuple[str, int]]]) -> None:
        """Listens on exactly these (address, port) pairs, each with its ready targets."""

    async def close(self) -> None:
        """Listens no more."""


class Network:
    """`changed` notes that names or targets may differ; `run` brings the world up to date soon after."""

    def __init__(
        self, resources: Resources, mirror: Mirror, clock: Clock, runtime: PodRuntime, proxies: Proxies, node: NodeFacts
    ) -> None:
        self._resources, self._mirror, self._clock = resources, mirror, clock
        self._runtime, self._proxies, self._node = runtime, proxies, node
        self._bell = asyncio.Event()
        self._written: dict[str, tuple[HostAlias, ...]] = {}
        self._names: dict[str, tuple[HostAlias, ...]] = {}

    def changed(self) -> None:
        """Something that names or targets depend on has changed."""
        self._names.clear()
        self._bell.set()

    def concerns(self, pod: Object) -> bool:
        """Whether names or targets depend on the pod: some Service selects it. Of thousands of short ones none does."""
        namespace, labels = pod["metadata"]["namespace"], pod["metadata"].get("labels")
        return any(
            selects(service["spec"].get("selector"), labels)
            for service in self._mirror.all(SERVICE)
            if service["metadata"]["namespace"] == namespace
        )

    async def give_address(self, namespace: str, name: str) -> None:
        """A new service's cluster address."""
        async with self._resources.store.write() as uow:
            service = await uow.get(SERVICE.resource, namespace, name)
            if service is None or service["spec"].get("clusterIP"):
                return
            taken = {s["spec"].get("clusterIP") for s in await uow.list(SERVICE.resource)} - {None}
            ip = next_address(self._node.second, SERVICES, {*taken, self._node.ip})
            spec = {**service["spec"], "clusterIP": ip, "clusterIPs": [ip], "ipFamilies": ["IPv4"]}
            await uow.update(SERVICE.resource, {**service, "spec": spec})

    def hosts_for(self, pod: Object) -> tuple[HostAlias, ...]:
        """The pod's hosts file: itself, then all that it can resolve."""
        namespace = pod["metadata"]["namespace"]
        return (*_own(pod), *self._shared(namespace))

    def _shared(self, namespace: str) -> tuple[HostAlias, ...]:
        if namespace not in self._names:
            lines = hosts(namespace, self._mirror.all(SERVICE), self._mirror.all(POD))
            self._names[namespace] = tuple(HostAlias(line.ip, line.names) for line in lines)
        return self._names[namespace]

    async def run(self) -> None:
        """Follows changes until cancelled."""
        self._bell.set()  # what happened before, or while this loop had failed
        while True:
            await self._bell.wait()
            await self._clock.sleep(SETTLE_S)
            self._bell.clear()
            await self._proxies.serve(self.targets())
            await self._write_hosts()

    async def close(self) -> None:
        """Ends the proxies."""
        await self._proxies.close()

    def targets(self) -> dict[tuple[str, int], list[tuple[str, int]]]:
        """Where connections to each cluster address go."""
        found: dict[tuple[str, int], list[tuple[str, int]]] = {}
        pods = self._mirror.all(POD)
        for service in self._mirror.all(SERVICE):
            ip = service["spec"].get("clusterIP")
            for port in service["spec"].get("ports") or [] if ip and ip != "None" else []:
                ends = endpoints(service, port, pods)
                found[ip, int(port["port"])] = [(e.ip, e.port) for e in ends if e.ready]
        return found

    async def _write_hosts(self) -> None:
        living: set[str] = set()
        for pod in self._mirror.all(POD):
            if not (pod.get("status") or {}).get("podIP") or pod["status"].get("phase") in FINISHED:
                continue
            namespace, uid = pod["metadata"]["namespace"], pod["metadata"]["uid"]
            living.add(uid)
            wanted = (*_own(pod), *self._shared(namespace))
            if self._written.get(uid) != wanted and await self._runtime.update_hosts(uid, wanted):
                self._written[uid] = wanted
        self._written = {uid: lines for uid, lines in self._written.items() if uid in living}


def _own(pod: Object) -> Sequence[HostAlias]:
    spec, meta = pod["spec"], pod["metadata"]
    name = spec.get("hostname") or meta["name"]
    names: tuple[str, ...] = (name,)
    if spec.get("subdomain"):
        host, home = f"{name}.{spec['subdomain']}", meta["namespace"]
        names = (f"{host}.{home}.svc.cluster.local", f"{host}.{home}.svc", f"{host}.{home}", host, name)
    extra = [HostAlias(a["ip"], tuple(a.get("hostnames") or ())) for a in spec.get("hostAliases") or []]
    return [HostAlias(pod["status"]["podIP"], names), *extra]
