"""HTTPRoutes: their status, and the edge proxy programmed from all of them together."""

import asyncio
import sys
from collections.abc import Sequence
from typing import Any, Protocol

from libs.base.clock import Clock
from libs.base.errors import NotFound
from libs.resources import Resources
from services.node.domain.naming import endpoints
from services.node.domain.route_status import route_status
from services.node.domain.routes import Follow, caddy_routes
from services.node.reconcile.kinds import POD, ROUTE, SERVICE
from services.node.reconcile.mirror import Mirror

Object = dict[str, Any]
SETTLE_S, RETRY_S = 0.02, 0.5


class EdgeProxy(Protocol):
    """The proxy that takes the routes."""

    async def program(self, routes: Sequence[Object]) -> bool:
        """Puts the routes in force; raises OSError while the proxy is not there."""


class Edge:
    """`changed` notes that routes or their targets may differ; `run` programs the proxy soon after."""

    def __init__(
        self, resources: Resources, mirror: Mirror, clock: Clock, proxy: EdgeProxy, resolver: str | None = None
    ) -> None:
        self._resources, self._mirror, self._clock, self._proxy = resources, mirror, clock, proxy
        self._follow = Follow(resolver, self.port_of) if resolver else None
        self._bell = asyncio.Event()
        self._failed = False

    def changed(self) -> None:
        """Something that the proxy's configuration depends on has changed."""
        self._bell.set()

    async def run(self) -> None:
        """Follows changes until cancelled. A proxy that is not there yet is asked again while there are routes."""
        self._bell.set()  # what happened before, or while this loop had failed
        while True:
            await self._bell.wait()
            await self._clock.sleep(SETTLE_S)
            self._bell.clear()
            routes = self._mirror.all(ROUTE)
            if not routes:
                continue
            try:
                await self._proxy.program(caddy_routes(routes, self.upstreams, self._follow))
                self._failed = False
            except (OSError, ValueError) as error:
                if not self._failed and not isinstance(error, FileNotFoundError | ConnectionError):
                    print(f"edge proxy: {error}", file=sys.stderr)
                self._failed = True
                await self._clock.sleep(RETRY_S)
                self._bell.set()

    def upstreams(self, namespace: str, ref: Object) -> list[str] | None:
        """Ready pod addresses behind a backendRef; None when there is no such service or port."""
        if (found := self._port(namespace, ref)) is None:
            return None
        return [f"{e.ip}:{e.port}" for e in endpoints(*found, self._mirror.all(POD)) if e.ready]

    def port_of(self, namespace: str, ref: Object) -> int | None:
        """The pods' port behind a backendRef, known before any pod is ready unless only the pods know it by name."""
        if (found := self._port(namespace, ref)) is None:
            return None
        target = found[1].get("targetPort") or found[1]["port"]
        if isinstance(target, int) or str(target).isdigit():
            return int(target)
        return next((e.port for e in endpoints(*found, self._mirror.all(POD))), None)

    def _port(self, namespace: str, ref: Object) -> tuple[Object, Object] | None:
        """The Service and the one of its ports that a backendRef means."""
        service = self._mirror.get(SERVICE, ref.get("namespace") or namespace, ref["name"])
        ports = [p for p in (service or {}).get("spec", {}).get("ports") or [] if p["port"] == ref.get("port")]
        return (service, ports[0]) if service is not None and ports else None

    async def tell(self, namespace: str, name: str) -> None:
        """Writes one route's status."""
        route = await self._resources.find(ROUTE, namespace, name)
        if route is None:
            return
        refs = [ref for rule in route["spec"].get("rules") or [] for ref in rule.get("backendRefs") or []]
        missing = sorted({f"{r['name']}:{r.get('port')}" for r in refs if self.upstreams(namespace, r) is None})
        status = route_status(route, missing, self._clock.now())
        try:
            await self._resources.update_status(ROUTE, namespace, name, status)
        except NotFound:
            return
