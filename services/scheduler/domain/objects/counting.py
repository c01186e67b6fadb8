"""What a queue's status says: who waits in it, who holds its quota, how much of each flavor; whether it is active."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from services.scheduler.domain.book import Book
from services.scheduler.domain.fair import share
from services.scheduler.domain.holding import hold
from services.scheduler.domain.model import ClusterQueue, LocalQueue, Stop, Workload
from services.scheduler.domain.objects.shown import quantity
from services.scheduler.domain.quota import FlavorResource, QuotaNode

Object = dict[str, Any]
Told = tuple[bool, str, str]
"""Whether it is active, the reason as one word, and as a sentence."""
BEYOND_ALL = 2**63 - 1
"""The share of who has a weight of 0 and borrows."""


@dataclass
class Count:
    pending: int = 0
    reserving: int = 0
    admitted: int = 0
    reserved: dict[FlavorResource, int] = field(default_factory=dict)
    used: dict[FlavorResource, int] = field(default_factory=dict)

    def add(self, workload: Workload) -> None:
        admission = workload.admission
        if admission is None:
            self.pending += 1
            return
        usage = hold(admission, workload.reclaimable).usage
        self.reserving += 1
        _sum(self.reserved, usage)
        if admission.admitted_at is not None:
            self.admitted += 1
            _sum(self.used, usage)


def counts(book: Book) -> tuple[Mapping[str, Count], Mapping[tuple[str, str], Count]]:
    """By ClusterQueue, and by namespace and name of the LocalQueue."""
    of_queue: dict[str, Count] = {}
    of_local: dict[tuple[str, str], Count] = {}
    for workload in book.workloads.values():
        if workload.admission is None and (workload.suspended or not workload.active):
            continue
        place = (workload.namespace, workload.queue)
        if workload.queue:
            of_local.setdefault(place, Count()).add(workload)
        local = book.local_queues.get(place)
        target = local.cluster_queue if local else "" if workload.queue else book.rules.default_queue
        if name := workload.admission.cluster_queue if workload.admission else target:
            of_queue.setdefault(name, Count()).add(workload)
    return of_queue, of_local


def queue_status(queue: ClusterQueue, count: Count) -> Object:
    """A ClusterQueue's, without its conditions."""
    return {**_numbers(count), **_flavors(queue, count, borrows=True)}


def local_status(queue: ClusterQueue | None, count: Count) -> Object:
    return {**_numbers(count), **(_flavors(queue, count, borrows=False) if queue else {})}


def fair_sharing(node: QuotaNode | None, book: Book) -> Object:
    """The dominant share of a queue or cohort as Kueue tells it, in thousandths and rounded up: only where shares are
    to be fair."""
    if node is None or not book.rules.fair_sharing:
        return {}
    weightless, millionths = share(node)
    return {"fairSharing": {"weightedShare": BEYOND_ALL if weightless else -(-millionths // 10**6)}}


def is_active(queue: ClusterQueue, book: Book, checks: Mapping[str, Object]) -> Told:
    named = sorted({flavor.flavor for group in queue.resource_groups for flavor in group.flavors})
    missing = [name for name in named if name not in book.flavors]
    unknown = sorted({rule.name for rule in queue.checks} - checks.keys())
    if queue.stop is not Stop.NONE:
        return False, "Stopped", "Can't admit new workloads: is stopped"
    if missing:
        return False, "FlavorNotFound", f"Can't admit new workloads: references missing ResourceFlavor(s): {missing}"
    if unknown:
        told = f"Can't admit new workloads: references missing AdmissionCheck(s): {unknown}"
        return False, "AdmissionCheckNotFound", told
    return True, "Ready", "Can admit new workloads"


def is_local_active(local: LocalQueue, book: Book, active: Mapping[str, Told]) -> Told:
    if local.stop is not Stop.NONE:
        return False, "Stopped", "LocalQueue is stopped"
    if local.cluster_queue not in active:
        return False, "ClusterQueueDoesNotExist", f"Can't submit new workloads: no ClusterQueue {local.cluster_queue}"
    if not active[local.cluster_queue][0]:
        return False, "ClusterQueueIsInactive", "Can't submit new workloads to clusterQueue"
    return True, "Ready", "Can submit new workloads to localQueue"


def _numbers(count: Count) -> Object:
    return {
        "pendingWorkloads": count.pending,
        "reservingWorkloads": count.reserving,
        "admittedWorkloads": count.admitted,
    }


def _flavors(queue: ClusterQueue, count: Count, *, borrows: bool) -> Object:
    return {
        "flavorsReservation": list(_usage(queue, count.reserved, borrows)),
        "flavorsUsage": list(_usage(queue, count.used, borrows)),
    }


def _usage(queue: ClusterQueue, usage: Mapping[FlavorResource, int], borrows: bool) -> Iterator[Object]:
    for group in queue.resource_groups:
        for flavor in group.flavors:
            resources = []
            for name, quota in flavor.resources.items():
                total = usage.get((flavor.flavor, name), 0)
                more = {"borrowed": quantity(name, max(0, total - quota.nominal))} if borrows else {}
                resources.append({"name": name, "total": quantity(name, total), **more})
            yield {"name": flavor.flavor, "resources": resources}


def _sum(total: dict[FlavorResource, int], more: Mapping[FlavorResource, int]) -> None:
    for key, value in more.items():
        total[key] = total.get(key, 0) + value
