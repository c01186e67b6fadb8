"""The Catalog port on the session of one transaction.

A write transaction is alone in its database, so a name that was free a moment ago still is: duplicates are found by
looking, and the tables' constraints only stand guard.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import func
from sqlmodel import SQLModel, col, delete, exists, select
from sqlmodel.ext.asyncio.session import AsyncSession

from libs.base.errors import AlreadyExists
from libs.store import Reader, UnitOfWork, brief
from services.pipelines.adapters.listing import Columns, listed, settled
from services.pipelines.adapters.tables_catalog import ExperimentRow, PipelineRow, RecurringRunRow, SpecRow, VersionRow
from services.pipelines.adapters.tables_runs import RunRow
from services.pipelines.domain.catalog import documents, keys
from services.pipelines.domain.catalog.documents import Document
from services.pipelines.domain.catalog.items import Experiment, Pipeline, RecurringRun, Version
from services.pipelines.domain.catalog.paging import Page
from services.pipelines.domain.runs import ACTIVE

T = TypeVar("T", Pipeline, Version, Experiment, RecurringRun)
_JSON = ("tags", "trigger", "runtime_config")
TIMETABLE = brief(
    "SELECT (SELECT MIN(due_ms) FROM recurring_runs), (SELECT MIN(due_ms) FROM recurring_runs WHERE due_ms > ?1)"
)
"""When the first is due, and the first after a moment: asked for every second, so not in a session."""


@dataclass(frozen=True)
class _Kind(Generic[T]):
    """`parent` is the column that a name is unique in, with the word for people; None where names may repeat."""

    item: type[T]
    table: type[SQLModel]
    columns: Columns
    word: str
    parent: str | None
    remedy: str = ""
    """What to do when the name is taken."""


PIPELINES = _Kind(
    Pipeline, PipelineRow, keys.PIPELINE, "pipeline", "namespace", ": choose another name, or upload a version of it"
)
VERSIONS = _Kind(Version, VersionRow, keys.VERSION, "version of the pipeline", "pipeline_id")
EXPERIMENTS = _Kind(Experiment, ExperimentRow, keys.EXPERIMENT, "experiment", "namespace")
RECURRING = _Kind(RecurringRun, RecurringRunRow, keys.RECURRING_RUN, "recurring run", None)


class SqlShelf(Generic[T]):
    """One table; every call sees what earlier calls of the same transaction wrote."""

    def __init__(self, session: AsyncSession, kind: _Kind[T]) -> None:
        self._session = session
        self._kind: _Kind[T] = kind

    async def get(self, id: str) -> T | None:
        row = await self._session.get(self._kind.table, id)
        return None if row is None else self.item(row)

    async def find(self, parent: str, name: str) -> T | None:
        assert self._kind.parent is not None
        column = col(getattr(self._kind.table, self._kind.parent))
        named = col(getattr(self._kind.table, "name"))  # noqa: B009  any of the tables
        row = (await self._session.exec(select(self._kind.table).where(column == parent, named == name))).first()
        return None if row is None else self.item(row)

    async def add(self, item: T) -> T:
        parent = self._kind.parent
        if parent is not None and await self.find(getattr(item, parent), item.name) is not None:
            taken = f"a {self._kind.word} named {item.name!r} already exists in {getattr(item, parent)!r}"
            raise AlreadyExists(f"{taken}{self._kind.remedy}")
        self._session.add(self._kind.table(**_flat(item)))
        await self._session.flush()
        return item

    async def put(self, item: T) -> T:
        row = await self._session.get(self._kind.table, item.id)
        assert row is not None
        for name, value in _flat(item).items():
            setattr(row, name, value)
        await self._session.flush()
        return item

    async def delete(self, id: str) -> None:
        row = await self._session.get(self._kind.table, id)
        if row is not None:
            await self._session.delete(row)
            await self._session.flush()

    async def list(self, page: Page, **within: str) -> tuple[Sequence[T], str, int]:
        rows, token, total = await listed(self._session, self._kind.table, self._kind.columns, page, **within)
        return [self.item(row) for row in rows], token, total

    def item(self, row: SQLModel) -> T:
        told = row.model_dump()
        item: T = self._kind.item(**{name: json.loads(v) if name in _JSON else v for name, v in told.items()})
        return item


class SqlCatalog:
    """All shelves of one transaction, and the compiled pipelines that what is on them refers to."""

    def __init__(self, reader: Reader) -> None:
        session = reader.session
        self._reader, self._session = reader, session
        self.pipelines = SqlShelf(session, PIPELINES)
        self.versions = SqlShelf(session, VERSIONS)
        self.experiments = SqlShelf(session, EXPERIMENTS)
        self.recurring = SqlShelf(session, RECURRING)

    async def keep(self, document: Document) -> str:
        digest = document.digest
        if await self._session.get(SpecRow, digest) is None:
            self._session.add(SpecRow(digest=digest, body=document.text()))
            await self._session.flush()
        return digest

    async def document(self, digest: str) -> Document | None:
        row = await self._session.get(SpecRow, digest)
        return None if row is None else documents.stored(row.body)

    async def due(self, now_ms: int, limit: int) -> Sequence[RecurringRun]:
        if (first := (await self._reader.rows(TIMETABLE, now_ms))[0][0]) is None or first > now_ms:
            return []
        due, mine = col(RecurringRunRow.due_ms), col(RunRow.recurring_run_id) == RecurringRunRow.id
        active = select(func.count()).select_from(RunRow).where(mine, col(RunRow.state).in_(ACTIVE)).scalar_subquery()
        query = select(RecurringRunRow).where(due <= now_ms, active < RecurringRunRow.max_concurrency)
        query = query.order_by(due, col(RecurringRunRow.id)).limit(limit)
        return [self.recurring.item(row) for row in await self._session.exec(query)]

    async def next_due(self, now_ms: int) -> int | None:
        found: int | None = (await self._reader.rows(TIMETABLE, now_ms))[0][1]
        return found

    async def number(self, id: str) -> int:
        key = f"recurring/{id}/runs"
        number = int(await self._reader.meta(key) or 0) + 1
        assert isinstance(self._reader, UnitOfWork)
        await self._reader.set_meta(key, str(number))
        return number

    async def sweep(self, digest: str) -> None:
        await settled(self._reader)
        used = [exists().where(col(table.spec) == digest) for table in (VersionRow, RecurringRunRow, RunRow)]
        await self._session.exec(delete(SpecRow).where(col(SpecRow.digest) == digest, *(~each for each in used)))


def _flat(item: Any) -> dict[str, Any]:
    return {name: json.dumps(value) if name in _JSON else value for name, value in asdict(item).items()}
