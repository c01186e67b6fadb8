"""The figures of the queue: what waits and for how long, what is in use; of the replica that decides alone."""

from collections.abc import Awaitable, Callable, Mapping

from libs import telemetry
from libs.base import milliseconds
from libs.base.clock import Clock
from services.scheduler.adapters.loop import Loop
from services.scheduler.domain.book import Book
from services.scheduler.domain.objects import counting

WAITED = telemetry.histogram(
    "admission_wait_seconds", "Time from a workload's first word, or its resumption, to its admission"
)
WAITING = telemetry.gauge("waiting_workloads", "Workloads that wait for admission")
OLDEST = telemetry.gauge("waiting_oldest_seconds", "How long the workload has waited that waits the longest")
ADMITTED = telemetry.gauge("admitted_workloads", "Workloads that are admitted and not over")
USED = telemetry.gauge("admitted_resources", "What the admitted ask for: cores of cpu, bytes of memory", ("resource",))
CAPACITY = telemetry.gauge("capacity_resources", "All that may be in use: cores of cpu, bytes of memory", ("resource",))
RESOURCES = ("cpu", "memory")


def queue_measure(loop: Loop, clock: Clock) -> Mapping[str, Callable[[], Awaitable[None]]]:
    """For App.measures. A replica that stands by shows nothing, so that a sum over replicas is right."""

    async def queue() -> None:
        if loop.shelf is None:
            _show(0, 0, 0.0, {}, {})
            return
        of_queue, _ = counting.counts(loop.book)
        used = {name: sum(_amount(count.used, name) for count in of_queue.values()) for name in RESOURCES}
        since = min(loop.shelf.since.values(), default=None)
        oldest = max(0.0, (milliseconds(clock.now()) - since) / 1000) if since is not None else 0.0
        waiting, admitted = (sum(getattr(c, part) for c in of_queue.values()) for part in ("pending", "admitted"))
        _show(waiting, admitted, oldest, used, _capacity(loop.book))

    return {"queue": queue}


def _show(waiting: int, admitted: int, oldest: float, used: Mapping[str, int], room: Mapping[str, int]) -> None:
    WAITING.set(waiting)
    ADMITTED.set(admitted)
    OLDEST.set(oldest)
    for meter, amounts in ((USED, used), (CAPACITY, room)):
        for name in RESOURCES:
            meter.labels(name).set(amounts.get(name, 0) / (1000 if name == "cpu" else 1))


def _capacity(book: Book) -> dict[str, int]:
    """The nominal quotas of all queues and cohorts together."""
    total: dict[str, int] = {}
    owners = [*(state.spec for state in book.states.values() if state.spec), *book.cohorts.values()]
    for owner in owners:
        for group in owner.resource_groups:
            for flavor in group.flavors:
                for name, quota in flavor.resources.items():
                    total[name] = total.get(name, 0) + quota.nominal
    return total


def _amount(usage: Mapping[tuple[str, str], int], resource: str) -> int:
    return sum(value for (_, name), value in usage.items() if name == resource)
