"""The registry put together: its table, its REST API and the one fact it listens for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.events.training.v1 import TrainJobSucceeded
from libs.service.app import App, Ports
from libs.service.manifest import load
from libs.service.pipeline import say
from libs.store import Reader, UnitOfWork
from services.registry import api
from services.registry.adapters.records import SqlRecords
from services.registry.handlers.desk import Say
from services.registry.handlers.events import when_train_job_succeeded
from services.registry.ports import Needs

if TYPE_CHECKING:
    from fastapi import APIRouter

HERE = Path(__file__).parent
MIGRATIONS = HERE / "adapters" / "migrations"


def build() -> App:
    return App(
        manifest=load(HERE / "service.yaml"),
        handlers={TrainJobSucceeded: when_train_job_succeeded},
        needs=_needs,
        routers=_routers,
        migrations=MIGRATIONS,
    )


def _needs(ports: Ports, uow: UnitOfWork) -> Needs:
    return _bound(ports, uow)


def _bound(ports: Ports, reader: Reader) -> Needs:
    return Needs(SqlRecords(reader.session), ports.clock, ports.ids)


def _routers(ports: Ports) -> Sequence[APIRouter]:
    @asynccontextmanager
    async def begin() -> AsyncIterator[tuple[Needs, Say]]:
        async with ports.store.write() as uow:
            yield _bound(ports, uow), lambda event: say(uow, event, ports, source="millstream/registry")

    @asynccontextmanager
    async def look() -> AsyncIterator[Needs]:
        async with ports.store.read() as reader:
            await reader.last_seq()  # takes the snapshot before the session's first query
            yield _bound(ports, reader)

    return api.routers(begin, look)
