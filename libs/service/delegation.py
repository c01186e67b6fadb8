"""What a service leaves to its cluster: who asks on the TLS listener, and (with `reviews`) what they may do."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from libs.base.clock import Clock
from libs.base.errors import ApiError, Unauthorized
from libs.base.settings import Settings
from libs.cluster import CONFIGMAP, Cluster
from libs.service.asgi import Scope, header
from libs.service.identity import User
from libs.service.peers import peer_of
from libs.service.reviews import Reviews
from libs.service.trust import CONFIGMAP_NAME, CONFIGMAP_NAMESPACE, Trust

log = logging.getLogger(__name__)

LOOK_S, RETRY_S = 20.0, 2.0
"""How often the ConfigMap is read; a cluster gives both the old and the new root for much longer than that."""


@asynccontextmanager
async def delegating(settings: Settings, clock: Clock) -> AsyncIterator[Delegation]:
    """For what has no cluster of its own: a connection as the settings say, closed at the end."""
    cluster = await Cluster.connect(settings.kubeconfig, clock=clock)
    try:
        yield Delegation(cluster, clock)
    finally:
        await cluster.close()


class Delegation:
    """Trust in the front proxy, kept fresh by `keep`, and the cluster's reviews."""

    def __init__(self, cluster: Cluster, clock: Clock, *, every_s: float = LOOK_S) -> None:
        self.trust = Trust()
        self.reviews = Reviews(cluster.create, clock)
        self._cluster, self._clock, self._every_s = cluster, clock, every_s
        self._problem = "not read yet"

    async def keep(self) -> None:
        """Reads the ConfigMap for ever; while it cannot be read, what was read last counts."""
        while True:
            well = await self.look()
            await self._clock.sleep(self._every_s if well else min(RETRY_S, self._every_s))

    async def look(self) -> bool:
        """Reads it once; False when it cannot be used."""
        try:
            found = await self._cluster.get(CONFIGMAP, CONFIGMAP_NAMESPACE, CONFIGMAP_NAME)
            if found is None:
                return self._note("there is none")
            self.trust = Trust.of(found.get("data") or {})
        except (ApiError, ValueError) as error:
            return self._note(str(error))
        return self._note("")

    def _note(self, problem: str) -> bool:
        if problem and problem != self._problem:
            log.warning("ConfigMap %s/%s: %s", CONFIGMAP_NAMESPACE, CONFIGMAP_NAME, problem)
        self._problem = problem
        return not problem

    async def check(self) -> str:
        """For /readyz."""
        return f"ConfigMap {CONFIGMAP_NAMESPACE}/{CONFIGMAP_NAME}: {self._problem}" if self._problem else "ok"

    def through_front_proxy(self, scope: Scope) -> bool:
        """Whether the cluster's API server passes this request on, rather than a client of its own."""
        peer = peer_of(scope)
        return peer is not None and self.trust.is_front_proxy(peer)

    def certified(self, scope: Scope) -> User | None:
        """Whom the client certificate makes this request speak for, None without one. Raises Unauthorized."""
        peer = peer_of(scope)
        return self.trust.user_of(peer, scope["headers"], self._clock.now().timestamp()) if peer else None

    async def user_of(self, scope: Scope) -> User | None:
        """See identity.FrontDoor. A certificate first, then a bearer token."""
        refused: Unauthorized | None = None
        try:
            if user := self.certified(scope):
                return user
        except Unauthorized as error:
            refused = error
        scheme, _, token = (header(scope, b"authorization") or "").partition(" ")
        if scheme.lower() == "bearer" and token.strip():
            return await self.reviews.user_of(token.strip())
        if refused:
            raise refused
        return None
