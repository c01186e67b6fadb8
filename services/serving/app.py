"""Serving put together: the InferenceService kind, its reconciler, and the one fact it listens for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from contracts.commands.serving.v1 import ApplyInferenceService, DeleteInferenceService
from contracts.events.registry.v1 import ModelVersionCreated
from contracts.events.scheduling.v1 import WorkloadAdmitted, WorkloadEvicted, WorkloadQueued
from libs.base.workload_images import WorkloadSettings
from libs.resources.reconcile import Reconciler
from libs.service.app import App, Ports
from libs.service.manifest import load
from libs.store import UnitOfWork
from services.serving.adapters.services import StoredServices
from services.serving.adapters.versions import SqlVersions
from services.serving.domain.predictor import KnownVersion
from services.serving.domain.workloads import Surroundings
from services.serving.handlers import when_model_version_created, when_workload_answered
from services.serving.ports import Needs
from services.serving.reconcile.kind import INFERENCESERVICE
from services.serving.reconcile.reconciler import Predictors

if TYPE_CHECKING:
    from fastapi import APIRouter

HERE = Path(__file__).parent
MIGRATIONS = HERE / "adapters" / "migrations"


class ServingSettings(WorkloadSettings):
    """`routes` says how requests reach predictors: by HTTPRoutes of the Gateway API, or `none` where the cluster has no
    such API: then the gateway passes them on itself."""

    routes: Literal["httproute", "none"] = "httproute"


def build() -> App:
    return App(
        manifest=load(HERE / "service.yaml"),
        settings=ServingSettings,
        kinds=(INFERENCESERVICE,),
        handlers={
            ModelVersionCreated: when_model_version_created,
            WorkloadAdmitted: when_workload_answered,
            WorkloadEvicted: when_workload_answered,
            WorkloadQueued: when_workload_answered,
        },
        command_kinds={ApplyInferenceService: INFERENCESERVICE, DeleteInferenceService: INFERENCESERVICE},
        needs=_needs,
        reconcilers=_reconcilers,
        routers=_routers,
        migrations=MIGRATIONS,
    )


def _needs(ports: Ports, uow: UnitOfWork) -> Needs:
    return Needs(SqlVersions(uow), StoredServices(ports.resources.view(uow), INFERENCESERVICE))


def _reconcilers(ports: Ports) -> Sequence[Reconciler]:
    async def lookup(model: str, version: str | None) -> KnownVersion | None:
        async with ports.store.read() as reader:
            await reader.last_seq()  # takes the snapshot before the session's first query
            return await SqlVersions(reader).get(model, version)

    return (Predictors.of(lookup, surroundings(ports.settings)),)


def _routers(ports: Ports) -> Sequence[APIRouter]:
    from services.serving.api import router

    return [router(ports.resources, INFERENCESERVICE, surroundings(ports.settings))]


def surroundings(settings: Any) -> Surroundings:
    """Predictors read models from the platform's S3 store with the platform's keys."""
    storage = {
        "AWS_ENDPOINT_URL": settings.s3_endpoint,
        "AWS_ACCESS_KEY_ID": settings.s3_access_key,
        "AWS_SECRET_ACCESS_KEY": settings.s3_secret_key,
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    given = tuple((name, value) for name, value in storage.items() if value) if settings.s3_endpoint else ()
    return Surroundings(
        settings.public_url,
        settings.namespace,
        storage_env=given,
        image=settings.workload_image("model-server"),
        has_routes=settings.routes == "httproute",
    )
