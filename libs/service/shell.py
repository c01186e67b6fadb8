"""Turns an App into a running service and back into nothing, in good order; opens no socket of its own."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from libs import telemetry
from libs.base.clock import SystemClock
from libs.base.errors import MillstreamError
from libs.base.ids import SystemIds, chance
from libs.base.settings import Settings
from libs.service import http
from libs.service.app import App, Given, Ports
from libs.service.asgi import ASGIApp
from libs.service.hearing import Hearing
from libs.service.identity import Verifier
from libs.service.limits import Drain
from libs.service.tasks import Tasks
from libs.store import Store, keep_trimmed

if TYPE_CHECKING:
    from libs.service.delegation import Delegation

log = logging.getLogger(__name__)

TRIM_EVERY_S = 600.0


class Refused(MillstreamError):
    """The service will not start as it is configured; the message says what to set."""


class Service:
    """A running service: `asgi` answers HTTP; `ports` are its means; `front` knows who asks on the TLS listener."""

    def __init__(self, app: App, ports: Ports, given: Given, verifier: Verifier | None) -> None:
        self.app, self.ports, self.front = app, ports, ports.front
        self.tasks = Tasks(ports.clock)
        self.hearing = Hearing(app, ports, given)
        needed = {"store": self._store_check, "stop": self._stop_check}
        wished = {"tasks": self.tasks.check}
        if self.hearing.wanted:
            wished["bus"] = self.hearing.check
        if ports.front is not None and ports.settings.tls_port:
            wished["front-proxy"] = ports.front.check
        self.asgi: ASGIApp
        self.drain: Drain
        self.asgi, self.drain = http.build(app, ports, verifier, needed, wished)

    def start(self) -> None:
        if self.hearing.wanted:
            self.tasks.start("bus", self.hearing.run)
        if self.ports.controller is not None:
            self.tasks.start("controller", self.ports.controller.run)
        if self.front is not None and self.ports.settings.tls_port:
            self.tasks.start("front-proxy", self.front.keep)
        self.tasks.start("trim", self._trim)
        for number, work in enumerate(self.app.background(self.ports)):
            self.tasks.start(getattr(work, "__name__", f"background-{number}"), work)

    def begin_stop(self) -> None:
        """From now on not ready; open streams end, requests under way finish."""
        self.drain.begin()
        self.ports.resources.drain()

    async def stop(self) -> None:
        """Finishes the messages in hand, ends the loops, says what is unsaid."""
        self.begin_stop()
        await self.hearing.stop_hearing()
        await self.tasks.stop()
        await self.hearing.leave()

    async def _trim(self) -> None:
        await keep_trimmed(self.ports.store, TRIM_EVERY_S)

    async def _store_check(self) -> str:
        async with self.ports.store.read() as reader:
            await reader.last_seq()
        return "ok"

    async def _stop_check(self) -> str:
        return "stopping" if self.drain.begun else "ok"


@asynccontextmanager
async def serve(app: App, settings: Settings, given: Given | None = None) -> AsyncIterator[Service]:
    """The whole service in this process, without a socket: ask `service.asgi`. What `given` brings is not closed.

    Raises Refused when it cannot tell who asks and `settings.insecure` is not set.
    """
    given = given or Given()
    verifier = make_verifier(settings, given)
    async with AsyncExitStack() as stack:
        service = Service(app, await _open(app, settings, given, stack), given, verifier)
        service.start()
        try:
            yield service
        finally:
            await service.stop()


def make_verifier(settings: Settings, given: Given) -> Verifier | None:
    """Checks identities with the key of the settings (PEM text or a path)."""
    key = settings.identity_public_key
    if not key:
        if not settings.insecure:
            raise Refused("MILLSTREAM_IDENTITY_PUBLIC_KEY is not set: nobody could be told from anybody")
        return None
    pem = key if "BEGIN" in key else Path(key).read_text()
    return Verifier(pem, given.clock or SystemClock())


async def _open(app: App, settings: Settings, given: Given, stack: AsyncExitStack) -> Ports:
    from libs.resources import Resources

    name, needs = app.manifest.name, app.manifest.needs
    clock = given.clock or SystemClock()
    ids = given.ids or SystemIds(clock)
    store = given.store
    if store is None:
        migrations = [app.migrations] if app.migrations else []
        store = await Store.open(
            settings.store_url, clock=clock, ids=ids, migrations=migrations, bring_up=settings.migrate
        )
        stack.push_async_callback(store.close)
    ports = Ports(
        settings=settings,
        clock=clock,
        ids=ids,
        store=store,
        telemetry=telemetry.setup(name, settings),
        resources=Resources(store, app.kinds, clock=clock, ids=ids, source=f"millstream/{name}"),
        bus=given.bus,
        cluster=given.cluster,
        blobs=given.blobs,
    )
    asks_cluster = bool(app.kinds) and (settings.tls_port > 0 or settings.authorization == "cluster")
    if ("cluster" in needs or asks_cluster) and ports.cluster is None:
        await _open_cluster(ports, settings, stack)
    if asks_cluster:
        ports.front = _delegation(ports)
    if "blobs" in needs and ports.blobs is None and (settings.s3_endpoint or not app.can_do_without_blobs):
        await _open_blobs(ports, settings, stack)
    return _with_decisions(app, ports, given)


async def _open_cluster(ports: Ports, settings: Settings, stack: AsyncExitStack) -> None:
    from libs.cluster import Cluster

    ports.cluster = await Cluster.connect(settings.kubeconfig, clock=ports.clock)
    stack.push_async_callback(ports.cluster.close)


def _delegation(ports: Ports) -> Delegation:
    from libs.service.delegation import Delegation

    assert ports.cluster is not None
    return Delegation(ports.cluster, ports.clock)


async def _open_blobs(ports: Ports, settings: Settings, stack: AsyncExitStack) -> None:
    from libs.blobs import S3Blobs

    if not settings.s3_endpoint:
        raise Refused("MILLSTREAM_S3_ENDPOINT is not set, and the manifest says that this service needs blobs")
    ports.blobs = S3Blobs.from_settings(settings)
    stack.callback(ports.blobs.close)


def _with_decisions(app: App, ports: Ports, given: Given) -> Ports:
    """Adds what is built from the other ports: the authoriser and the controller."""
    from libs.resources import Controller, Resources

    authorize = app.authorize(ports) if app.authorize is not None else None
    if ports.front is not None and ports.settings.authorization == "cluster":
        from libs.service.rights import cluster_rights

        authorize = cluster_rights(ports.front.reviews)
    if authorize is not None:
        ports.resources = Resources(
            ports.store,
            app.kinds,
            clock=ports.clock,
            ids=ports.ids,
            source=f"millstream/{app.manifest.name}",
            authorize=authorize,
        )
    reconcilers, companions = app.reconcilers(ports), app.while_leading(ports)
    if reconcilers or companions:
        jitter = given.jitter or chance
        ports.controller = Controller(
            reconcilers, ports.resources, ports.cluster, ports.store, ports.clock,
            jitter=jitter, holder=ports.settings.replica, companions=companions,
        )  # fmt: skip
    return ports
