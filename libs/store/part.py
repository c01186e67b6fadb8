"""One writer's share of a transaction that several share: it can be taken back without touching what came before it."""

from __future__ import annotations

from collections.abc import Sequence

from sqlmodel.ext.asyncio.session import AsyncSession

from libs.base import Clock, rfc3339_micro
from libs.store import statements as sql
from libs.store.change import Change
from libs.store.lines import Line, Statement
from libs.store.unit import UnitOfWork

SAVE: Statement = (sql.SAVE, ())
RELEASE: Statement = (sql.RELEASE, ())
TAKE_BACK: Statement = (sql.TAKE_BACK, ())


class Part(UnitOfWork):
    """The first of a transaction begins it and has nothing before it to be kept; each that follows stands behind a
    savepoint, which whoever is before it has set when it was released.
    """

    def __init__(self, line: Line, begin: tuple[Statement, ...], clock: Clock, before: Part | None) -> None:
        super().__init__(line, begin if before is None else (), clock)
        self.before = before
        self._released = False

    @property
    def session(self) -> AsyncSession:
        """In a savepoint of its own, since a session that fails takes back all that it is bound to."""
        if self._session is None:
            connection = self._line.connection.sync_connection
            if connection is not None and not connection.in_transaction():
                connection.begin()  # in SQLAlchemy's books alone: BEGIN was sent already
            self._session = AsyncSession(
                bind=self._line.connection, join_transaction_mode="create_savepoint", expire_on_commit=False
            )
        return self._session

    async def begin(self) -> None:
        if self.before is None:
            await super().begin()
        else:
            self._seq, self._at = self.before._seq, rfc3339_micro(self._clock.now())

    async def release(self) -> None:
        """Sends all that is left of it, so that what fails of it fails now and alone; the next may begin."""
        await self._settle_session()
        ends = [RELEASE, SAVE] if self.before else [SAVE]
        await self._line.run([*self._pending, *self._rows(), *ends])
        self._pending, self._released = [], True

    async def take_back(self) -> None:
        """Undoes it and nothing else; the next may begin."""
        self._pending.clear()
        await self.close()
        await self._line.run([TAKE_BACK])

    async def close(self) -> None:
        """Its session ends; what that has not sent is forgotten."""
        if self._session is not None:
            await self._session.close()

    async def let_go(self) -> None:
        """After the end of the transaction: SQLAlchemy's books are closed too."""
        await self._close_session()

    def _rows(self) -> list[Statement]:
        return [] if self._released else super()._rows()

    async def _settle_session(self) -> None:
        if self._session is not None and not self._released:
            await self._session.commit()
            await self._session.close()


async def commit(shared: Sequence[Part]) -> list[Change]:
    """Ends the transaction of all of them well, and returns their changes in order."""
    await shared[-1].commit()
    for part in shared:
        await part.let_go()
    return [change for part in shared for change in part._changes]
