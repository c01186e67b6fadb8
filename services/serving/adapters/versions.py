"""Serving's projection of the registry's model versions: one small table, filled from events alone."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Text
from sqlmodel import Field, SQLModel, col, select

from libs.store import Key, Reader
from services.serving.domain.predictor import KnownVersion


class KnownVersionRow(SQLModel, table=True):
    __tablename__ = "known_versions"

    model: str = Field(sa_column=Column(Key, primary_key=True))
    version: str = Field(sa_column=Column(Key, primary_key=True))
    number: int = Field(sa_column=Column(BigInteger, nullable=False))
    uri: str = Field(sa_column=Column(Text, nullable=False))
    format: str = Field(sa_column=Column(Text, nullable=False))


class SqlVersions:
    """The Versions port in one transaction; a session is begun only by who asks it for something."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def put(self, known: KnownVersion) -> None:
        row = KnownVersionRow(
            model=known.model, version=known.version, number=known.number, uri=known.uri, format=known.format
        )
        await self._reader.session.merge(row)
        await self._reader.session.flush()

    async def get(self, model: str, version: str | None) -> KnownVersion | None:
        query = select(KnownVersionRow).where(KnownVersionRow.model == model)
        if version is not None:
            query = query.where(KnownVersionRow.version == version)
        newest_first = query.order_by(col(KnownVersionRow.number).desc()).limit(1)
        row = (await self._reader.session.exec(newest_first)).first()
        return None if row is None else KnownVersion(**row.model_dump())
