"""The trainer's own picture of the registry's model versions: one small table, filled from events alone."""

from collections.abc import Sequence

from sqlalchemy import BigInteger, Column, Text
from sqlmodel import Field, SQLModel, col, select

from libs.store import Key, Store, UnitOfWork
from services.trainer.domain.registered import Version


class ModelVersionRow(SQLModel, table=True):
    __tablename__ = "trainer_model_versions"

    model: str = Field(sa_column=Column(Key, primary_key=True))
    version: str = Field(sa_column=Column(Key, primary_key=True))
    number: int = Field(sa_column=Column(BigInteger, nullable=False))
    namespace: str = Field(sa_column=Column(Key, nullable=False))
    uri: str = Field(sa_column=Column(Text, nullable=False))


class SqlVersions:
    """The Versions port in one transaction; a session is begun only by who asks it for something."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow

    async def put(self, known: Version) -> None:
        await self._uow.session.merge(ModelVersionRow(**vars(known)))
        await self._uow.session.flush()


async def versions_of(store: Store, model: str) -> Sequence[Version]:
    """All known versions of a model, in no order."""
    async with store.read() as reader:
        await reader.last_seq()  # takes the snapshot before the session's first query
        rows = await reader.session.exec(select(ModelVersionRow).where(col(ModelVersionRow.model) == model))
        return [Version(**row.model_dump()) for row in rows]
