"""The scheduler put together: this is the one place that knows all its parts."""

from collections.abc import Awaitable, Callable, Sequence
from os import cpu_count, sysconf
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.commands.scheduling.v1 import FinishWorkload, FireTrigger, ReportWorkload, SubmitWorkload
from contracts.events.pipelines.v1 import (
    PipelineRunDeleted,
    PipelineRunFailed,
    PipelineRunRejected,
    PipelineRunSucceeded,
)
from contracts.events.serving.v1 import (
    InferenceServiceDeleted,
    InferenceServiceFailed,
    InferenceServiceReady,
    InferenceServiceRejected,
)
from contracts.events.training.v1 import (
    LegacyJobDeleted,
    LegacyJobFailed,
    LegacyJobRejected,
    LegacyJobSucceeded,
    TrainJobDeleted,
    TrainJobFailed,
    TrainJobRejected,
    TrainJobSucceeded,
)
from libs.base.settings import Settings
from libs.service.app import App, Measures, Ports
from libs.service.manifest import load
from libs.store import UnitOfWork
from services.scheduler import handlers
from services.scheduler.adapters import shipped
from services.scheduler.adapters.adopting import adopt
from services.scheduler.adapters.kinds import KINDS, WORKLOAD
from services.scheduler.adapters.loop import Loop
from services.scheduler.adapters.measures import WAITED, queue_measure
from services.scheduler.adapters.statuses import Statuses
from services.scheduler.adapters.triggers import AllNeeds, hearing_for_triggers
from services.scheduler.adapters.workloads import PriorityClasses, forget_old
from services.scheduler.domain.model import Rules
from services.scheduler.domain.quantities import parse
from services.scheduler.reconcile import firing
from services.scheduler.reconcile.triggerkind import TRIGGER
from services.scheduler.reconcile.triggers import TriggerTimes

if TYPE_CHECKING:
    from fastapi import APIRouter

RENEW_EVERY_S = 600.0
ENDINGS = (
    TrainJobSucceeded,
    TrainJobFailed,
    TrainJobRejected,
    TrainJobDeleted,
    LegacyJobSucceeded,
    LegacyJobFailed,
    LegacyJobRejected,
    LegacyJobDeleted,
    InferenceServiceReady,
    InferenceServiceFailed,
    InferenceServiceRejected,
    InferenceServiceDeleted,
    PipelineRunSucceeded,
    PipelineRunFailed,
    PipelineRunRejected,
    PipelineRunDeleted,
)
"""How what a trigger made can end, or come as far as it gets."""


class SchedulerSettings(Settings):
    """Quantities such as `8` and `16Gi` are the quota of the default queue; what is not given is this machine's, its
    cpu times `overcommit`. `fair_sharing`, `pods_ready_timeout_s` (0: for ever) and the back-off of workloads whose
    pods were not ready in time are Kueue's configuration of the same names."""

    capacity_cpu: str = ""
    capacity_memory: str = ""
    overcommit: float = 2.0
    fair_sharing: bool = False
    pods_ready_timeout_s: float = 0.0
    requeue_base_s: float = 60.0
    requeue_max_s: float = 3600.0
    requeue_limit: int | None = None


def capacity(settings: SchedulerSettings) -> dict[str, int]:
    """All that the default queue has, in millicores and bytes."""
    memory = sysconf("SC_PHYS_PAGES") * sysconf("SC_PAGE_SIZE")
    cpu = int((cpu_count() or 1) * settings.overcommit * 1000)
    return {
        "cpu": parse("cpu", settings.capacity_cpu) if settings.capacity_cpu else cpu,
        "memory": parse("memory", settings.capacity_memory) if settings.capacity_memory else memory,
    }


def rules(settings: SchedulerSettings) -> Rules:
    return Rules(
        default_queue=shipped.QUEUE_NAME,
        fair_sharing=settings.fair_sharing,
        pods_ready_ms=int(settings.pods_ready_timeout_s * 1000) or None,
        requeue_base_ms=int(settings.requeue_base_s * 1000),
        requeue_max_ms=int(settings.requeue_max_s * 1000),
        requeue_limit=settings.requeue_limit,
    )


def build() -> App:
    loops: dict[int, Loop] = {}
    manifest = load(Path(__file__).parent)

    def loop_of(ports: Ports) -> Loop:
        made = Loop(ports, rules(ports.settings), WAITED.observe)
        return loops.setdefault(id(ports.store), made)

    def leading(ports: Ports) -> Sequence[Callable[[], Awaitable[None]]]:
        loop = loop_of(ports)
        around = loop.surroundings
        return [loop.run, around.namespaces, around.nodes, Statuses(ports, loop).run]

    def routers(ports: Ports) -> "Sequence[APIRouter]":
        from services.scheduler.api import router

        classes = PriorityClasses(ports.store)
        return [router(loop_of(ports).see, classes.value, ports.resources, WORKLOAD, ports.clock)]

    def measures(ports: Ports) -> Measures:
        return queue_measure(loop_of(ports), ports.clock)

    return App(
        manifest=manifest,
        settings=SchedulerSettings,
        kinds=(*KINDS, TRIGGER),
        handlers={
            SubmitWorkload: handlers.when_submitted,
            ReportWorkload: handlers.when_reported,
            FinishWorkload: handlers.when_finished,
            FireTrigger: firing.when_fired,
            **dict.fromkeys(ENDINGS, firing.when_made_is_over),
        },
        overhears=firing.when_overheard,
        needs=_needs,
        background=lambda ports: [_shipping(ports), hearing_for_triggers(ports, manifest.hears, manifest.name)],
        reconcilers=lambda ports: [TriggerTimes()],
        while_leading=leading,
        routers=routers,
        measures=measures,
        migrations=Path(__file__).parent / "adapters" / "migrations",
    )


def _needs(ports: Ports, uow: UnitOfWork) -> AllNeeds:
    return AllNeeds(ports, uow)


def _shipping(ports: Ports) -> Callable[[], Awaitable[None]]:
    async def ship_defaults() -> None:
        """At start the capacity may be another than before; and from time to time, for who deleted a default. What ran
        before there were queues holds its quota before anybody new gets some."""
        await adopt(ports.store, ports.clock, ports.ids)
        while True:
            await shipped.ensure(ports.resources, capacity(ports.settings))
            await forget_old(ports.store)
            await ports.clock.sleep(RENEW_EVERY_S)

    return ship_defaults
