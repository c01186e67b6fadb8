"""What must be in a namespace before the first step's pod: the launcher, the key, and a claim for environments; and
what the namespace asks of pods."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from libs.base import Clock
from libs.base.errors import AlreadyExists, ApiError
from libs.cluster import NAMESPACE, Cluster
from libs.cluster.resource import resource_of
from libs.cluster.security import enforces_restricted
from services.pipelines.domain.steps.pod import Site, namespace_objects

log = logging.getLogger(__name__)

SURE_S = 60.0
"""How long a namespace is believed to have them: who deletes one gets it back."""


class StepPlaces:
    """`key` answers the service's secret. Safe to ask before every pod: the answer is remembered."""

    def __init__(self, cluster: Cluster, clock: Clock, key: Callable[[], Awaitable[bytes]], site: Site) -> None:
        self._cluster, self._clock, self._key, self._site = cluster, clock, key, site
        self._seen: dict[str, tuple[float, Site]] = {}

    async def ensure(self, namespace: str) -> Site:
        """What pods there are told. Raises the cluster's ApiErrors: NotFound where there is no such namespace."""
        now = self._clock.monotonic()
        until, site = self._seen.get(namespace, (-1.0, self._site))
        if now < until:
            return site
        for wanted in namespace_objects(namespace, self._site, await self._key()):
            await self._put(wanted)
        site = replace(self._site, restricted=self._site.restricted or await self._is_restricted(namespace))
        self._seen[namespace] = now + SURE_S, site
        return site

    async def _is_restricted(self, namespace: str) -> bool:
        """What the namespace says itself; who may not read it goes by the setting."""
        try:
            return enforces_restricted(await self._cluster.get(NAMESPACE, None, namespace))
        except ApiError as error:
            log.warning("whether %s takes only restricted pods cannot be read: %s", namespace, error.message)
            return False

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
