"""The Workloads port on the session of one unit of work, which is the database's only writer while it is open."""

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from libs.base.clock import Clock, rfc3339_micro
from services.scheduler.adapters.tables import WorkloadRow
from services.scheduler.domain.workloads import Demand, Phase, Workload


class SqlWorkloads:
    """`waited` is told the seconds that an admitted workload had waited."""

    def __init__(self, session: AsyncSession, clock: Clock, waited: Callable[[float], None]) -> None:
        self._session, self._clock, self._waited = session, clock, waited

    async def get(self, uid: str) -> Workload:
        row = await self._session.get(WorkloadRow, uid)
        return _workload(row) if row else Workload(uid)

    async def put(self, workload: Workload) -> None:
        row = _row(workload)
        row.waiting_since = self._since(await self._session.get(WorkloadRow, workload.uid), workload.phase)
        await self._session.merge(row)
        await self._session.flush()

    def _since(self, before: WorkloadRow | None, phase: Phase) -> str | None:
        """Since when it waits now, if it does."""
        now = self._clock.now()
        waiting = before is not None and before.phase == Phase.WAITING.value
        since = before.waiting_since if before is not None and waiting else None
        if since and phase is Phase.ADMITTED:
            self._waited(max(0.0, (now - datetime.fromisoformat(since)).total_seconds()))
        if phase is not Phase.WAITING:
            return None
        return since if waiting else rfc3339_micro(now)

    async def active(self) -> Sequence[Workload]:
        running = select(WorkloadRow).where(col(WorkloadRow.phase).in_([Phase.WAITING, Phase.ADMITTED]))
        return [_workload(row) for row in await self._session.exec(running)]

    async def next_arrival(self) -> int:
        last = (await self._session.exec(select(func.max(WorkloadRow.arrival)))).one()
        return int(last or 0) + 1


def _workload(row: WorkloadRow) -> Workload:
    known = row.cpu_milli is not None and row.memory_bytes is not None
    return Workload(
        uid=row.uid,
        namespace=row.namespace,
        name=row.name,
        kind=row.kind,
        demand=Demand(row.cpu_milli or 0, row.memory_bytes or 0) if known else None,
        phase=Phase(row.phase),
        generation=row.generation,
        arrival=row.arrival,
        told=row.told,
    )


def _row(workload: Workload) -> WorkloadRow:
    return WorkloadRow(
        uid=workload.uid,
        namespace=workload.namespace,
        name=workload.name,
        kind=workload.kind,
        cpu_milli=workload.demand.cpu_milli if workload.demand else None,
        memory_bytes=workload.demand.memory_bytes if workload.demand else None,
        phase=workload.phase.value,
        generation=workload.generation,
        arrival=workload.arrival,
        told=workload.told,
    )
