"""The pipelines service put together: this is the one place that knows all its parts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts.commands.pipelines.v1 import ApplyPipelineRun, DeletePipelineRun
from contracts.messages import Event
from libs.base.settings import Settings
from libs.resources import Kind
from libs.service.app import App, Ports
from libs.service.manifest import load
from libs.service.pipeline import say
from libs.store import Reader, UnitOfWork
from services.pipelines.adapters.catalog import SqlCatalog
from services.pipelines.adapters.compiling import compiled
from services.pipelines.adapters.pipelineruns import PIPELINERUN, PipelineRuns
from services.pipelines.adapters.run_list import SqlRunList
from services.pipelines.adapters.runs import ReadRuns, SqlRuns
from services.pipelines.handlers.desk import Means
from services.pipelines.ports import Needs

if TYPE_CHECKING:
    from fastapi import APIRouter

    from services.pipelines.domain.catalog.documents import Document
    from services.pipelines.domain.ir.model import Pipeline
    from services.pipelines.handlers.desk import Say

HERE = Path(__file__).parent
SOURCE = "millstream/pipelines"
RIGHTS = "pipelines.kubeflow.org"
"""The API group under which roles name pipelines, experiments, runs and jobs, as KFP's own roles do."""


class PipelinesSettings(Settings):
    """`default_namespace` is where things go that name none: KFP's clients often do not."""

    default_namespace: str = "default"


def build() -> App:
    """The parts of the service; opens nothing."""
    return App(
        manifest=load(HERE / "service.yaml"),
        settings=PipelinesSettings,
        kinds=(PIPELINERUN,),
        command_kinds={ApplyPipelineRun: PIPELINERUN, DeletePipelineRun: PIPELINERUN},
        reconcilers=lambda ports: (PipelineRuns(means(ports)),),
        routers=_routers,
        authorize=_authorize,
        migrations=HERE / "adapters" / "migrations",
    )


def home(ports: Ports) -> str:
    """The URI below which every namespace keeps the outputs of its runs."""
    return f"s3://{ports.settings.s3_bucket}/pipelines"


def saying(ports: Ports, uow: UnitOfWork) -> Say:
    """The outbox of a transaction."""

    def tell(event: Event) -> None:
        say(uow, event, ports, source=SOURCE)

    return tell


def _routers(ports: Ports) -> Sequence[APIRouter]:
    from services.pipelines.api.v2beta1.rest import rest

    return [rest(means(ports))]


def means(ports: Ports) -> Means:
    """What the desks of the REST API work with."""

    @asynccontextmanager
    async def begin() -> AsyncIterator[tuple[Needs, Say]]:
        async with ports.store.write() as uow:
            tell = saying(ports, uow)
            yield _needs(ports, uow, SqlRuns(uow, ports.clock, ports.ids, tell, home(ports))), tell

    @asynccontextmanager
    async def look() -> AsyncIterator[Needs]:
        async with ports.store.read() as reader:
            await reader.last_seq()  # takes the snapshot before the session's first query
            yield _needs(ports, reader, ReadRuns(reader))

    async def allow(user: Any, verb: str, plural: str, namespace: str, name: str) -> None:
        kind = Kind(group=RIGHTS, version="v1beta1", kind=plural, plural=plural, singular=plural)
        await ports.resources.allow(user, verb, kind, namespace, name)

    async def read(document: Document) -> tuple[Pipeline, Document]:
        return await asyncio.to_thread(compiled, document)

    return Means(begin, look, allow, read, home(ports), ports.settings.default_namespace)


def _needs(ports: Ports, reader: Reader, runs: Any) -> Needs:
    return Needs(SqlCatalog(reader), runs, SqlRunList(reader), ports.clock, ports.ids)


def _authorize(ports: Ports) -> Any:
    """None where nobody is asked: the gateway lets only users in, and a laptop has one."""
    if ports.settings.authorization != "cluster" or ports.cluster is None:
        return None
    from libs.service.reviews import Reviews
    from libs.service.rights import cluster_rights

    return cluster_rights(Reviews(ports.cluster.create, ports.clock))
