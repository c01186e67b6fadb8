"""Tables come from revisions, the store's own and the service's, and they are the tables that the code describes."""

import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlmodel import Field, SQLModel, select

from libs.base import MillstreamError, SystemClock, SystemIds
from libs.store import Store
from libs.store.engines import database
from libs.testing.store import PODS, an_object

OWN_TABLES = {"objects", "changes", "inbox", "leases", "meta"}

REVISION = '''"""A service's own table."""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = {down}
branch_labels = {labels}
depends_on = None


def upgrade() -> None:
    {step}
'''
CREATE = 'op.create_table("store_test_note", sa.Column("id", sa.Integer, primary_key=True), sa.Column("text", sa.Text))'
WIDEN = 'op.add_column("store_test_note", sa.Column("author", sa.Text))'


class Note(SQLModel, table=True):
    __tablename__ = "store_test_note"

    id: int | None = Field(default=None, primary_key=True)
    text: str = ""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "50% migrations"
    made.mkdir()
    text = REVISION.format(revision="note_0001", down=None, labels='("note",)', step=CREATE)
    (made / "0001_note.py").write_text(text)
    return made


async def opened(url: str, *migrations: Path) -> Store:
    return await Store.open(url, clock=SystemClock(), ids=SystemIds(), migrations=migrations)


async def test_the_revisions_make_the_tables_that_the_classes_describe(any_url: str):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    def differences(connection: sa.Connection) -> list[object]:
        only = {"include_name": lambda name, kind, _: kind != "table" or name in OWN_TABLES, "compare_type": True}
        own = sa.MetaData()
        for table in OWN_TABLES:
            SQLModel.metadata.tables[table].to_metadata(own)
        return compare_metadata(MigrationContext.configure(connection, opts=only), own)

    await (await opened(any_url)).close()
    engine = database(any_url).engine(read_only=False)
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


async def test_a_service_keeps_its_own_tables_in_the_same_transaction(any_url: str, folder: Path):
    store = await opened(any_url, folder)
    async with store.write() as uow:
        uow.session.add(Note(text="one"))
        await uow.insert(PODS, an_object("a"))
    with pytest.raises(ZeroDivisionError):
        async with store.write() as uow:
            uow.session.add(Note(text="two"))
            await uow.session.flush()
            await uow.insert(PODS, an_object("b"))
            raise ZeroDivisionError
    async with store.read() as reader:
        assert [n.text for n in (await reader.session.exec(select(Note))).all()] == ["one"]
        assert len(await reader.list(PODS)) == 1
    await store.close()


async def test_a_session_is_usable_again_and_again(any_url: str, folder: Path):
    store = await opened(any_url, folder)
    for n in range(3):
        async with store.write() as uow:
            uow.session.add(Note(text=str(n)))
            await uow.session.flush()
            found = await uow.session.exec(select(Note))
            assert len(found.all()) == n + 1
        async with store.read() as reader:
            assert len((await reader.session.exec(select(Note))).all()) == n + 1
    await store.close()


async def test_a_new_revision_is_run_when_the_store_opens_again(any_url: str, folder: Path):
    await (await opened(any_url)).close()
    await (await opened(any_url, folder)).close()
    (folder / "0002_author.py").write_text(
        REVISION.format(revision="note_0002", down='"note_0001"', labels=None, step=WIDEN)
    )
    store = await opened(any_url, folder)
    async with store.read() as reader:
        assert await reader.rows("SELECT author FROM store_test_note") == []
        assert sorted(await reader.rows("SELECT version_num FROM alembic_version")) == [
            ("note_0002",),
            ("store_0001",),
        ]
    await store.close()


async def test_a_failing_revision_changes_nothing(any_url: str, folder: Path):
    (folder / "0002_bad.py").write_text(
        REVISION.format(revision="note_0002", down='"note_0001"', labels=None, step="op.drop_table('not_there')")
    )
    with pytest.raises(sa.exc.DBAPIError):
        await opened(any_url, folder)
    (folder / "0002_bad.py").unlink()
    store = await opened(any_url, folder)
    async with store.read() as reader:
        assert await reader.rows("SELECT text FROM store_test_note") == []
    await store.close()


def test_opening_an_up_to_date_store_imports_no_alembic(sqlite_url: str):
    script = (
        "import asyncio, sys\n"
        "from libs.base import SystemClock, SystemIds\n"
        "from libs.store import Store\n"
        "async def main():\n"
        "    store = await Store.open(sys.argv[1], clock=SystemClock(), ids=SystemIds())\n"
        "    await store.close()\n"
        "asyncio.run(main())\n"
        "print('alembic' in sys.modules, 'asyncpg' in sys.modules)"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", script, sqlite_url], check=True, capture_output=True, text=True, timeout=60
        ).stdout.strip()
        for _ in range(2)
    ]
    assert said == ["True False", "False False"]


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://127.0.0.1/x"])
async def test_a_database_that_cannot_be_shared_is_refused_with_what_to_do(url: str):
    with pytest.raises(MillstreamError, match="use sqlite:///<file> or postgresql://"):
        await opened(url)
