"""The Services port kept with libs.resources, bound to one transaction."""

from __future__ import annotations

from typing import Any

from libs.resources import Resources
from libs.resources.kinds import Kind


class StoredServices:
    """`resources` is a view on the open unit of work."""

    def __init__(self, resources: Resources, kind: Kind) -> None:
        self._resources, self._kind = resources, kind

    async def find(self, namespace: str, name: str) -> dict[str, Any] | None:
        return await self._resources.find(self._kind, namespace, name)

    async def create(self, obj: dict[str, Any]) -> None:
        await self._resources.create(self._kind, obj, manager="millstream")

    async def merge(self, namespace: str, name: str, patch: dict[str, Any]) -> None:
        await self._resources.patch(self._kind, namespace, name, patch, manager="millstream")

    async def set_status(self, isvc: dict[str, Any], status: dict[str, Any]) -> None:
        meta = isvc["metadata"]
        await self._resources.update_status(self._kind, meta["namespace"], meta["name"], status)
