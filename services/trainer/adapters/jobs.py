"""The Jobs port on the resources of one open transaction."""

from collections.abc import Iterable
from typing import Any

from libs.resources import Kind, Resources


class StoredJobs:
    def __init__(self, resources: Resources, kinds: Iterable[Kind]) -> None:
        self._resources, self._kinds = resources, {kind.kind: kind for kind in kinds}

    async def find(self, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        known = self._kinds.get(kind)
        return await self._resources.find(known, namespace, name) if known else None

    async def set_status(self, job: dict[str, Any], status: dict[str, Any]) -> None:
        meta = job["metadata"]
        await self._resources.update_status(self._kinds[job["kind"]], meta["namespace"], meta["name"], status)
