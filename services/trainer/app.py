"""The trainer put together: this is the one place that knows all its parts."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from contracts.commands.training.v1 import ApplyLegacyJob, ApplyTrainJob, DeleteLegacyJob, DeleteTrainJob
from contracts.events.registry.v1 import ModelVersionCreated
from contracts.events.scheduling.v1 import WorkloadAdmitted, WorkloadEvicted, WorkloadQueued
from libs.base.workload_images import WorkloadSettings
from libs.resources import Kind
from libs.resources.reconcile import Reconciler
from libs.service.app import App, Ports
from libs.service.manifest import load
from libs.service.secret import TokenKey
from libs.store import UnitOfWork
from services.trainer.adapters.archive.keeper import by_labels
from services.trainer.adapters.archive.whole import Archive
from services.trainer.adapters.controller import TrainJobs
from services.trainer.adapters.given import given
from services.trainer.adapters.in_use import RuntimesInUse
from services.trainer.adapters.jobs import StoredJobs
from services.trainer.adapters.kinds import TRAINJOB, runtime_kinds
from services.trainer.adapters.legacy import LegacyJobs
from services.trainer.adapters.legacy_kinds import LEGACY_KINDS
from services.trainer.adapters.shipped import ensure_public_note, ensure_runtimes, marked, shipped
from services.trainer.adapters.snapshots import Snapshots
from services.trainer.adapters.versions import SqlVersions, versions_of
from services.trainer.domain import words
from services.trainer.domain.legacy import announce as legacy_announce
from services.trainer.domain.legacy import words as legacy_words
from services.trainer.domain.legacy.frameworks import FAMILIES
from services.trainer.domain.workload import Site
from services.trainer.handlers import when_model_version_created, when_workload_answered
from services.trainer.plugins import FRAMEWORKS
from services.trainer.plugins.several import program
from services.trainer.ports import Needs

if TYPE_CHECKING:
    from fastapi import APIRouter

RENEW_EVERY_S = 600.0


class TrainerSettings(WorkloadSettings):
    """`trainer_url` is how a job's pods reach this service; by default its Service in the platform's namespace.
    `runtimes_folder` holds runtimes of the place of installation, stored beside those that the trainer brings along."""

    trainer_url: str = ""
    runtimes_folder: str = ""
    s3_region: str = "us-east-1"
    archive_days: float = Field(default=30.0, ge=0)
    """How long what is kept of a job (logs, ends of pods, events, figures) outlives the job."""


def build() -> App:
    runtimes = runtime_kinds(FRAMEWORKS)
    keys: dict[int, TokenKey] = {}
    archives: dict[int, Archive] = {}
    kept = (TRAINJOB, *LEGACY_KINDS.values())

    def key_of(ports: Ports) -> Callable[[], Awaitable[bytes]]:
        fresh = ports.ids.uid() + ports.ids.uid()
        return keys.setdefault(id(ports.store), TokenKey(ports.store, "trainer/token-key", fresh)).get

    def archive_of(ports: Ports) -> Archive:
        return archives.setdefault(id(ports), _archive(ports, kept))

    def reconcilers(ports: Ports) -> Sequence[Reconciler]:
        jobs = TrainJobs(
            TRAINJOB,
            runtimes,
            FRAMEWORKS,
            site(ports.settings),
            key_of(ports),
            Snapshots(ports.store),
            archive_of(ports).before,
            partial(versions_of, ports.store),
        )
        agent, key = {"agent.py": program("agent")}, key_of(ports)
        legacy = [LegacyJobs(LEGACY_KINDS[one.kind], one, archive_of(ports).before, agent, key) for one in FAMILIES]
        return [jobs, *(RuntimesInUse(kind, TRAINJOB) for kind in runtimes), *legacy]

    def routers(ports: Ports) -> "Sequence[APIRouter]":
        from services.trainer.api import archive, demand, progress

        legacy_asks = {LEGACY_KINDS[one.kind]: partial(legacy_announce.submit, family=one) for one in FAMILIES}
        store, resources, kept_here = ports.store, ports.resources, archive_of(ports)
        return [
            progress.router(store, resources, TRAINJOB, key_of(ports), ports.clock, kept_here.report),
            archive.router(kept_here.history, resources, kept, ports.clock),
            demand.router(resources, TRAINJOB, {kind.kind: kind for kind in runtimes}, legacy_asks),
        ]

    def needs(ports: Ports, uow: UnitOfWork) -> Needs:
        jobs = StoredJobs(ports.resources.view(uow), [TRAINJOB, *LEGACY_KINDS.values()])
        return Needs(jobs, SqlVersions(uow))

    return App(
        manifest=load(Path(__file__).parent),
        settings=TrainerSettings,
        kinds=[TRAINJOB, *runtimes, *LEGACY_KINDS.values()],
        handlers={
            WorkloadAdmitted: when_workload_answered,
            WorkloadQueued: when_workload_answered,
            WorkloadEvicted: when_workload_answered,
            ModelVersionCreated: when_model_version_created,
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
        while_leading=lambda ports: archive_of(ports).loops(),
        can_do_without_blobs=True,
        background=lambda ports: [_shipping(ports, runtimes[1], given(ports.settings.runtimes_folder, FRAMEWORKS))],
    )


def _archive(ports: Ports, kinds: Sequence[Kind]) -> Archive:
    families = {family.operator: LEGACY_KINDS[family.kind] for family in FAMILIES}

    def legacy_kind(pod: dict[str, Any]) -> Kind | None:
        return families.get((pod["metadata"].get("labels") or {}).get(legacy_words.OPERATOR_NAME) or "")

    keepings = [
        by_labels(lambda pod: TRAINJOB, words.JOB_NAME, words.UID),
        by_labels(legacy_kind, legacy_words.JOB_NAME, legacy_words.UID),
    ]
    keep_for = timedelta(days=ports.settings.archive_days)
    return Archive(ports.resources, ports.cluster, ports.blobs, kinds, keepings, keep_for)


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
