"""What must be in a namespace before the first step's pod: the launcher, the key, and a claim for environments."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from libs.base import Clock
from libs.base.errors import AlreadyExists
from libs.cluster import Cluster
from libs.cluster.resource import resource_of
from services.pipelines.domain.steps.pod import Site, namespace_objects

SURE_S = 300.0
"""How long a namespace is believed to have them: who deletes one gets it back."""


class StepPlaces:
    """`key` answers the service's secret. Safe to ask before every pod: the answer is remembered."""

    def __init__(self, cluster: Cluster, clock: Clock, key: Callable[[], Awaitable[bytes]], site: Site) -> None:
        self._cluster, self._clock, self._key, self._site = cluster, clock, key, site
        self._seen: dict[str, float] = {}

    async def ensure(self, namespace: str) -> None:
        """Raises the cluster's ApiErrors: NotFound where there is no such namespace."""
        now = self._clock.monotonic()
        if now < self._seen.get(namespace, -1.0):
            return
        for wanted in namespace_objects(namespace, self._site, await self._key()):
            await self._put(wanted)
        self._seen[namespace] = now + SURE_S

    def forget(self, namespace: str) -> None:
        """A pod there missed something: the next `ensure` looks again."""
        self._seen.pop(namespace, None)

    async def _put(self, wanted: dict[str, Any]) -> None:
        resource, meta = resource_of(wanted), wanted["metadata"]
        found = await self._cluster.get(resource, meta["namespace"], meta["name"])
        if found is None:
            try:
                await self._cluster.create(wanted)
            except AlreadyExists:
                return
        elif found.get("data") != wanted.get("data") and "data" in wanted:
            await self._cluster.patch(resource, meta["namespace"], meta["name"], {"data": wanted["data"]})
