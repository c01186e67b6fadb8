"""The figures of the queue: what waits and for how long, what is in use; read from the store when they are asked."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from libs import telemetry
from libs.base.clock import Clock
from libs.store import Store
from services.scheduler.adapters.tables import WorkloadRow
from services.scheduler.domain.workloads import Demand, Phase

WAITED = telemetry.histogram(
    "admission_wait_seconds", "Time from a workload's first word, or its resumption, to its admission"
)
WAITING = telemetry.gauge("waiting_workloads", "Workloads that wait for admission")
OLDEST = telemetry.gauge("waiting_oldest_seconds", "How long the workload has waited that waits the longest")
ADMITTED = telemetry.gauge("admitted_workloads", "Workloads that are admitted and not over")
USED = telemetry.gauge("admitted_resources", "What the admitted ask for: cores of cpu, bytes of memory", ("resource",))
CAPACITY = telemetry.gauge("capacity_resources", "All that may be in use: cores of cpu, bytes of memory", ("resource",))


def queue_measure(store: Store, clock: Clock, capacity: Demand) -> Mapping[str, Callable[[], Awaitable[None]]]:
    """For App.measures."""

    async def queue() -> None:
        async with store.read() as reader:
            await reader.last_seq()  # takes the snapshot before the session's first query
            waiting, since, _ = await _phase(reader.session, Phase.WAITING)
            admitted, _, used = await _phase(reader.session, Phase.ADMITTED)
        WAITING.set(waiting)
        ADMITTED.set(admitted)
        OLDEST.set(max(0.0, (clock.now() - datetime.fromisoformat(since)).total_seconds()) if since else 0.0)
        for meter, demand in ((USED, used), (CAPACITY, capacity)):
            meter.labels("cpu").set(demand.cpu_milli / 1000)
            meter.labels("memory").set(demand.memory_bytes)

    return {"queue": queue}


async def _phase(session: AsyncSession, phase: Phase) -> tuple[int, str | None, Demand]:
    """How many are in a phase, since when the first of them waits, and what they ask for together."""
    columns = (
        func.count(),
        func.min(WorkloadRow.waiting_since),
        func.coalesce(func.sum(WorkloadRow.cpu_milli), 0),
        func.coalesce(func.sum(WorkloadRow.memory_bytes), 0),
    )
    count, since, cpu, memory = (
        await session.exec(select(*columns).where(col(WorkloadRow.phase) == phase.value))
    ).one()
    return int(count), since, Demand(int(cpu), int(memory))
