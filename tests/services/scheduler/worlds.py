"""Small worlds for the decision's tests: queues and workloads in one line each, and owners who do as they are told."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from services.scheduler.domain.book import Book
from services.scheduler.domain.cycle import cycle
from services.scheduler.domain.model import (
    Admit,
    ClusterQueue,
    Cohort,
    Decision,
    Evict,
    FlavorQuotas,
    LocalQueue,
    PodSet,
    Policy,
    Preemption,
    Quota,
    ResourceFlavor,
    ResourceGroup,
    Rules,
    Workload,
)
from services.scheduler.domain.moves import apply

RECLAIM = Preemption(Policy.LOWER_PRIORITY, Policy.ANY)
"""The policies of Kueue's own performance tests."""


def groups(nominal: int | dict[str, int | Quota]) -> tuple[ResourceGroup, ...]:
    """cpu of one flavor, or of several in their order."""
    flavors = nominal if isinstance(nominal, dict) else {"default": nominal}
    offers = [
        FlavorQuotas(name, {"cpu": quota if isinstance(quota, Quota) else Quota(quota)})
        for name, quota in flavors.items()
    ]
    return (ResourceGroup(("cpu",), tuple(offers)),)


def queue(name: str, nominal: int | dict[str, int | Quota], cohort: str = "", **rest) -> ClusterQueue:
    return ClusterQueue(name, groups(nominal), cohort, **rest)


def cohort(name: str, nominal: int = 0, parent: str = "", **rest) -> Cohort:
    return Cohort(name, parent, groups(nominal) if nominal else (), **rest)


def workload(uid: str, queue: str, cpu: int, priority: int = 0, arrival: int = 0, pods: int = 1, **rest) -> Workload:
    sets = rest.pop("pod_sets", (PodSet("main", pods, {"cpu": cpu}),))
    return Workload(uid, "team", uid, "Job", queue, sets, priority=priority, arrival=arrival, **rest)


def gone(workload: Workload, now: int) -> Workload:
    """Its owner said that the pods of its admission are gone: what it held is free, what it ran is remembered."""
    admission = workload.admission
    if admission is None:
        return workload
    ran = now - admission.admitted_at if admission.admitted_at is not None else 0
    return replace(workload, admission=None, ran_ms=workload.ran_ms + ran, checks={}, reclaimable={})


class World:
    """A book and its clock. `said` are all decisions so far; evicted pods are gone when `leave` is called."""

    def __init__(self, *specs: ClusterQueue | Cohort, rules: Rules | None = None, flavors: Iterable[str] = ()) -> None:
        self.book = Book(rules)
        self.now = 0
        self.said: list[Decision] = []
        for name in flavors or ("default",):
            self.book.put_flavor(ResourceFlavor(name))
        for spec in specs:
            if isinstance(spec, Cohort):
                self.book.put_cohort(spec)
            else:
                self.book.put_queue(spec)
                self.book.put_local_queue(LocalQueue("team", spec.name, spec.name))

    def submit(self, *workloads: Workload) -> None:
        for one in workloads:
            self.book.put_workload(one)

    def cycle(self) -> Sequence[Decision]:
        self.now += 1
        decisions = cycle(self.book, self.now)
        apply(self.book, decisions)
        self.said += decisions
        return decisions

    def settle(self, rounds: int = 200) -> list[Decision]:
        """Cycles until nothing is decided any more."""
        told: list[Decision] = []
        for _ in range(rounds):
            decisions = self.cycle()
            if not decisions:
                return told
            told += decisions
        raise AssertionError(f"still deciding after {rounds} cycles: {decisions}")

    def leave(self, *uids: str) -> None:
        """The pods of these, or of all who are evicted, are gone."""
        for uid in uids or list(self.book.leaving):
            self.book.put_workload(gone(self.book.workloads[uid], self.now))

    def calm(self, rounds: int = 500) -> list[Decision]:
        """Settle and let the evicted leave until nobody moves: for a fixed set of workloads this has to end."""
        told: list[Decision] = []
        for _ in range(rounds):
            told += self.settle()
            if not self.book.leaving:
                return told
            self.leave()
        raise AssertionError(f"evictions without end: {self.evictions()[-20:]}")

    def running(self) -> set[str]:
        return {u for u, w in self.book.workloads.items() if w.admission and not w.admission.evicted}

    def started(self) -> list[str]:
        return [d.uid for d in self.said if isinstance(d, Admit)]

    def evictions(self) -> list[tuple[str, str | None]]:
        """Who was evicted, and by whom."""
        return [(d.uid, d.by) for d in self.said if isinstance(d, Evict)]

    def reason(self, uid: str) -> str:
        """What it was told last."""
        return next(d.reason for d in reversed(self.said) if d.uid == uid and hasattr(d, "reason"))
