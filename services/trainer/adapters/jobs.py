"""The Jobs port on the resources of one open transaction."""

from typing import Any

from libs.resources import Kind, Resources


class StoredJobs:
    def __init__(self, resources: Resources, kind: Kind) -> None:
        self._resources, self._kind = resources, kind

    async def find(self, namespace: str, name: str) -> dict[str, Any] | None:
        return await self._resources.find(self._kind, namespace, name)

    async def set_status(self, job: dict[str, Any], status: dict[str, Any]) -> None:
        meta = job["metadata"]
        await self._resources.update_status(self._kind, meta["namespace"], meta["name"], status)
