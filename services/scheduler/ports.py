"""What the scheduler's handlers need beside a message; kept by the service's own store, one transaction each."""

from datetime import datetime
from typing import Any, Protocol

from services.scheduler.domain.book import Book
from services.scheduler.domain.model import Workload

Object = dict[str, Any]


class Workloads(Protocol):
    """The Workload objects; every call belongs to the transaction of the present message."""

    async def find(self, namespace: str, name: str) -> Object | None: ...

    async def put(self, obj: Object) -> None:
        """Stores it as it is now, new or not."""
        ...

    async def remove(self, obj: Object) -> None: ...

    async def priority(self, name: str) -> int | None:
        """The value of a WorkloadPriorityClass, None if there is none of that name."""
        ...

    async def is_over(self, uid: str) -> bool:
        """Whether the end of this owner was told and its Workload removed."""
        ...

    async def end(self, uid: str) -> None:
        """Notes that: a letter that comes late must not bring it back."""
        ...


class Sight(Protocol):
    """The present state of all queues, for answers that change nothing."""

    @property
    def book(self) -> Book: ...

    def counted(self, workload: Workload) -> Workload:
        """The workload as the queues count it."""
        ...


class Needs(Protocol):
    @property
    def workloads(self) -> Workloads: ...

    @property
    def now(self) -> datetime: ...

    def new_uid(self) -> str: ...
