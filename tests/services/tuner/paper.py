"""A cluster on paper for the tuner: a Job that is made runs at once, and prints what `fate` says of its manifest."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from copy import deepcopy
from typing import Any

from libs.base.errors import AlreadyExists
from libs.cluster import JOB, POD, Resource, resource_of
from libs.resources.selectors import selectors

Object = dict[str, Any]
Step = Callable[[str], Awaitable[None]]


async def no_step(name: str) -> None:
    """Life outside of a test that kills."""


class PaperCluster:
    """The part of libs.cluster.Cluster that the tuner speaks. `fate` gives the output of a Job, None for one that
    fails, and "" with `runs` for one that goes on; `made` counts how often each was made."""

    def __init__(self, fate: Callable[[Object], str | None]) -> None:
        self.fate, self.step = fate, no_step
        self.objects: dict[tuple[str, str], Object] = {}
        self.outputs: dict[str, str] = {}
        self.made: Counter[str] = Counter()
        self._watchers: list[tuple[str, asyncio.Queue[tuple[str, Object]]]] = []

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object | None:
        return deepcopy(self.objects.get((resource.plural, name)))

    async def list(self, resource: Resource, namespace: str | None = None, *, labels: str = "") -> list[Object]:
        wanted = selectors(labels).labels
        found = [o for (plural, _), o in self.objects.items() if plural == resource.plural]
        return [deepcopy(o) for o in found if wanted.matches(o["metadata"].get("labels") or {})]

    async def create(self, obj: Mapping[str, Any]) -> Object:
        await self.step("create a Job")
        key = (resource_of(obj).plural, obj["metadata"]["name"])
        if key in self.objects:
            raise AlreadyExists.about(key[0], key[1])
        job = deepcopy(dict(obj))
        job["metadata"]["uid"] = f"uid-{key[1]}"
        self.made[key[1]] += 1
        self._run(job)
        await self.step("created a Job")
        return deepcopy(job)

    async def delete(self, resource: Resource, namespace: str | None, name: str, **how: Any) -> bool:
        await self.step("delete a Job")
        gone = self.objects.pop((resource.plural, name), None)
        self.objects.pop((POD.plural, f"{name}-x"), None)
        if gone:
            self._tell(resource.plural, "DELETED", gone)
        return gone is not None

    async def watch(self, resource: Resource, **how: Any) -> AsyncIterator[tuple[str, Object]]:
        queue: asyncio.Queue[tuple[str, Object]] = asyncio.Queue()
        self._watchers.append((resource.plural, queue))
        yield "SYNCED", {}
        while True:
            yield await queue.get()

    async def logs(self, namespace: str, pod: str, **how: Any) -> AsyncIterator[str]:
        await self.step("read a log")
        for line in self.outputs[pod].splitlines():
            yield line

    async def close(self) -> None:
        """Nothing is open."""

    def prints(self, name: str, labels: Mapping[str, str], output: str) -> None:
        """A pod that ended well with this output."""
        meta = {"name": f"{name}-x", "namespace": "team", "labels": dict(labels)}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "status": {"phase": "Succeeded"}}
        self.objects[POD.plural, meta["name"]] = pod
        self.outputs[meta["name"]] = output

    def _run(self, job: Object) -> None:
        output = self.fate(job)
        if output is not None:
            self.prints(job["metadata"]["name"], job["spec"]["template"]["metadata"]["labels"], output)
        if output != "":
            told = {"type": "Failed", "reason": "BackoffLimitExceeded", "message": "it failed"}
            if output is not None:
                told = {"type": "Complete", "reason": "CompletionsReached", "message": ""}
            job["status"] = {"conditions": [{**told, "status": "True"}]}
        self.objects[JOB.plural, job["metadata"]["name"]] = job
        self._tell(JOB.plural, "ADDED", job)

    def _tell(self, plural: str, op: str, obj: Object) -> None:
        for wanted, queue in self._watchers:
            if wanted == plural:
                queue.put_nowait((op, deepcopy(obj)))
