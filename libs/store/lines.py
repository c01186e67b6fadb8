"""A line is one database connection; the store holds its transaction, and sessions for services' own tables share it.

The store's hot statements go to the driver itself: through SQLAlchemy's async layer each statement on SQLite costs
four hops between threads, instead of one for many (measured in benchmarks/store.py).
"""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from libs.base import Unavailable
from libs.store.statements import is_brief

Statement = tuple[str, tuple[Any, ...]]
Rows = list[tuple[Any, ...]]

HOP_EVERY = 128
"""Who runs thousands of brief statements in a row lets others have a turn."""
_AWAY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}


class Line(Protocol):
    """What the store asks of a connection."""

    connection: AsyncConnection

    @property
    def closed(self) -> bool:
        """True once the other side is known to be gone."""
        ...

    async def run(self, statements: Sequence[Statement]) -> Rows:
        """Runs the statements in order and returns the rows of the last one; Unavailable when the database is gone."""
        ...

    async def roll_back(self) -> None:
        """Ends a transaction, if one is open."""
        ...


class SqliteLine:
    """aiosqlite: one thread per connection, so statements that belong together cross over in one hop."""

    def __init__(self, connection: AsyncConnection, driver: Any) -> None:
        self.connection = connection
        self._driver = driver

    @property
    def closed(self) -> bool:
        return False

    async def run(self, statements: Sequence[Statement]) -> Rows:
        raw: sqlite3.Connection = self._driver._conn
        return await self._cross(lambda: _executed(raw, statements))

    async def _cross(self, in_thread: Callable[[], Rows]) -> Rows:
        # aiosqlite has no public call for "run this in the connection's thread"; the conformance suite guards this one.
        try:
            result: Rows = await self._driver._execute(in_thread)
        except sqlite3.OperationalError as error:
            if (told := _told(error)) is not error:
                raise told from error
            raise
        return result

    async def roll_back(self) -> None:
        # In the connection's thread, behind whatever a cancelled task has left there.
        await self._driver.rollback()


class PromptSqliteLine(SqliteLine):
    """Brief statements of an open transaction run at once, where they are asked for: a hop to the thread and back costs
    ten times as much as such a statement (benchmarks/store.py), and nothing that may wait is among them: a lock is
    waited for at BEGIN, the disk at COMMIT.
    """

    def __init__(self, connection: AsyncConnection, driver: Any) -> None:
        super().__init__(connection, driver)
        self._hop = _Hop(is_over=True)
        self._run = 0

    async def run(self, statements: Sequence[Statement]) -> Rows:
        raw: sqlite3.Connection = self._driver._conn
        self._run += 1
        if self._run % HOP_EVERY and self._may_run_here(raw) and all(is_brief(sql) for sql, _ in statements):
            return _tried(raw, statements)
        self._hop = hop = _Hop()
        return await self._cross(lambda: hop.carry(raw, statements))

    def _may_run_here(self, raw: sqlite3.Connection) -> bool:
        return raw.in_transaction and self._hop.is_over


class _Hop:
    """Statements on their way through the thread; a cancelled task leaves them there, and what follows comes later."""

    def __init__(self, is_over: bool = False) -> None:
        self.is_over = is_over

    def carry(self, raw: sqlite3.Connection, statements: Sequence[Statement]) -> Rows:
        try:
            return _executed(raw, statements)
        finally:
            self.is_over = True


def _executed(raw: sqlite3.Connection, statements: Sequence[Statement]) -> Rows:
    rows: Rows = []
    for sql, params in statements:
        rows = raw.execute(sql, params).fetchall()
    return rows


def _tried(raw: sqlite3.Connection, statements: Sequence[Statement]) -> Rows:
    try:
        return _executed(raw, statements)
    except sqlite3.OperationalError as error:
        if (told := _told(error)) is not error:
            raise told from error
        raise


def _told(error: sqlite3.OperationalError) -> Exception:
    """What a caller is told of it."""
    if error.sqlite_errorcode & 0xFF in _AWAY:
        return Unavailable(f"the store cannot be reached: {error}")
    return error


class PostgresLine:
    """asyncpg: statements are prepared once per connection and pipelined by the server's socket buffer."""

    def __init__(self, connection: AsyncConnection, driver: Any) -> None:
        self.connection = connection
        self._driver = driver

    @property
    def closed(self) -> bool:
        return bool(self._driver.is_closed())

    async def roll_back(self) -> None:
        if self.closed:
            raise Unavailable("the store cannot be reached: the connection was lost")
        if self._driver.is_in_transaction():
            await self.run([("ROLLBACK", ())])

    async def run(self, statements: Sequence[Statement]) -> Rows:
        rows: Rows = []
        try:
            for sql, params in statements:
                rows = await self._driver.fetch(_dollars(sql), *params)
        except Exception as error:
            if self.closed:
                raise Unavailable(f"the store cannot be reached: {error}") from error
            raise
        return rows


_DOLLARS: dict[str, str] = {}


def _dollars(sql: str) -> str:
    """The same statement with PostgreSQL's placeholders; no statement has a question mark of its own."""
    if sql not in _DOLLARS:
        _DOLLARS[sql] = sql.replace("?", "$")
    return _DOLLARS[sql]
