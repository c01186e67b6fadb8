"""What the scheduler's handlers need beside a message; kept by the service's own store, one transaction each."""

from collections.abc import Sequence
from typing import Protocol

from services.scheduler.domain.workloads import Demand, Workload


class Workloads(Protocol):
    """The projection of what others told; every call belongs to the transaction of the present message."""

    async def get(self, uid: str) -> Workload:
        """The workload, or one of phase Unknown when nothing was heard of it yet."""
        ...

    async def put(self, workload: Workload) -> None: ...

    async def active(self) -> Sequence[Workload]:
        """All that wait or are admitted, locked against other replicas until the transaction ends."""
        ...

    async def next_arrival(self) -> int:
        """A number greater than that of every workload heard of before."""
        ...


class Needs(Protocol):
    @property
    def workloads(self) -> Workloads: ...

    @property
    def capacity(self) -> Demand: ...
