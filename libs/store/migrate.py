"""Brings the tables up to date when a store opens; Alembic is imported only when there is something to do."""

import asyncio
import fcntl
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from libs.store.engines import Database
from libs.store.lines import Line

if TYPE_CHECKING:
    from sqlalchemy import Connection

OWN = Path(__file__).parent / "migrations"

_REVISION = re.compile(r"^revision\s*(?::[^=]+)?=\s*[\"'](\w+)[\"']", re.MULTILINE)
_DOWN = re.compile(r"^down_revision\s*(?::[^=]+)?=\s*(.+)$", re.MULTILINE)


async def migrate(where: Database, folders: Sequence[Path]) -> None:
    """Runs what is missing of the store's own and the service's revisions, each folder a branch of its own.

    A second process that opens the same database meanwhile waits, then finds nothing left to do.
    """
    wanted = _heads((OWN, *folders))
    engine = where.engine(read_only=False)
    try:
        async with _file_lock(where):
            line = await where.connect(engine)
            try:
                await _bring_up(where, line, wanted, (OWN, *folders))
            finally:
                await line.connection.close()
    finally:
        await engine.dispose()


async def _bring_up(where: Database, line: Line, wanted: set[str], folders: Sequence[Path]) -> None:
    if where.is_sqlite:
        await line.run([("PRAGMA journal_mode=WAL", ())])
    if wanted <= await _present(where, line):
        return
    await line.run(where.begin_write)
    if not wanted <= await _present(where, line):
        # SQLAlchemy is told of a transaction, which is ours: otherwise Alembic would begin and commit its own.
        await line.connection.begin()
        await line.connection.run_sync(_upgrade, folders)
    await line.run([("COMMIT", ())])


async def _present(where: Database, line: Line) -> set[str]:
    """The revisions that the database has; none when it is new."""
    tables = (
        "sqlite_master WHERE name" if where.is_sqlite else "pg_tables WHERE schemaname = current_schema() AND tablename"
    )
    if not await line.run([(f"SELECT 1 FROM {tables} = 'alembic_version'", ())]):
        return set()
    return {row[0] for row in await line.run([("SELECT version_num FROM alembic_version", ())])}


def _heads(folders: Sequence[Path]) -> set[str]:
    """The newest revision of each branch, read from the files' text: importing Alembic only for this is dear."""
    revisions: set[str] = set()
    followed: set[str] = set()
    for file in (file for folder in folders for file in sorted(folder.glob("*.py"))):
        text = file.read_text()
        revisions.update(_REVISION.findall(text))
        for down in _DOWN.findall(text):
            followed.update(re.findall(r"[\"'](\w+)[\"']", down))
    return revisions - followed


def _upgrade(connection: "Connection", folders: Sequence[Path]) -> None:
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("path_separator", "newline")
    config.set_main_option("script_location", _escaped(OWN))
    config.set_main_option("version_locations", "\n".join(_escaped(folder) for folder in folders))
    scripts = ScriptDirectory.from_config(config)

    def steps(present: Any, _context: Any) -> Any:
        return scripts._upgrade_revs("heads", present)

    with EnvironmentContext(config, scripts, fn=steps) as environment:
        environment.configure(connection=connection, transactional_ddl=False)
        environment.run_migrations()


def _escaped(path: Path) -> str:
    return str(path).replace("%", "%%")


@asynccontextmanager
async def _file_lock(where: Database) -> AsyncIterator[None]:
    """For SQLite a lock file: when two processes switch a new file to WAL at once, one fails instead of waiting."""
    if where.path is None:
        yield
        return
    where.path.parent.mkdir(parents=True, exist_ok=True)
    with where.path.with_name(where.path.name + ".lock").open("a") as file:
        if not _locked(file.fileno()):
            await asyncio.to_thread(fcntl.flock, file.fileno(), fcntl.LOCK_EX)
        yield


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
