"""A load as its configuration describes it: classes of workloads that come to queues of cohorts at given intervals."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from contracts.commands.scheduling.v1 import PodSet, SubmitWorkload, Topology


@dataclass(frozen=True)
class Class:
    """`count` of them come to each queue, one every `every_ms`; each runs for `runtime_ms` once it is admitted."""

    name: str
    count: int
    every_ms: int
    runtime_ms: int
    priority: int
    cpu: int | str
    """Of one pod."""
    pods: int = 1
    topology: Topology | None = None


@dataclass(frozen=True)
class Shape:
    name: str
    about: str
    cohorts: int
    queues: int
    """Of each cohort."""
    nominal: int
    borrowing: int | None
    classes: tuple[Class, ...]
    kueue_s: float = 0.0
    racks: int = 0
    """Of 64 nodes of 96 cpu each, where topology matters."""
    _by_name: dict[str, Class] = field(default_factory=dict, compare=False)

    @property
    def count(self) -> int:
        return self.cohorts * self.queues * sum(each.count for each in self.classes)

    def scaled(self, part: float) -> Shape:
        """With a part of the workloads of each class; only the whole is comparable with what others needed."""
        classes = tuple(replace(c, count=max(1, round(c.count * part))) for c in self.classes)
        return replace(self, classes=classes, kueue_s=self.kueue_s if part == 1 else 0.0)

    def arrivals(self) -> list[tuple[int, int, str]]:
        """(virtual ms, 0, uid): the uid tells class, queue and number."""
        return [
            (number * each.every_ms, 0, f"{each.name}.{cohort}-{queue}.{number}")
            for cohort in range(self.cohorts)
            for queue in range(self.queues)
            for each in self.classes
            for number in range(each.count)
        ]

    def class_of(self, uid: str) -> Class:
        known = self._by_name or self._by_name.update({c.name: c for c in self.classes}) or self._by_name
        return known[uid.split(".", 1)[0]]

    def submit(self, uid: str, after: str | None = None) -> SubmitWorkload:
        each, queue = self.class_of(uid), uid.split(".")[1]
        pods = PodSet(name="main", count=each.pods, requests={"cpu": str(each.cpu)}, topology=each.topology)
        return SubmitWorkload(
            namespace="bench",
            name=uid,
            uid=uid,
            kind="Task",
            queue=f"queue-{queue}",
            priority=each.priority,
            pod_sets=[pods],
            generation=1,
            after=after,
        )
