"""The trainer put together: this is the one place that knows all its parts."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts.commands.training.v1 import ApplyLegacyJob, ApplyTrainJob, DeleteLegacyJob, DeleteTrainJob
from contracts.events.scheduling.v1 import WorkloadAdmitted, WorkloadEvicted, WorkloadQueued
from libs.base.workload_images import WorkloadSettings
from libs.resources.reconcile import Reconciler
from libs.service.app import App, Ports
from libs.service.manifest import load
from libs.store import UnitOfWork
from services.trainer.adapters.controller import TrainJobs
from services.trainer.adapters.given import given
from services.trainer.adapters.in_use import RuntimesInUse
from services.trainer.adapters.jobs import StoredJobs
from services.trainer.adapters.kinds import TRAINJOB, runtime_kinds
from services.trainer.adapters.legacy import LegacyJobs
from services.trainer.adapters.legacy_kinds import LEGACY_KINDS
from services.trainer.adapters.secret import TokenKey
from services.trainer.adapters.shipped import ensure_public_note, ensure_runtimes, marked, shipped
from services.trainer.adapters.snapshots import Snapshots
from services.trainer.domain.legacy.frameworks import FAMILIES
from services.trainer.domain.workload import Site
from services.trainer.handlers import when_workload_admitted, when_workload_evicted, when_workload_queued
from services.trainer.plugins import FRAMEWORKS

if TYPE_CHECKING:
    from fastapi import APIRouter

RENEW_EVERY_S = 600.0


class TrainerSettings(WorkloadSettings):
    """`trainer_url` is how a job's pods reach this service; by default its Service in the platform's namespace.
    `runtimes_folder` holds runtimes of the place of installation, stored beside those that the trainer brings along."""

    trainer_url: str = ""
    runtimes_folder: str = ""
    s3_region: str = "us-east-1"


def build() -> App:
    policies = [framework.policy for framework in FRAMEWORKS if framework.policy]
    runtimes = runtime_kinds(policies)
    keys: dict[int, TokenKey] = {}

    def key_of(ports: Ports) -> Callable[[], Awaitable[bytes]]:
        fresh = ports.ids.uid() + ports.ids.uid()
        return keys.setdefault(id(ports.store), TokenKey(ports.store, fresh)).get

    def reconcilers(ports: Ports) -> Sequence[Reconciler]:
        jobs = TrainJobs(TRAINJOB, runtimes, FRAMEWORKS, site(ports.settings), key_of(ports), Snapshots(ports.store))
        legacy = [LegacyJobs(LEGACY_KINDS[family.kind], family) for family in FAMILIES]
        return [jobs, *(RuntimesInUse(kind, TRAINJOB) for kind in runtimes), *legacy]

    def routers(ports: Ports) -> "Sequence[APIRouter]":
        from services.trainer.api import router

        return [router(ports.store, ports.resources, TRAINJOB, key_of(ports), ports.clock)]

    def needs(ports: Ports, uow: UnitOfWork) -> StoredJobs:
        return StoredJobs(ports.resources.view(uow), [TRAINJOB, *LEGACY_KINDS.values()])

    return App(
        manifest=load(Path(__file__).parent),
        settings=TrainerSettings,
        kinds=[TRAINJOB, *runtimes, *LEGACY_KINDS.values()],
        handlers={
            WorkloadAdmitted: when_workload_admitted,
            WorkloadQueued: when_workload_queued,
            WorkloadEvicted: when_workload_evicted,
        },
        command_kinds={
            ApplyTrainJob: TRAINJOB,
            DeleteTrainJob: TRAINJOB,
            ApplyLegacyJob: tuple(LEGACY_KINDS.values()),
            DeleteLegacyJob: tuple(LEGACY_KINDS.values()),
        },
        needs=needs,
        reconcilers=reconcilers,
        routers=routers,
        migrations=Path(__file__).parent / "adapters" / "migrations",
        background=lambda ports: [_shipping(ports, runtimes[1], given(ports.settings.runtimes_folder, policies))],
    )


def site(settings: Any) -> Site:
    """What jobs are told of the platform; without an object store they get no credentials for one."""
    url = settings.trainer_url or f"http://trainer.{settings.namespace}.svc.cluster.local:8080"
    s3 = {
        "AWS_ENDPOINT_URL": settings.s3_endpoint,
        "AWS_ACCESS_KEY_ID": settings.s3_access_key,
        "AWS_SECRET_ACCESS_KEY": settings.s3_secret_key,
        "AWS_DEFAULT_REGION": settings.s3_region,
    }
    known = {name: value for name, value in s3.items() if value} if settings.s3_endpoint else {}
    return Site(
        progress_url=f"{url}/training/v1/namespaces",
        s3=known,
        bucket=settings.s3_bucket,
        initializer_image=settings.workload_image("initializer"),
    )


def _shipping(ports: Ports, kind: Any, more: Sequence[dict[str, Any]]) -> Callable[[], Awaitable[None]]:
    async def ship_defaults() -> None:
        """At start and from time to time: who deleted a default gets it back, and so does a cluster made anew."""
        wanted = [
            *shipped(ports.settings.workload_image if ports.settings.has_own_images else None),
            *map(marked, more),
        ]
        while True:
            await ensure_runtimes(ports.resources, kind, wanted)
            if ports.cluster is not None:
                await ensure_public_note(ports.cluster)
            await ports.clock.sleep(RENEW_EVERY_S)

    return ship_defaults
