"""What the scheduler looks at in the cluster: the labels of namespaces, and the nodes that a topology is made of."""

import logging
from collections.abc import Callable
from typing import Any

from libs.cluster import NAMESPACE, NODE, Cluster, Resource
from services.scheduler.domain.book import Book
from services.scheduler.domain.objects import queues

log = logging.getLogger(__name__)

Object = dict[str, Any]


class Surroundings:
    """`on_change` is called whenever something came, changed or went. Without a cluster there is nothing to see."""

    def __init__(self, cluster: Cluster | None, on_change: Callable[[Resource, str], None]) -> None:
        self._cluster, self._on_change = cluster, on_change
        self._seen: dict[Resource, dict[str, Object]] = {NAMESPACE: {}, NODE: {}}

    async def namespaces(self) -> None:
        """For ever."""
        await self._follow(NAMESPACE)

    async def nodes(self) -> None:
        """For ever."""
        await self._follow(NODE)

    def fill(self, book: Book) -> None:
        for resource, found in self._seen.items():
            for name in found:
                self.tell(book, resource, name)

    def tell(self, book: Book, resource: Resource, name: str) -> None:
        """What is known of one of them, into the book."""
        obj = self._seen[resource].get(name)
        if resource is NAMESPACE:
            book.put_namespace(name, (obj or {"metadata": {}})["metadata"].get("labels") or {})
        elif obj is None:
            book.remove_node(name)
        else:
            book.put_node(queues.node(obj))

    async def _follow(self, resource: Resource) -> None:
        if self._cluster is None:
            return
        async for type_, obj in self._cluster.watch(resource):
            if type_ == "SYNCED":
                continue
            name, known = obj["metadata"]["name"], self._seen[resource]
            before = known.get(name)
            if type_ == "DELETED":
                known.pop(name, None)
            else:
                known[name] = obj
            if before is None or type_ == "DELETED" or _essence(before) != _essence(obj):
                self._on_change(resource, name)


def _essence(obj: Object) -> Any:
    """What of a node or a namespace counts here: a node's heartbeat does not."""
    status = obj.get("status") or {}
    ready = [c["status"] for c in status.get("conditions") or [] if c["type"] == "Ready"]
    spec = obj.get("spec") or {}
    room = status.get("allocatable") or status.get("capacity")
    return obj["metadata"].get("labels"), spec.get("taints"), spec.get("unschedulable"), room, ready
