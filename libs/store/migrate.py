"""Brings the tables up to date, or sees that they suffice; Alembic is imported only when there is something to do.

A revision either *expands* (old code runs on beside it) or, with `phase = "contract"` in its file, takes away what code
before it used. The database keeps a row a revision that it went through, so that old code, which has no files of newer
revisions, still knows that its own are among them and whether anything was taken from it since.
"""

import asyncio
import fcntl
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from libs.base import MillstreamError
from libs.store import statements as sql
from libs.store.engines import Database
from libs.store.lines import Line

if TYPE_CHECKING:
    from sqlalchemy import Connection

OWN = Path(__file__).parent / "migrations"

PASSED = "schema/"
"""Keys of the meta table: `schema/<revision>` -> `expand` or `contract`."""

_REVISION = re.compile(r"^revision\s*(?::[^=]+)?=\s*[\"'](\w+)[\"']", re.MULTILINE)
_DOWN = re.compile(r"^down_revision\s*(?::[^=]+)?=\s*(.+)$", re.MULTILINE)
_CONTRACT = re.compile(r"^phase\s*=\s*[\"']contract[\"']", re.MULTILINE)


class SchemaMismatch(MillstreamError):
    """The tables are not what this code needs; the message says what to run."""


async def migrate(where: Database, folders: Sequence[Path]) -> bool:
    """Runs what is missing of the store's own and the service's revisions, each folder a branch of its own.

    True when there was something to do. Tables of newer code that only added are left as they are. Processes that open
    the same database meanwhile wait, then find nothing left to do. Raises SchemaMismatch where newer code has taken
    away what this one needs, Unavailable when the database cannot be reached.
    """
    everything = (OWN, *folders)
    async with line_to(where, lock=True) as line:
        if where.is_sqlite:
            await line.run([("PRAGMA journal_mode=WAL", ())])
        if await _suffices(where, line, everything):
            return False
        await line.run(where.begin_write)
        if missing := not await _suffices(where, line, everything):
            # SQLAlchemy is told of a transaction, which is ours: otherwise Alembic would begin and commit its own.
            await line.connection.begin()
            await line.connection.run_sync(upgrade, folders)
            await line.run([(sql.SET_META, (PASSED + name, phase)) for name, phase in _phases(everything).items()])
        await line.run([("COMMIT", ())])
        return missing


async def check(where: Database, folders: Sequence[Path]) -> None:
    """Raises SchemaMismatch unless the tables have at least what this code needs; changes nothing."""
    if where.path is not None and not where.path.exists():
        raise SchemaMismatch(f"the store {where.path} does not exist yet: run the service's `migrate` command first")
    async with line_to(where) as line:
        if not await _suffices(where, line, (OWN, *folders)):
            lacking = ", ".join(sorted(_heads((OWN, *folders)) - await _passed(where, line)))
            raise SchemaMismatch(f"the store's tables lack {lacking}: run the service's `migrate` command first")


@asynccontextmanager
async def line_to(where: Database, *, lock: bool = False, read_only: bool = False) -> AsyncIterator[Line]:
    """A line of its own for one errand; with `lock` no other such errand runs on the same SQLite file."""
    engine = where.engine(read_only=read_only)
    try:
        async with _file_lock(where) if lock else nullcontext():
            line = await where.connect(engine)
            try:
                yield line
            finally:
                await line.connection.close()
    finally:
        await engine.dispose()


def unknown(folders: Sequence[Path], revisions: Sequence[str]) -> list[str]:
    """Which of `revisions` are in none of the folders, nor the store's own."""
    return sorted(set(revisions) - set(_phases((OWN, *folders))))


async def _suffices(where: Database, line: Line, folders: Sequence[Path]) -> bool:
    """Whether the database went through all revisions of `folders`; SchemaMismatch if it also lost some of theirs."""
    wanted, present = _heads(folders), await _present(where, line)
    if wanted == present:
        return True
    taken = await _passed_as(line, "contract") if present else set()
    if beyond := taken - set(_phases(folders)):
        raise SchemaMismatch(
            f"the store's tables are those of newer code, which took away what this one needs ({', '.join(beyond)}):"
            " run the newer code, or restore a backup from before"
        )
    if wanted <= present | (await _passed_as(line, "expand") | taken if present else set()):
        return True
    if unknown := present - set(_phases(folders)):
        raise SchemaMismatch(
            f"the store's tables are partly newer than this code ({', '.join(sorted(unknown))}) and partly older"
            f" ({', '.join(sorted(wanted - present))}): run the `migrate` command of the newest code"
        )
    return False


async def _passed(where: Database, line: Line) -> set[str]:
    present = await _present(where, line)
    return present | (await _passed_as(line, "expand") | await _passed_as(line, "contract") if present else set())


async def _passed_as(line: Line, phase: str) -> set[str]:
    """Revisions of one phase that the database went through; none are noted by code before this one."""
    found = await line.run([("SELECT key FROM meta WHERE key LIKE ?1 AND value = ?2", (PASSED + "%", phase))])
    return {row[0].removeprefix(PASSED) for row in found}


async def _present(where: Database, line: Line) -> set[str]:
    """The newest revisions that the database has; none when it is new."""
    tables = (
        "sqlite_master WHERE name" if where.is_sqlite else "pg_tables WHERE schemaname = current_schema() AND tablename"
    )
    if not await line.run([(f"SELECT 1 FROM {tables} = 'alembic_version'", ())]):
        return set()
    return {row[0] for row in await line.run([("SELECT version_num FROM alembic_version", ())])}


def _texts(folders: Sequence[Path]) -> list[str]:
    return [file.read_text() for folder in folders for file in sorted(folder.glob("*.py"))]


def _phases(folders: Sequence[Path]) -> dict[str, str]:
    """Every revision of the folders and whether it expands or contracts, read from the files' text."""
    texts = _texts(folders)
    return {name: "contract" if _CONTRACT.search(t) else "expand" for t in texts for name in _REVISION.findall(t)}


def _heads(folders: Sequence[Path]) -> set[str]:
    """The newest revision of each branch, read from the files' text: importing Alembic only for this is dear."""
    followed = {
        name for t in _texts(folders) for down in _DOWN.findall(t) for name in re.findall(r"[\"'](\w+)[\"']", down)
    }
    return set(_phases(folders)) - followed


def upgrade(connection: "Connection", folders: Sequence[Path], to: Sequence[str] = ("heads",)) -> None:
    """Runs revisions of the store's own and the given folders up to those in `to`, in a transaction of the caller."""
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("path_separator", "newline")
    config.set_main_option("script_location", _escaped(OWN))
    config.set_main_option("version_locations", "\n".join(_escaped(folder) for folder in (OWN, *folders)))
    scripts = ScriptDirectory.from_config(config)

    def steps(present: Any, _context: Any) -> Any:
        return scripts._upgrade_revs(tuple(to), present)  # type: ignore[arg-type]

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
