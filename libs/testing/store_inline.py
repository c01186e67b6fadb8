"""SQLite without its thread, for simulations: a statement runs where it is asked for and answers a moment later.

The moment is drawn by the caller, so that the order of events is the caller's. It must not be used for anything that
measures or that needs a power cut survived: nothing is synced.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiosqlite
from sqlalchemy import URL, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from libs.store.engines import Database
from libs.store.lines import SqliteLine
from libs.testing.loop import Life

Latency = Callable[[], float]
"""How long, in seconds of the loop, the next call to the database takes."""

Fails = Callable[[], bool]
"""Whether the next call finds the disk failing; it then has no effect."""

_BUSY_AGAIN_S = 0.005
_PRAGMAS = ("PRAGMA busy_timeout=0", "PRAGMA synchronous=OFF", "PRAGMA foreign_keys=ON")


class _Hand:
    """Stands where aiosqlite has its queue and its thread."""

    daemon = True

    def __init__(self, latency: Latency, fails: Fails, life: Life) -> None:
        self._latency, self._fails, self._life = latency, fails, life

    def start(self) -> None:
        """There is no thread to start."""

    def put_nowait(self, item: tuple["asyncio.Future[Any] | None", Callable[[], Any]]) -> None:
        future, function = item
        loop = asyncio.get_running_loop()
        if self._life.dead:
            loop.call_soon(_fail, future, sqlite3.ProgrammingError("closed database of a process that was killed"))
            return
        if not _closes(function) and self._fails():
            loop.call_later(self._latency(), _fail, future, _disk_error())
            return
        try:
            result = function()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                loop.call_later(_BUSY_AGAIN_S, self.put_nowait, item)
            else:
                loop.call_later(self._latency(), _fail, future, error)
        except Exception as error:
            loop.call_later(self._latency(), _fail, future, error)
        else:
            if isinstance(result, sqlite3.Connection):
                self._life.hold(partial(_let_go, result))
            loop.call_later(self._latency(), _answer, future, result)


def _let_go(raw: sqlite3.Connection) -> None:
    """A cursor that a dead task still holds would keep a file open, and its lock with it."""
    with suppress(sqlite3.Error):
        raw.rollback()
    raw.close()


def _closes(function: Callable[[], Any]) -> bool:
    """Letting go of a file always works; a lock that was never given back would be this double's fault."""
    asked = function.func if isinstance(function, partial) else function
    return getattr(asked, "__name__", "") in ("close", "close_and_stop")


def _disk_error() -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("disk I/O error, thrown in")
    error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_IOERR, "SQLITE_IOERR"
    return error


def _answer(future: "asyncio.Future[Any] | None", result: Any) -> None:
    if future is not None and not future.done():
        future.set_result(result)


def _fail(future: "asyncio.Future[Any] | None", error: BaseException) -> None:
    if future is not None and not future.done():
        future.set_exception(error)


class _Connection(aiosqlite.Connection):
    def __init__(self, file: str, latency: Latency, fails: Fails, life: Life) -> None:
        super().__init__(lambda: sqlite3.connect(file), 64)
        hand: Any = _Hand(latency, fails, life)
        self._tx = self._thread = hand

    def __del__(self) -> None:
        """The file is closed with the process that held it; there is no thread to end."""


@dataclass(frozen=True)
class InlineDatabase(Database):
    """A SQLite file as one process of a simulation sees it; when `life` is killed its transactions are gone."""

    file: Path
    latency: Latency
    fails: Fails
    life: Life

    @property
    def path(self) -> Path | None:
        """None: file times are the machine's, so who waits for other replicas asks the table instead."""
        return None

    def engine(self, *, read_only: bool) -> AsyncEngine:
        def creator(*_: Any, **__: Any) -> aiosqlite.Connection:
            return _Connection(str(self.file), self.latency, self.fails, self.life)

        engine = create_async_engine(
            self.url, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args={"async_creator_fn": creator}
        )
        pragmas = (*_PRAGMAS, "PRAGMA query_only=ON") if read_only else _PRAGMAS
        event.listen(engine.sync_engine, "connect", lambda connection, _: _set_up(connection, pragmas))
        return engine


def _set_up(connection: Any, pragmas: tuple[str, ...]) -> None:
    cursor = connection.cursor()
    for pragma in pragmas:
        cursor.execute(pragma)
    cursor.close()


def never() -> bool:
    """A disk that does not fail."""
    return False


def inline(file: Path, *, latency: Latency, life: Life, fails: Fails = never) -> InlineDatabase:
    """Give it to `Store.on`."""
    url = URL.create("sqlite+aiosqlite", database=str(file))
    return InlineDatabase(url, SqliteLine, (("BEGIN IMMEDIATE", ()),), (("BEGIN", ()),), file, latency, fails, life)
