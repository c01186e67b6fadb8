"""The pipelines service put together: this is the one place that knows all its parts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from contracts.commands.pipelines.v1 import ApplyPipelineRun, DeletePipelineRun
from contracts.events.registry.v1 import ModelVersionCreated
from contracts.events.scheduling.v1 import WorkloadAdmitted, WorkloadEvicted, WorkloadQueued
from contracts.events.serving.v1 import InferenceServiceDeleted, InferenceServiceReady
from contracts.events.training.v1 import (
    LegacyJobCreated,
    LegacyJobDeleted,
    LegacyJobFailed,
    LegacyJobStarted,
    LegacyJobSucceeded,
    TrainJobCreated,
    TrainJobDeleted,
    TrainJobFailed,
    TrainJobStarted,
    TrainJobSucceeded,
)
from contracts.events.tuning.v1 import (
    TuningExperimentCreated,
    TuningExperimentDeleted,
    TuningExperimentFailed,
    TuningExperimentSucceeded,
)
from contracts.messages import Event
from libs.base.settings import Settings
from libs.resources import Kind
from libs.service.app import App, Ports, Work
from libs.service.manifest import load
from libs.service.pipeline import say
from libs.service.secret import TokenKey
from libs.store import Reader, UnitOfWork
from services.pipelines.adapters.admission import NotedAnswers
from services.pipelines.adapters.artifact_bytes import StoredBytes
from services.pipelines.adapters.catalog import SqlCatalog
from services.pipelines.adapters.compiling import compiled
from services.pipelines.adapters.conductor import Conductor
from services.pipelines.adapters.desk import Desk
from services.pipelines.adapters.housekeeping import Housekeeping, Limits
from services.pipelines.adapters.jobs import SqlJobs
from services.pipelines.adapters.launcher import launcher
from services.pipelines.adapters.ledger import SOURCE
from services.pipelines.adapters.lineage import SqlLineage
from services.pipelines.adapters.making import Making
from services.pipelines.adapters.measures import run_measure
from services.pipelines.adapters.mirror import MirroredCatalog, mirrored
from services.pipelines.adapters.pipelineobjects import PIPELINE, PIPELINE_VERSION
from services.pipelines.adapters.pipelineruns import PIPELINERUN, PipelineRuns
from services.pipelines.adapters.places import StepPlaces
from services.pipelines.adapters.pods import Pods
from services.pipelines.adapters.recurring import RecurringLoop
from services.pipelines.adapters.rehearsal import SqlRehearsal
from services.pipelines.adapters.releases import SqlReleases
from services.pipelines.adapters.run_list import SqlArtifactList, SqlRunList
from services.pipelines.adapters.runs import ReadRuns, SqlRuns
from services.pipelines.adapters.sharing import SharedCache
from services.pipelines.adapters.specs import Specs
from services.pipelines.adapters.stepfiles import SignedFiles
from services.pipelines.adapters.told import Told
from services.pipelines.adapters.tracking.calling import Caller
from services.pipelines.adapters.tracking.following import Following
from services.pipelines.adapters.tracking.sinks import MLflow, OpenLineage
from services.pipelines.domain.ended import Ended
from services.pipelines.domain.steps.pod import Site
from services.pipelines.handlers.admission import when_workload_answered
from services.pipelines.handlers.artifacts import Artifacts
from services.pipelines.handlers.clockwork import Clockwork
from services.pipelines.handlers.desk import Means
from services.pipelines.handlers.gates import Gates
from services.pipelines.handlers.jobs import (
    when_job_created,
    when_job_deleted,
    when_job_failed,
    when_job_started,
    when_legacy_job_succeeded,
    when_train_job_succeeded,
    when_tuning_experiment_created,
    when_tuning_experiment_succeeded,
)
from services.pipelines.handlers.pictures import Pictures
from services.pipelines.handlers.releases import (
    when_inference_service_deleted,
    when_inference_service_ready,
    when_model_version_created,
)
from services.pipelines.handlers.sharing import SharedResults
from services.pipelines.handlers.spaces import Spaces
from services.pipelines.ports import Needs

if TYPE_CHECKING:
    from fastapi import APIRouter

    from services.pipelines.domain.catalog.documents import Document
    from services.pipelines.domain.ir.model import Pipeline
    from services.pipelines.handlers.desk import Say

HERE = Path(__file__).parent
MIGRATIONS = HERE / "adapters" / "migrations"
RIGHTS = "pipelines.kubeflow.org"
"""The API group under which roles name pipelines, experiments, runs and jobs, as KFP's own roles do."""


class PipelinesSettings(Settings):
    """`default_namespace` is where things go that name none: KFP's clients often do not."""

    default_namespace: str = "default"
    pipelines_url: str = ""
    """How steps' pods reach this service; by default its Service in the platform's namespace."""
    gateway_url: str = ""
    """How steps reach the platform's API."""
    public_url: str = ""
    """How browsers reach the platform, for links to artifacts; by default as whoever asks for one has reached it."""
    shares_environments: bool = False
    """Whether all pods of a namespace can write one claim, in which what pip installed is kept."""
    steps_restricted: bool = False
    """Whether pods of steps are as the Pod Security Standard `restricted` asks for: no root, no capabilities. Images
    that say no user but root need `steps_run_as_user` then."""
    steps_run_as_user: int | None = Field(default=None, ge=0)
    """The user id of all steps, before what a pipeline asks for; by default the image's."""
    steps_run_as_group: int | None = Field(default=None, ge=0)
    steps_max: int = Field(default=200, ge=1)
    """How many steps may have a pod at a time; the others wait their turn."""
    keep_failed_s: float = Field(default=3600.0, ge=0)
    """How long the pods of failed steps stay to be looked at."""
    start_patience_s: float = Field(default=300.0, gt=0)
    """How long a step's pod may wait for something that somebody must mend (a Secret, claim or service account that is
    not there, an image that cannot be pulled) before the step fails; for room on a node it waits for ever."""
    keep_environments_s: float = Field(default=30 * 86_400.0, ge=3600)
    """How long what pip installed is kept in the bucket after its last use."""
    environments_bytes_max: int = Field(default=50 * 2**30, ge=0)
    """How much of it is kept in all; what was used last stays. 0 is no limit."""
    keep_workspaces_s: float = Field(default=7 * 86_400.0, ge=0)
    """How long the volume stays that the steps of a failed run shared: taken up again later, the run gets a new one."""
    exit_timeout_s: float = Field(default=600.0, ge=1)
    """How long exit tasks may take of a run that was stopped or whose time is up, if the run itself does not say."""
    openlineage_url: str = ""
    """Where OpenLineage events are posted, below it `openlineage_endpoint`; nowhere if it is not given."""
    openlineage_endpoint: str = "api/v1/lineage"
    openlineage_api_key: str = ""
    mlflow_tracking_uri: str = ""
    """The MLflow server that is told of runs which are over; none if it is not given."""
    mlflow_tracking_token: str = ""


def build() -> App:
    """The parts of the service; opens nothing."""
    parts: dict[int, Parts] = {}

    def parts_of(ports: Ports) -> Parts:
        if id(ports.store) not in parts:
            parts[id(ports.store)] = Parts(ports)
        return parts[id(ports.store)]

    return App(
        manifest=load(HERE / "service.yaml"),
        settings=PipelinesSettings,
        kinds=(PIPELINERUN, PIPELINE, PIPELINE_VERSION),
        handlers={
            WorkloadAdmitted: when_workload_answered,
            WorkloadEvicted: when_workload_answered,
            WorkloadQueued: when_workload_answered,
            ModelVersionCreated: when_model_version_created,
            InferenceServiceReady: when_inference_service_ready,
            InferenceServiceDeleted: when_inference_service_deleted,
            TrainJobCreated: when_job_created,
            TrainJobStarted: when_job_started,
            TrainJobSucceeded: when_train_job_succeeded,
            TrainJobFailed: when_job_failed,
            TrainJobDeleted: when_job_deleted,
            LegacyJobCreated: when_job_created,
            LegacyJobStarted: when_job_started,
            LegacyJobSucceeded: when_legacy_job_succeeded,
            LegacyJobFailed: when_job_failed,
            LegacyJobDeleted: when_job_deleted,
            TuningExperimentCreated: when_tuning_experiment_created,
            TuningExperimentSucceeded: when_tuning_experiment_succeeded,
            TuningExperimentFailed: when_job_failed,
            TuningExperimentDeleted: when_job_deleted,
        },
        needs=lambda ports, uow: Heard(uow, parts_of(ports).conductor.ring),
        command_kinds={ApplyPipelineRun: PIPELINERUN, DeletePipelineRun: PIPELINERUN},
        reconcilers=lambda ports: (PipelineRuns(means(ports)),),
        routers=lambda ports: _routers(ports, parts_of(ports)),
        background=lambda ports: [parts_of(ports).told_from_here],
        while_leading=lambda ports: parts_of(ports).loops(),
        measures=lambda ports: run_measure(parts_of(ports).conductor),
        migrations=MIGRATIONS,
    )


class Heard(NotedAnswers):
    """What the handlers of all that is heard get: the scheduler's answers are noted by itself."""

    def __init__(self, uow: UnitOfWork, ring: Callable[[], None]) -> None:
        super().__init__(uow, ring)
        self.releases, self.jobs = SqlReleases(uow), SqlJobs(uow)


def home(ports: Ports) -> str:
    """The URI below which every namespace keeps the outputs of its runs."""
    return f"s3://{ports.settings.s3_bucket}/pipelines"


def saying(ports: Ports, uow: UnitOfWork) -> Say:
    """The outbox of a transaction."""

    def tell(event: Event) -> None:
        say(uow, event, ports, source=SOURCE)

    return tell


class Parts:
    """What carries runs through: the conductor, its pods, and the desk where steps report."""

    def __init__(self, ports: Ports) -> None:
        assert ports.cluster is not None and ports.blobs is not None
        self._ports, self.specs, settings = ports, Specs(), ports.settings
        self.key = TokenKey(ports.store, "pipelines/token-key", ports.ids.uid() + ports.ids.uid())
        self._site = site(settings)
        self._places = StepPlaces(ports.cluster, ports.clock, self.key.get, self._site)
        making = Making(ports.store, ports.blobs, ports.clock)
        self.files = SignedFiles(ports.blobs, settings.s3_bucket, making)
        self.conductor = Conductor(ports, self.specs, self._pods, settings.s3_bucket)
        self.desk = Desk(ports.store, self.specs, self.conductor)

    def loops(self) -> Sequence[Work]:
        recurring = RecurringLoop(Clockwork(means(self._ports)), self._ports.clock)
        ours = [self.conductor.run, recurring.run, self._housekeeping().run, self._mirror]
        return [*ours, *(one.run for one in self._tracking())]

    async def told_from_here(self) -> None:
        """A system that is named for the first time hears of all that begins from now on, whoever leads."""
        for one in self._tracking():
            await one.begin()
        await asyncio.Event().wait()

    async def _mirror(self) -> None:
        await mirrored(self._ports.store, self._ports.clock, self._ports.ids)
        await asyncio.Event().wait()

    def _housekeeping(self) -> Housekeeping:
        ports, told = self._ports, self._ports.settings
        assert ports.cluster is not None and ports.blobs is not None
        limits = Limits(told.keep_environments_s, told.environments_bytes_max, told.keep_workspaces_s)
        return Housekeeping(ports.store, ports.blobs, ports.cluster, ports.clock, limits)

    def _tracking(self) -> Iterator[Following]:
        """Whom the settings name to be told of runs."""
        store, clock, told = self._ports.store, self._ports.clock, self._ports.settings
        if told.openlineage_url:
            caller = Caller(told.openlineage_url, told.openlineage_api_key)
            yield Following(store, clock, OpenLineage(store, caller, told.openlineage_endpoint))
        if told.mlflow_tracking_uri:
            yield Following(store, clock, MLflow(store, Caller(told.mlflow_tracking_uri, told.mlflow_tracking_token)))

    def _pods(self, conductor: Conductor) -> Pods:
        def heard(uid: str, attempt: int, ended: Ended | None) -> None:
            conductor.hear(Told(uid, attempt, ended=ended))

        def stuck(uid: str, attempt: int, why: str) -> None:
            conductor.hear(Told(uid, attempt, waits=why))

        ports, settings = self._ports, self._ports.settings
        assert ports.cluster is not None
        return Pods(
            ports.cluster,
            ports.clock,
            self._site,
            self._places.ensure,
            heard,
            conductor.order_of,
            limit=settings.steps_max,
            keep_failed_s=settings.keep_failed_s,
            start_patience_s=settings.start_patience_s,
            stuck=stuck,
        )


def site(settings: Any) -> Site:
    """What steps' pods are told of the platform."""
    home = f"{settings.namespace}.svc.cluster.local:8080"
    run_as = {"runAsUser": settings.steps_run_as_user, "runAsGroup": settings.steps_run_as_group}
    return Site(
        url=settings.pipelines_url or f"http://pipelines.{home}",
        gateway=settings.gateway_url or f"http://gateway.{home}",
        launcher=launcher(),
        shares_environments=settings.shares_environments,
        keep_environments_s=settings.keep_environments_s,
        restricted=settings.steps_restricted,
        run_as={name: id for name, id in run_as.items() if id is not None},
    )


def _routers(ports: Ports, parts: Parts) -> Sequence[APIRouter]:
    assert ports.cluster is not None and ports.blobs is not None
    from services.pipelines.api import console, downloads, forks, gates, lineage, pictures, sharing, steps
    from services.pipelines.api.v2beta1.rest import rest

    desks, bucket = means(ports), ports.settings.s3_bucket
    kept = StoredBytes(ports.blobs, bucket, ports.cluster)
    artifacts = Artifacts(desks, kept, parts.key.get, ports.clock, ports.settings.public_url)
    shared = SharedCache(ports.store, parts.specs, ports.blobs, bucket, ports.clock, partial(saying, ports))
    return [
        # The steps' door first: it is asked twice for every step, and routes are tried in this order.
        steps.router(parts.desk, parts.files, parts.key.get),
        rest(desks, artifacts),
        lineage.router(artifacts),
        forks.router(desks, SqlRehearsal(ports.store, ports.clock, bucket, ports.blobs)),
        pictures.router(Pictures(desks)),
        console.router(Spaces(desks)),
        downloads.router(artifacts),
        sharing.router(SharedResults(desks, shared)),
        gates.router(Gates(desks, parts.desk)),
    ]


def means(ports: Ports) -> Means:
    """What the desks of the REST API work with."""

    @asynccontextmanager
    async def begin() -> AsyncIterator[tuple[Needs, Say]]:
        async with ports.store.write() as uow:
            tell = saying(ports, uow)
            catalog = MirroredCatalog(uow, ports.clock, ports.ids)
            yield _needs(ports, uow, catalog, SqlRuns(uow, ports.clock, ports.ids, tell, home(ports))), tell

    @asynccontextmanager
    async def look() -> AsyncIterator[Needs]:
        async with ports.store.read() as reader:
            await reader.last_seq()  # takes the snapshot before the session's first query
            yield _needs(ports, reader, SqlCatalog(reader), ReadRuns(reader))

    async def allow(user: Any, verb: str, plural: str, namespace: str, name: str) -> None:
        kind = Kind(group=RIGHTS, version="v1beta1", kind=plural, plural=plural, singular=plural)
        await ports.resources.allow(user, verb, kind, namespace, name)

    async def may(user: Any, verb: str, plural: str, namespace: str, name: str) -> bool:
        kind = Kind(group="", version="v1", kind=plural, plural=plural, singular=plural)
        return await ports.resources.may(user, verb, kind, namespace, name)

    async def read(document: Document) -> tuple[Pipeline, Document]:
        return await asyncio.to_thread(compiled, document)

    return Means(
        begin, look, allow, may, read, home(ports), ports.settings.default_namespace, ports.settings.exit_timeout_s
    )


def _needs(ports: Ports, reader: Reader, catalog: SqlCatalog, runs: Any) -> Needs:
    lists = SqlRunList(reader), SqlLineage(reader), SqlArtifactList(reader), SqlReleases(reader), SqlJobs(reader)
    return Needs(catalog, runs, *lists, ports.clock, ports.ids)
