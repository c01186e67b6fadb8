"""Runs reconcilers: wakes them on changes, on their own workloads and from time to time, while this replica leads."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from libs.base import Clock, Conflict, chance
from libs.resources.kinds import Kind, Object
from libs.resources.queue import WorkQueue
from libs.resources.reconcile import Context, Key, Owned, Reconciler, key_of
from libs.resources.resources import Resources
from libs.resources.selectors import selectors
from libs.store import Leader, Store, Term
from libs.telemetry import counter, gauge, histogram

if TYPE_CHECKING:
    from libs.cluster import Cluster

RESYNC_S = 60.0
_PAUSE_S = 1.0
_log = logging.getLogger(__name__)
Item = tuple[int, Key]
RECONCILED = histogram("reconcile_seconds", "Time of one step towards what an object asks for", ("kind",))
OUTCOMES = counter("reconciles", "Steps by what came of them: done, conflict or failed", ("kind", "outcome"))
WAITING = gauge("reconcile_queue_objects", "Objects that wait for a step", ("kind",))
FAILING = gauge("reconcile_failing_objects", "Objects whose last step failed and will be tried again", ("kind",))
LEADING = gauge("controller_leading", "1 where this replica reconciles, 0 where it stands by")


class Controller:
    """`run()` until cancelled. Replicas share a lease (`controller/<service>`): one works, the others stand by.

    An exception of one key is logged and that key is tried again later; the others go on. A reconciler is never called
    twice at the same time for the same key. `jitter` gives numbers from 0 to 1. `companions` are loops that run beside
    them, in the replica that leads, and are begun anew when they end.
    """

    def __init__(
        self,
        reconcilers: Sequence[Reconciler],
        resources: Resources,
        cluster: Cluster | None,
        store: Store,
        clock: Clock,
        workers: int = 4,
        *,
        resync_s: float = RESYNC_S,
        jitter: Callable[[], float] = chance,
        holder: str | None = None,
        companions: Sequence[Callable[[], Awaitable[None]]] = (),
    ) -> None:
        self._reconcilers = tuple(reconcilers)
        self._context = Context(resources, store, clock, resources.ids, cluster)
        self._queue: WorkQueue[Item] = WorkQueue(clock, jitter)
        self._workers, self._resync_s = workers, resync_s
        self._name = f"controller/{resources.source.rpartition('/')[2]}"
        self._holder = holder or resources.ids.uid()
        self._companions = tuple(companions)
        self._leading = False

    @property
    def is_leading(self) -> bool:
        """Whether this replica does the work at the moment."""
        return self._leading

    def enqueue(self, kind: Kind, namespace: str, name: str, after: float = 0.0) -> None:
        """Wakes the reconcilers of `kind` for one object; a replica that stands by ignores it, the leader will see."""
        if not self._leading:
            return
        for index, reconciler in enumerate(self._reconcilers):
            if reconciler.kind is kind:
                self._queue.add_after((index, Key(namespace, name)), after)

    async def measure(self) -> None:
        """Sets the gauges to what is true now."""
        LEADING.set(self._leading)
        for meter, items in ((WAITING, self._queue.waiting()), (FAILING, self._queue.failing())):
            counts = Counter(index for index, _ in items)
            for index, reconciler in enumerate(self._reconcilers):
                meter.labels(reconciler.kind.kind).set(counts[index])

    async def run(self) -> None:
        """Stands for the lease and works while it has it; returns at once when there is nothing to do."""
        if not (self._reconcilers or self._companions):
            return
        async with Leader(self._context.store, self._name, self._holder) as leader:
            await leader.lead(self._lead)

    async def _lead(self, term: Term) -> None:
        _log.info("leading %s as %s (term %d)", self._name, self._holder, term.generation)
        self._leading = True
        try:
            async with asyncio.TaskGroup() as tasks:
                for index, reconciler in enumerate(self._reconcilers):
                    tasks.create_task(self._follow(index, Owned(reconciler.kind, key_of)))
                    for owned in reconciler.owned:
                        tasks.create_task(self._follow(index, owned))
                tasks.create_task(self._resync())
                for companion in self._companions:
                    tasks.create_task(self._accompany(companion))
                for _ in range(self._workers):
                    tasks.create_task(self._work())
        finally:
            self._leading = False
            self._queue.clear()

    async def _follow(self, index: int, owned: Owned) -> None:
        """Wakes the owners of whatever changes; begins anew when the watch breaks, as often as it takes."""
        while True:
            try:
                async for obj in self._changes(owned):
                    if (key := owned.key(obj)) is not None:
                        self._queue.add((index, key))
            except Exception:
                _log.exception("watching %s broke off, beginning anew", owned.resource)
            await self._context.clock.sleep(_PAUSE_S)

    async def _accompany(self, companion: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await companion()
            except Exception:
                _log.exception("%s broke off, beginning anew", getattr(companion, "__qualname__", companion))
            await self._context.clock.sleep(_PAUSE_S)

    def _changes(self, owned: Owned) -> AsyncIterator[Object]:
        if isinstance(owned.resource, Kind):
            return self._local(owned.resource, owned.labels)
        return self._remote(owned.resource, owned.labels)

    async def _local(self, kind: Kind, labels: str | None) -> AsyncIterator[Object]:
        wanted = selectors(labels)
        batches: Any = await self._context.resources.changes(kind, None, None, wanted, False, None, None)
        try:
            async for batch in batches:
                for happening in batch:
                    if happening.type == "ERROR":
                        return
                    yield happening.obj
        finally:
            await batches.aclose()

    async def _remote(self, resource: Any, labels: str | None) -> AsyncIterator[Object]:
        cluster = self._context.cluster
        assert cluster is not None, f"{resource} is of a cluster, but this controller has none"
        async for type, obj in cluster.watch(resource, labels=labels):
            if type != "SYNCED":
                yield obj

    async def _resync(self) -> None:
        """Every object now and then, whatever was missed."""
        while True:
            await self._context.clock.sleep(self._resync_s)
            for index, reconciler in enumerate(self._reconcilers):
                try:
                    page = await self._context.resources.list(reconciler.kind)
                except Exception:
                    _log.exception("listing %s for the resync failed", reconciler.kind.plural)
                    continue
                for obj in page.items:
                    self._queue.add((index, key_of(obj)))

    async def _work(self) -> None:
        while True:
            item = await self._queue.take()
            try:
                await self._reconcile(item)
            finally:
                self._queue.done(item)

    async def _reconcile(self, item: Item) -> None:
        reconciler, key = self._reconcilers[item[0]], item[1]
        kind, clock = reconciler.kind.kind, self._context.clock
        began, outcome = clock.monotonic(), "failed"
        try:
            again = await reconciler.reconcile(key, self._context)
        except Conflict as error:
            outcome = "conflict"
            delay = self._queue.retry(item)
            _log.debug("%s %s/%s: %s, again in %.1f s", reconciler.kind.kind, *key, error, delay)
        except Exception as error:
            delay = self._queue.retry(item, float(getattr(error, "retry_after_s", None) or 0))
            _log.exception("reconciling %s %s/%s failed, again in %.1f s", reconciler.kind.kind, *key, delay)
        else:
            outcome = "done"
            self._queue.forget(item)
            if again is not None:
                self._queue.add_after(item, again.after)
        finally:
            RECONCILED.labels(kind).observe(clock.monotonic() - began)
            OUTCOMES.labels(kind, outcome).inc()
