"""The Records port on the session of one unit of work.

A write transaction is alone in its database, so a name that was free a moment ago still is: duplicates are found by
looking, and the table's constraints only stand guard.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import tuple_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from services.registry.adapters.tables import RecordRow
from services.registry.domain.errors import duplicate
from services.registry.domain.paging import Page, token_after
from services.registry.domain.records import NO_PARENT, WORDS, Family, Record

COLUMNS = {"ID": "id", "CREATE_TIME": "created_ms", "LAST_UPDATE_TIME": "updated_ms", "NAME": "name"}


class SqlRecords:
    """Records as rows; every call sees what earlier calls of the same transaction wrote."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def get(self, family: Family, id: int) -> Record | None:
        return await self._first(select(RecordRow).where(RecordRow.family == family, RecordRow.id == id))

    async def find(
        self,
        family: Family,
        *,
        name: str | None = None,
        parent: int | None = None,
        external_id: str | None = None,
        artifact_type: str | None = None,
    ) -> Record | None:
        wanted = {"name": name, "parent": parent, "external_id": external_id, "artifact_type": artifact_type}
        return await self._first(_where(family, wanted).order_by(col(RecordRow.id)))

    async def of_job(self, job_uid: str) -> Record | None:
        return await self._first(select(RecordRow).where(RecordRow.job_uid == job_uid))

    async def names(self, family: Family, parent: int) -> list[str]:
        query = select(RecordRow.name).where(RecordRow.family == family, RecordRow.parent == parent)
        return list(await self._session.exec(query))

    async def add(self, record: Record) -> Record:
        await self._check_free(record)
        row = RecordRow(**{**asdict(record), "id": None})
        self._session.add(row)
        await self._session.flush()
        assert row.id is not None
        record.id = row.id
        return record

    async def put(self, record: Record) -> Record:
        await self._check_free(record)
        row = await self._session.get(RecordRow, record.id)
        assert row is not None
        for name, value in asdict(record).items():
            setattr(row, name, value)
        await self._session.flush()
        return record

    async def list(
        self, family: Family, page: Page, *, parent: int | None = None, artifact_type: str | None = None
    ) -> tuple[Sequence[Record], str]:
        column, id = col(getattr(RecordRow, COLUMNS[page.order_by])), col(RecordRow.id)
        query = _where(family, {"parent": parent, "artifact_type": artifact_type})
        if page.after is not None:
            here = tuple_(column, id)
            query = query.where(here < page.after if page.descending else here > page.after)
        order = (column.desc(), id.desc()) if page.descending else (column.asc(), id.asc())
        rows = (await self._session.exec(query.order_by(*order).limit(page.size + 1))).all()
        shown = [_record(row) for row in rows[: page.size]]
        if len(rows) <= page.size:
            return shown, ""
        last = rows[page.size - 1]
        return shown, token_after(page, getattr(last, COLUMNS[page.order_by]), last.id or 0)

    async def _first(self, query: SelectOfScalar[RecordRow]) -> Record | None:
        row = (await self._session.exec(query.limit(1))).first()
        return None if row is None else _record(row)

    async def _check_free(self, record: Record) -> None:
        same_name = await self.find(record.family, name=record.name, parent=record.parent)
        if same_name is not None and same_name.id != record.id:
            where = "" if record.parent == NO_PARENT else f" of {record.parent}"
            raise duplicate(f"{WORDS[record.family]} {record.name!r}{where}")
        if record.external_id is None:
            return
        same_id = await self.find(record.family, external_id=record.external_id)
        if same_id is not None and same_id.id != record.id:
            raise duplicate(f"{WORDS[record.family]} with externalId {record.external_id!r}")


def _where(family: Family, wanted: dict[str, Any]) -> SelectOfScalar[RecordRow]:
    query = select(RecordRow).where(RecordRow.family == family)
    for name, value in wanted.items():
        if value is not None:
            query = query.where(getattr(RecordRow, name) == value)
    return query


def _record(row: RecordRow) -> Record:
    return Record(**row.model_dump())
