"""What the handlers of triggers need beside a message; the service's own store keeps it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

Object = dict[str, Any]


class Triggers(Protocol):
    """Triggers as manifests; every call belongs to the transaction of the present message."""

    def now(self) -> datetime: ...

    async def of(self, namespace: str) -> Sequence[Object]:
        """Those of a namespace that are not being deleted."""
        ...

    async def find(self, namespace: str, name: str) -> Object | None: ...

    async def put_status(self, trigger: Object, status: Object) -> None: ...


class TriggersNeeds(Protocol):
    @property
    def triggers(self) -> Triggers: ...
