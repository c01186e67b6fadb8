"""A cluster as small as serving needs: objects in memory, watches on them, and hands to play the node's part."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator
from typing import Any

from libs.cluster import DEPLOYMENT, POD, resource_of
from services.serving.domain.workloads import CONTAINER, REVISION_LABEL


def merged(obj, patch):
    """A JSON merge patch."""
    if not isinstance(patch, dict):
        return patch
    kept = {key: value for key, value in (obj or {}).items() if key not in patch}
    return kept | {key: merged((obj or {}).get(key), value) for key, value in patch.items() if value is not None}


class SmallCluster:
    def __init__(self) -> None:
        self.objects: dict[Any, dict[str, Any]] = {}
        self.applied: list[str] = []
        self.log: list[str] = []
        self.refusal: Exception | None = None
        self._watchers: list[tuple[Any, asyncio.Queue]] = []

    async def get(self, resource, namespace, name):
        return copy.deepcopy(self.objects.get((resource, namespace, name)))

    async def list(self, resource, namespace=None, *, labels=None, fields=None):
        if fields:
            uid = fields.removeprefix("involvedObject.uid=")
            return [o for (r, _, _), o in self.objects.items() if r == resource and o["involvedObject"]["uid"] == uid]
        wanted = dict(pair.split("=") for pair in labels.split(",")) if labels else {}
        found = [obj for (r, space, _), obj in self.objects.items() if (r, space) == (resource, namespace)]
        return [obj for obj in found if wanted.items() <= (obj["metadata"].get("labels") or {}).items()]

    async def apply(self, obj, *, manager="millstream"):
        if self.refusal:
            raise self.refusal
        metadata, resource = obj["metadata"], resource_of(obj)
        self.applied.append(obj["kind"])
        old = self.objects.get((resource, metadata["namespace"], metadata["name"])) or {"metadata": {"generation": 0}}
        new = copy.deepcopy(obj)
        changed = old.get("spec") != new["spec"]
        new["metadata"]["generation"] = old["metadata"]["generation"] + int(changed)
        if obj["kind"] == "Service":
            new["spec"]["clusterIP"] = "127.9.1.1"
        if "status" in old:
            new["status"] = old["status"]
        self.put(new)
        return new

    async def patch(self, resource, namespace, name, patch):
        self.put(merged(self.objects[resource, namespace, name], patch))

    async def delete(self, resource, namespace, name, *, propagation="Background", grace_s=None):
        gone = self.objects.pop((resource, namespace, name), None)
        if gone:
            self._tell(resource, "DELETED", gone)
        return gone is not None

    async def watch(self, resource, *, namespace=None, labels=None) -> AsyncIterator[tuple[str, dict]]:
        queue: asyncio.Queue = asyncio.Queue()
        self._watchers.append((resource, queue))
        yield "SYNCED", {}
        while True:
            yield await queue.get()

    async def logs(self, namespace, pod, *, container=None, tail=None, previous=False, **rest):
        for line in self.log:
            yield line

    def put(self, obj) -> None:
        metadata, resource = obj["metadata"], resource_of(obj)
        self.objects[resource, metadata["namespace"], metadata["name"]] = obj
        self._tell(resource, "MODIFIED", obj)

    def _tell(self, resource, op, obj) -> None:
        for watched, queue in self._watchers:
            if watched == resource:
                queue.put_nowait((op, copy.deepcopy(obj)))

    def deployment(self, name="iris-predictor", namespace="team"):
        return self.objects[DEPLOYMENT, namespace, name]

    def roll_out(self, name="iris-predictor", **change) -> None:
        """What a Deployment controller reports when all is well, or what `change` says instead."""
        found = self.deployment(name)
        count = found["spec"]["replicas"]
        status = {"observedGeneration": found["metadata"]["generation"], "updatedReplicas": count}
        status |= {"availableReplicas": count, "replicas": count, **change}
        self.put({**found, "status": status})

    def crash(self, code: int, *log: str, of="iris-predictor") -> None:
        """A pod of the newest revision ended with this code and these last words."""
        labels = self.deployment(of)["spec"]["template"]["metadata"]["labels"]
        ended = {"exitCode": code, "finishedAt": "2026-11-22T10:00:00Z", "reason": "Error"}
        container = {"name": CONTAINER, "ready": False, "lastState": {"terminated": ended}}
        self.log = list(log)
        name = f"pod-{labels[REVISION_LABEL]}"
        metadata = {"name": name, "namespace": "team", "labels": labels}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "status": {"containerStatuses": [container]}}
        self.put(pod)

    def pend(self, name: str = "pod-a", **status) -> dict[str, Any]:
        """A pod of the newest revision that does not run."""
        labels = self.deployment()["spec"]["template"]["metadata"]["labels"]
        metadata = {"name": name, "namespace": "team", "labels": labels, "uid": f"u-{name[-1]}"}
        metadata["creationTimestamp"] = "2026-11-22T09:00:00Z"
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {}}
        self.put({**pod, "status": {"phase": "Pending", **status}})
        return pod

    async def lose_pods(self) -> None:
        for resource, namespace, name in list(self.objects):
            if resource == POD:
                await self.delete(resource, namespace, name)
