"""A cluster on paper: keeps what is created and lets a test say what became of it; the node has its own tests."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from copy import deepcopy
from typing import Any

from libs.base.errors import AlreadyExists
from libs.cluster import JOB, POD, Resource, resource_of
from services.trainer.domain import words

Object = dict[str, Any]


class PaperCluster:
    """Speaks the part of libs.cluster.Cluster that the trainer uses. `wait` answers when an object has appeared."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], Object] = {}
        self._watchers: list[tuple[str, asyncio.Queue[tuple[str, Object]]]] = []

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object | None:
        return deepcopy(self.objects.get((resource.plural, namespace or "", name)))

    async def list(
        self, resource: Resource, namespace: str | None = None, *, labels: str | None = None, fields: str | None = None
    ) -> list[Object]:
        found = [o for (plural, _, _), o in self.objects.items() if plural == resource.plural]
        if fields:
            uid = fields.removeprefix("involvedObject.uid=")
            return [deepcopy(o) for o in found if o["involvedObject"].get("uid") == uid]
        key, _, value = (labels or "").partition("=")
        return [deepcopy(o) for o in found if o["metadata"].get("labels", {}).get(key) == value]

    async def create(self, obj: Mapping[str, Any]) -> Object:
        if self._key(obj) in self.objects:
            raise AlreadyExists.about(resource_of(obj).plural, obj["metadata"]["name"])
        return await self.apply(obj)

    async def apply(self, obj: Mapping[str, Any], *, manager: str = "millstream") -> Object:
        key = self._key(obj)
        op = "MODIFIED" if key in self.objects else "ADDED"
        self.objects[key] = {**self.objects.get(key, {}), **deepcopy(dict(obj))}
        self._tell(key[0], op, self.objects[key])
        return deepcopy(self.objects[key])

    async def delete(self, resource: Resource, namespace: str | None, name: str, **how: Any) -> bool:
        gone = self.objects.pop((resource.plural, namespace or "", name), None)
        if gone:
            self._tell(resource.plural, "DELETED", gone)
        if resource == JOB:
            for pod in await self.list(POD, namespace, labels=f"{words.JOB_NAME}={name.removesuffix('-node-0')}"):
                await self.delete(POD, namespace, pod["metadata"]["name"])
        return gone is not None

    async def watch(self, resource: Resource, **how: Any) -> AsyncIterator[tuple[str, Object]]:
        queue: asyncio.Queue[tuple[str, Object]] = asyncio.Queue()
        self._watchers.append((resource.plural, queue))
        yield "SYNCED", {}
        while True:
            yield await queue.get()

    async def logs(self, namespace: str, pod: str, **how: Any) -> AsyncIterator[str]:
        yield f"last line of {pod}"

    async def close(self) -> None:
        self.objects.clear()

    async def run_pods(self, name: str, namespace: str, phase: str, exit_code: int | None = None) -> None:
        """Gives every index of a TrainJob's child Job a pod of that phase."""
        child = self.objects[("jobs", namespace, f"{name}-node-0")]
        for index in range(child["spec"]["completions"]):
            await self.apply(_pod(child, index, phase, exit_code))

    async def finish(self, name: str, namespace: str, condition: str, reason: str = "") -> None:
        child = self.objects[("jobs", namespace, f"{name}-node-0")]
        told = {"type": condition, "status": "True", "reason": reason}
        await self.apply({**child, "status": {"conditions": [told]}})

    def _tell(self, plural: str, op: str, obj: Object) -> None:
        for wanted, queue in self._watchers:
            if wanted == plural:
                queue.put_nowait((op, deepcopy(obj)))

    @staticmethod
    def _key(obj: Mapping[str, Any]) -> tuple[str, str, str]:
        return resource_of(obj).plural, obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def _pod(child: Object, index: int, phase: str, exit_code: int | None) -> Object:
    template = child["spec"]["template"]
    labels = {**template["metadata"]["labels"], words.COMPLETION_INDEX: str(index)}
    name = f"{child['metadata']['name']}-{index}-x"
    meta = {"name": name, "namespace": child["metadata"]["namespace"], "labels": labels}
    ended = {"terminated": {"exitCode": exit_code}} if exit_code is not None else {"running": {}}
    status = {"phase": phase, "containerStatuses": [{"name": "node", "state": ended}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": template["spec"], "status": status}
