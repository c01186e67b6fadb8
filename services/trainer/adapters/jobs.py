"""The Jobs port on the resources of one open transaction."""

from collections.abc import Iterable
from typing import Any

from libs.resources import Kind, Resources
from services.trainer.adapters.kinds import TRAINJOB


class StoredJobs:
    def __init__(self, resources: Resources, kinds: Iterable[Kind]) -> None:
        self._resources, self._kinds = resources, {kind.kind: kind for kind in kinds}

    async def find(self, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        known = self._kinds.get(kind)
        return await self._resources.find(known, namespace, name) if known else None

    async def set_status(self, job: dict[str, Any], status: dict[str, Any]) -> None:
        meta = job["metadata"]
        await self._resources.update_status(self._kinds[job["kind"]], meta["namespace"], meta["name"], status)

    async def suspend(self, job: dict[str, Any], suspended: bool) -> None:
        kind, meta = self._kinds[job["kind"]], job["metadata"]
        spec = {"suspend": suspended}
        patch = {"spec": spec if kind is TRAINJOB else {"runPolicy": spec}}
        await self._resources.patch(kind, meta["namespace"], meta["name"], patch, manager="millstream")
