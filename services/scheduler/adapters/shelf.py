"""Puts stored objects into the book, each kind by its own word, and remembers at which version; decides nothing."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from libs.store import DELETED, Change
from services.scheduler.adapters import kinds
from services.scheduler.adapters.shipped import QUEUE_NAME
from services.scheduler.domain.book import Book
from services.scheduler.domain.model import Workload
from services.scheduler.domain.objects import queues, workloads

log = logging.getLogger(__name__)

Object = dict[str, Any]
Key = tuple[str, str]


class Shelf:
    """`book` is filled by `put` and `take`. `since` tells when each waiting workload began to wait (ms)."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.keys: dict[str, Key] = {}
        self.versions: dict[str, int] = {}
        self._seen: dict[Key, int] = {}
        self.since: dict[str, int] = {}
        self.told: dict[str, Object] = {}
        self.untold: dict[str, None] = {}
        """Those that wait, and were told nothing of their place since."""
        self.checks: dict[str, Object] = {}
        self._offered: frozenset[str] = frozenset()
        self._put: dict[str, Callable[[Object], None]] = {
            kinds.WORKLOAD.resource: self._put_workload,
            kinds.CLUSTER_QUEUE.resource: self._put_queue,
            kinds.LOCAL_QUEUE.resource: lambda obj: book.put_local_queue(queues.local_queue(obj)),
            kinds.COHORT.resource: lambda obj: book.put_cohort(queues.cohort(obj)),
            kinds.FLAVOR.resource: lambda obj: book.put_flavor(queues.flavor(obj)),
            kinds.TOPOLOGY.resource: lambda obj: book.put_topology(queues.topology(obj)),
            kinds.CHECK.resource: lambda obj: self.checks.__setitem__(obj["metadata"]["name"], obj),
        }
        self._remove: dict[str, Callable[[Object], None]] = {
            kinds.WORKLOAD.resource: self._remove_workload,
            kinds.CLUSTER_QUEUE.resource: lambda obj: book.remove_queue(obj["metadata"]["name"]),
            kinds.LOCAL_QUEUE.resource: lambda obj: book.remove_local_queue(
                obj["metadata"]["namespace"], obj["metadata"]["name"]
            ),
            kinds.COHORT.resource: lambda obj: book.remove_cohort(obj["metadata"]["name"]),
            kinds.FLAVOR.resource: lambda obj: book.remove_flavor(obj["metadata"]["name"]),
            kinds.TOPOLOGY.resource: lambda obj: book.remove_topology(obj["metadata"]["name"]),
            kinds.CHECK.resource: lambda obj: self.checks.pop(obj["metadata"]["name"], None) and None,
        }

    # What to read first: a workload finds its queue there.
    order = (
        kinds.FLAVOR, kinds.TOPOLOGY, kinds.COHORT, kinds.CHECK, kinds.CLUSTER_QUEUE, kinds.LOCAL_QUEUE, kinds.WORKLOAD,
    )  # fmt: skip

    def take(self, change: Change) -> bool:
        """What somebody changed; False for what the book has no part in, or was there before."""
        if change.resource not in self._put:
            return False
        if (
            change.resource == kinds.WORKLOAD.resource
            and self._seen.get((change.namespace, change.name), 0) >= change.seq
        ):
            return False  # most of the log is what was decided here: it need not even be read
        obj = change.body
        if obj is None:
            return False
        (self._remove if change.op == DELETED else self._put)[change.resource](obj)
        return True

    def put(self, resource: str, obj: Object) -> None:
        self._put[resource](obj)

    def decided(self, obj: Object, *, waits: bool) -> None:
        """As it was stored after a decision. One that waits on the book knows already, and holds its place there."""
        if waits:
            self._note(obj)
        else:
            self._put_workload(obj)

    def drop(self, uid: str) -> None:
        """Its Workload is no more."""
        self._seen.pop(self.keys.get(uid, ("", "")), None)
        for known in (self.keys, self.versions, self.since, self.told, self.untold):
            known.pop(uid, None)
        self.book.remove_workload(uid)

    def _note(self, obj: Object) -> str:
        meta, uid, own = obj["metadata"], workloads.owner(obj)["uid"], workloads.memory(obj)
        self.keys[uid] = (meta["namespace"], meta["name"])
        self.versions[uid] = self._seen[self.keys[uid]] = int(meta["resourceVersion"])
        for kept, name in ((self.since, "since"), (self.told, "told")):
            kept.pop(uid, None)
            if name in own:
                kept[uid] = own[name]
        return uid

    def _put_workload(self, obj: Object) -> None:
        meta, uid = obj["metadata"], self._note(obj)
        if workloads.is_over(obj):
            self.book.remove_workload(uid)
            return
        try:
            workload = self.counted(workloads.workload(obj))
        except (KeyError, TypeError, ValueError) as error:
            log.error("workload %s/%s cannot be read: %r; delete it", meta["namespace"], meta["name"], error)
            return
        if workload.admission is None and uid not in self.told:
            self.untold[uid] = None
        self.book.put_workload(workload)

    def _remove_workload(self, obj: Object) -> None:
        uid = workloads.owner(obj)["uid"]
        if self.keys.get(uid) == (obj["metadata"]["namespace"], obj["metadata"]["name"]):
            self.drop(uid)

    def _put_queue(self, obj: Object) -> None:
        queue = queues.cluster_queue(obj)
        self.book.put_queue(queue)
        if queue.name == QUEUE_NAME:
            self._offered = frozenset(name for group in queue.resource_groups for name in group.resources)

    def counted(self, workload: Workload) -> Workload:
        """Who names no queue is counted by what the default queue counts; the rest is the nodes' business."""
        if workload.queue:
            return workload
        sets = (
            replace(one, requests={name: value for name, value in one.requests.items() if name in self._offered})
            for one in workload.pod_sets
        )
        return replace(workload, pod_sets=tuple(sets))

    def put_all(self, resource: str, objects: Iterable[Object]) -> None:
        for obj in objects:
            self.put(resource, obj)
