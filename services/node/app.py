"""The node's composition root: store, runtime, controllers and API of one home put together and started in order."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from libs.base.clock import Clock, SystemClock
from libs.base.ids import Ids, SystemIds
from libs.resources import Resources
from libs.service import manifest
from libs.service.identity import Verifier, make_keys
from libs.service.runner import listen
from libs.store import Store
from services.node.adapters.caddy import CaddyAdmin
from services.node.adapters.machine import allocatable
from services.node.adapters.manifests import apply_files
from services.node.adapters.nameserver import NameServer
from services.node.adapters.place import PORT, Place
from services.node.adapters.prober import NetworkProber
from services.node.adapters.proxy import TcpProxies
from services.node.adapters.volumes import DiskVolumes
from services.node.api import http
from services.node.api.access import Access, bearer
from services.node.api.logs import PodLogs
from services.node.api.tokens import AccountTokens
from services.node.domain.attempts import Backoff
from services.node.domain.naming import resolve
from services.node.ports import PodRuntime
from services.node.reconcile.containers import Containers
from services.node.reconcile.edge import Edge
from services.node.reconcile.housekeeping import Housekeeping
from services.node.reconcile.kinds import ACCOUNT, EVENT, KINDS, POD, SERVICE
from services.node.reconcile.mirror import Mirror
from services.node.reconcile.needs import NodeFacts
from services.node.reconcile.network import Network
from services.node.reconcile.pods import Pods
from services.node.reconcile.probing import Probes
from services.node.reconcile.recorder import Recorder
from services.node.reconcile.wiring import Controllers
from services.node.reconcile.workloads import JOB_BACKOFF, Workloads


@dataclass(frozen=True)
class Options:
    """What may differ between nodes; `host` None takes the home's own loopback address."""

    home: Path
    host: str | None = None
    port: int = PORT
    apply: tuple[Path, ...] = ()
    caddy_admin: str | None = None
    restart_backoff: Backoff = field(default_factory=Backoff)
    job_backoff: Backoff = JOB_BACKOFF

    @property
    def dns_port(self) -> int:
        """Where the edge asks for endpoints (UDP, on the API's address)."""
        return self.port + 10


@dataclass
class Node:
    """A running node."""

    url: str
    resources: Resources
    mirror: Mirror
    controllers: Controllers
    place: Place


@asynccontextmanager
async def running(
    options: Options, runtime: PodRuntime, place: Place, *, clock: Clock | None = None, ids: Ids | None = None
) -> AsyncIterator[Node]:
    """1. open the store; 2. apply manifests; 3. take over what runs; 4. answer. `place` is claimed already.

    What is wanted comes first: pods that are started again then take today's settings, not those of the last time.
    """
    clock = clock or SystemClock()
    ids = ids or SystemIds(clock)
    second = place.second(lambda: int(ids.uid()[-4:], 16))
    host = options.host or f"127.{second}.0.1"
    facts = NodeFacts(socket.gethostname().lower(), host, second, allocatable())
    url = f"http://{host}:{options.port}"
    async with AsyncExitStack() as stack:
        store = await _store(options.home, clock, ids)
        stack.push_async_callback(store.close)
        access = _access()
        resources = Resources(store, KINDS, clock=clock, ids=ids, source="millstream/node", authorize=access)
        tokens = AccountTokens(options.home / "node" / "keys", url, clock)
        mirror = Mirror(store, [kind for kind in KINDS if kind is not EVENT])  # nobody decides by what was only told
        controllers = _controllers(options, resources, mirror, runtime, tokens, facts, clock, ids)
        stack.push_async_callback(controllers.stop)
        names = await NameServer.listen(_resolver(mirror), host, options.dns_port)
        stack.callback(names.close)
        await controllers.first_objects()
        for path in options.apply:
            for problem in await apply_files(resources, path):
                print(f"not applied: {problem}", file=sys.stderr)
        await controllers.start()
        verifier = Verifier(_gateway_key(options.home), clock)
        logs = PodLogs(runtime.log_path, lambda ns, name: mirror.get(POD, ns, name), clock)
        ask = bearer(tokens, _owner_token(options.home), _still_there(mirror))
        asgi, drain = http.build(resources, logs, tokens, verifier, ask, access, {"store": _ping(store)})
        await stack.enter_async_context(listen(asgi, host, options.port))
        stack.callback(drain.begin)
        stack.callback(resources.drain)
        place.announce(url)
        yield Node(url, resources, mirror, controllers, place)


def _access() -> Access:
    return Access(manifest.load_all(Path(__file__).resolve().parent.parent), KINDS)


async def _store(home: Path, clock: Clock, ids: Ids) -> Store:
    folder = home / "node"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return await Store.open(f"sqlite:///{folder / 'store.db'}", clock=clock, ids=ids)


def _controllers(
    options: Options, resources: Resources, mirror: Mirror, runtime: PodRuntime, tokens: AccountTokens,
    facts: NodeFacts, clock: Clock, ids: Ids,
) -> Controllers:  # fmt: skip
    volumes = DiskVolumes(runtime.pod_path, options.home / "data")
    recorder = Recorder(resources, clock)
    network = Network(resources, mirror, clock, runtime, TcpProxies(), facts)
    admin = options.caddy_admin or str(options.home / "run" / "caddy.sock")
    edge = Edge(resources, mirror, clock, CaddyAdmin(admin), f"{facts.ip}:{options.dns_port}")
    controllers = Controllers(mirror, network, edge, Housekeeping(resources, clock, volumes, facts), runtime, clock)
    controllers.pods = Pods(
        resources, clock, runtime, Containers(resources, volumes, tokens, facts), Probes(NetworkProber(runtime), clock),
        recorder, facts, network.hosts_for, controllers.wake_pod, replace(options.restart_backoff, since=clock.now()),
    )  # fmt: skip
    controllers.workloads = Workloads(resources, clock, ids, recorder, options.job_backoff)
    controllers.recorder = recorder
    return controllers


def _resolver(mirror: Mirror) -> Callable[[str], list[str] | None]:
    return lambda name: resolve(name, mirror.all(SERVICE), mirror.all(POD))


def _gateway_key(home: Path) -> str:
    """The gateway's public key; without one no identity header can be true, so none is believed."""
    path = home / "node" / "keys" / "identity.pub"
    return path.read_text() if path.exists() else make_keys()[1]


def _owner_token(home: Path) -> Any:
    def read() -> str | None:
        try:
            return (home / "token").read_text().strip() or None
        except OSError:
            return None

    return read


def _still_there(mirror: Mirror) -> Any:
    async def check(bound: dict[str, Any]) -> bool:
        namespace = bound["namespace"]
        for kind, ref in ((ACCOUNT, bound["serviceaccount"]), (POD, bound.get("pod"))):
            if ref is not None:
                found = mirror.get(kind, namespace, ref["name"])
                if found is None or found["metadata"]["uid"] != ref["uid"]:
                    return False
        return True

    return check


def _ping(store: Store) -> Any:
    async def check() -> str:
        await store.ping()
        return "ok"

    return check


async def until_ended(ended: asyncio.Event, shutdown: Hashable | asyncio.Event | None) -> None:
    """Returns after a signal, or when the runtime was told to end everything."""
    waits = [asyncio.ensure_future(ended.wait())]
    if isinstance(shutdown, asyncio.Event):
        waits.append(asyncio.ensure_future(shutdown.wait()))
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
