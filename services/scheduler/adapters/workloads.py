"""The Workloads port on one unit of work, which is the database's only writer while it is open."""

from datetime import datetime, timedelta
from typing import Any

from sqlmodel import col, delete

from libs.base.clock import Clock, rfc3339_micro
from libs.base.ids import Ids
from libs.store import Store, UnitOfWork, brief
from services.scheduler.adapters.kinds import PRIORITY_CLASS, WORKLOAD
from services.scheduler.adapters.tables import OverRow

Object = dict[str, Any]
# Asked for every letter: past SQLAlchemy's session, which costs ten times the question (benchmarks/scheduler.py).
IS_OVER = brief("SELECT 1 FROM scheduler_over WHERE uid = ?1")
END = brief("INSERT INTO scheduler_over (uid, at) VALUES (?1, ?2) ON CONFLICT (uid) DO UPDATE SET at = excluded.at")
REMEMBERED = timedelta(days=7)
"""How late a letter may come of which nothing is left; the broker keeps none for that long."""


class StoredWorkloads:
    """Written past `Resources`: the scheduler's own words need no validation, and there are many of them."""

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        self._uow, self._clock = uow, clock

    async def find(self, namespace: str, name: str) -> Object | None:
        return await self._uow.get(WORKLOAD.resource, namespace, name)

    async def put(self, obj: Object) -> None:
        if obj["metadata"].get("resourceVersion"):
            await self._uow.update(WORKLOAD.resource, obj)
        else:
            await self._uow.insert(WORKLOAD.resource, obj)

    async def remove(self, obj: Object) -> None:
        await self._uow.delete(WORKLOAD.resource, obj["metadata"]["namespace"], obj["metadata"]["name"])

    async def priority(self, name: str) -> int | None:
        found = await self._uow.get(PRIORITY_CLASS.resource, "", name)
        return found["value"] if found else None

    async def is_over(self, uid: str) -> bool:
        return bool(await self._uow.rows(IS_OVER, uid))

    async def end(self, uid: str) -> None:
        await self._uow.later(END, uid, rfc3339_micro(self._clock.now()))


class Needs:
    """What a handler gets, in the transaction of its message."""

    def __init__(self, uow: UnitOfWork, clock: Clock, ids: Ids) -> None:
        self.workloads = StoredWorkloads(uow, clock)
        self._clock, self._ids = clock, ids

    @property
    def now(self) -> datetime:
        return self._clock.now()

    def new_uid(self) -> str:
        return self._ids.uid()


class PriorityClasses:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def value(self, name: str) -> int | None:
        """None if there is none of that name."""
        async with self._store.read() as reader:
            found = await reader.get(PRIORITY_CLASS.resource, "", name)
        return found["value"] if found else None


async def forget_old(store: Store) -> None:
    """Takes out whose end was told so long ago that nobody speaks of them any more."""
    before = rfc3339_micro(store.clock.now() - REMEMBERED)
    async with store.write() as uow:
        await uow.session.exec(delete(OverRow).where(col(OverRow.at) < before))  # type: ignore[call-overload]
