"""From a URL to lines: `sqlite:///path` or `postgresql://...`; the only module that knows how the databases differ."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import URL, event, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from libs.base import MillstreamError, Unavailable
from libs.store.lines import Line, PostgresLine, PromptSqliteLine, Statement

# One number for the platform: replicas of a service share a database, and its commits are given their seq one by one.
ADVISORY_LOCK = 0x4D494C4C

# FULL: a commit that was answered survives a power cut. The journal is cut back after a burst.
_PRAGMAS = (
    "PRAGMA busy_timeout=30000",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA journal_size_limit=67108864",
)


@dataclass(frozen=True)
class Database:
    """How to connect to and begin on one kind of database."""

    url: URL
    line: Callable[..., Line]
    begin_write: tuple[Statement, ...]
    begin_read: tuple[Statement, ...]

    @property
    def is_sqlite(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

    @property
    def path(self) -> Path | None:
        """The file of a SQLite database."""
        return Path(self.url.database or "") if self.is_sqlite else None

    def engine(self, *, read_only: bool) -> AsyncEngine:
        """An engine without a pool of its own: the store keeps the lines that it needs.

        AUTOCOMMIT keeps SQLAlchemy from sending BEGIN and COMMIT, which are the unit of work's to send.
        """
        engine = create_async_engine(self.url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        if self.is_sqlite:
            pragmas = (*_PRAGMAS, "PRAGMA query_only=ON") if read_only else _PRAGMAS
            event.listen(engine.sync_engine, "connect", _setup(pragmas))
        return engine

    async def connect(self, engine: AsyncEngine) -> Line:
        """A new line; raises Unavailable when the database cannot be reached."""
        try:
            connection = await engine.connect()
        except (OSError, DBAPIError) as error:
            raise Unavailable(f"the store cannot be reached: {error}") from error
        raw = await connection.get_raw_connection()
        return self.line(connection, raw.driver_connection)


def database(url: str) -> Database:
    """Reads a store URL; raises MillstreamError for databases that are neither SQLite files nor PostgreSQL."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database not in (None, "", ":memory:"):
        return _sqlite(parsed.set(drivername="sqlite+aiosqlite"))
    if parsed.get_backend_name() in ("postgresql", "postgres"):
        return _postgres(parsed.set(drivername="postgresql+asyncpg"))
    raise MillstreamError(
        f"store_url {parsed.render_as_string()!r}: use sqlite:///<file> or postgresql://<host>/<name>"
    )


def _sqlite(url: URL) -> Database:
    return Database(url, PromptSqliteLine, (("BEGIN IMMEDIATE", ()),), (("BEGIN", ()),))


def _postgres(url: URL) -> Database:
    # The lock is taken before anything is read, so a writer sees all that earlier seqs did: SQLite's order, kept here.
    lock: Statement = (f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})", ())
    read: Statement = ("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", ())
    return Database(url, PostgresLine, (("BEGIN", ()), lock), (read,))


def _setup(pragmas: tuple[str, ...]) -> Callable[[Any, Any], None]:
    def on_connect(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(pragma)
        cursor.close()

    return on_connect
