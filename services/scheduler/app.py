"""The scheduler put together: this is the one place that knows all its parts."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from os import cpu_count, sysconf
from pathlib import Path

from contracts.commands.scheduling.v1 import FinishWorkload, ReportWorkload, SubmitWorkload
from contracts.kinds.quantity import amount
from libs.base.settings import Settings
from libs.service.app import App, Ports
from libs.service.manifest import load
from libs.service.pipeline import say
from libs.store import UnitOfWork
from services.scheduler import handlers
from services.scheduler.adapters.measures import WAITED, queue_measure
from services.scheduler.adapters.workloads import SqlWorkloads
from services.scheduler.domain.workloads import Demand

SOURCE = "millstream/scheduler"
SWEEP_EVERY_S = 30.0


class SchedulerSettings(Settings):
    """Quantities such as `8` and `16Gi`; what is not given is this machine's, its cpu times `overcommit`."""

    capacity_cpu: str = ""
    capacity_memory: str = ""
    overcommit: float = 2.0


@dataclass(frozen=True)
class Needs:
    workloads: SqlWorkloads
    capacity: Demand


def capacity(settings: SchedulerSettings) -> Demand:
    """All that may be in use at once."""
    memory = sysconf("SC_PHYS_PAGES") * sysconf("SC_PAGE_SIZE")
    return Demand(
        cpu_milli=_milli(settings.capacity_cpu) or int((cpu_count() or 1) * settings.overcommit * 1000),
        memory_bytes=int(amount(settings.capacity_memory)) if settings.capacity_memory else memory,
    )


def build() -> App:
    return App(
        manifest=load(Path(__file__).parent),
        settings=SchedulerSettings,
        handlers={
            SubmitWorkload: handlers.when_submitted,
            ReportWorkload: handlers.when_reported,
            FinishWorkload: handlers.when_finished,
        },
        needs=_needs,
        background=lambda ports: [_sweeping(ports)],
        measures=lambda ports: queue_measure(ports.store, ports.clock, capacity(ports.settings)),
        migrations=Path(__file__).parent / "adapters" / "migrations",
    )


def _needs(ports: Ports, uow: UnitOfWork) -> Needs:
    return Needs(SqlWorkloads(uow.session, ports.clock, WAITED.observe), capacity(ports.settings))


def _sweeping(ports: Ports) -> Callable[[], Awaitable[None]]:
    async def move_the_queue() -> None:
        """At start the capacity may be another than before; nobody else would tell the queue."""
        while True:
            async with ports.store.write() as uow:
                for fact in await handlers.when_capacity_changed(_needs(ports, uow)):
                    say(uow, fact, ports, source=SOURCE)
            await ports.clock.sleep(SWEEP_EVERY_S)

    return move_the_queue


def _milli(quantity: str) -> int:
    return int(amount(quantity) * 1000) if quantity else 0
