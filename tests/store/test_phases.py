"""Old and new code share one database while an upgrade rolls: revisions only add, unless they say `contract`."""

from pathlib import Path

import pytest

from libs.base import SystemClock, SystemIds
from libs.store import Store
from libs.store.migrate import OWN, SchemaMismatch
from libs.testing.store import PODS, an_object
from tests.store.schemas import breaks

SERVICES = Path(__file__).resolve().parents[2] / "services"
FOLDERS = sorted(SERVICES.glob("*/adapters/migrations"))

REVISION = '''"""A step."""

import sqlalchemy as sa
from alembic import op

revision = "note_{number:04}"
down_revision = {down}
branch_labels = {labels}
depends_on = None
{phase}

def upgrade() -> None:
    {step}
'''
CREATE = 'op.create_table("notes", sa.Column("id", sa.Integer, primary_key=True), sa.Column("text", sa.Text))'
WIDEN = 'op.add_column("notes", sa.Column("author", sa.Text))'
NARROW = 'op.drop_column("notes", "text")'
BREAKING = {
    "drops or renames the column notes.text": NARROW,
    "drops or renames the table notes": 'op.rename_table("notes", "remarks")',
    "adds notes.author as NOT NULL": (
        'op.execute("CREATE TABLE n (id INTEGER PRIMARY KEY, text TEXT, author TEXT NOT NULL)");'
        ' op.drop_table("notes"); op.rename_table("n", "notes")'
    ),
    "makes notes(text) unique": 'op.create_index("one", "notes", ["text"], unique=True)',
    "makes notes.text VARCHAR(10)": (
        'op.execute("CREATE TABLE n (id INTEGER PRIMARY KEY, text VARCHAR(10))");'
        ' op.drop_table("notes"); op.rename_table("n", "notes")'
    ),
}


def revisions(folder: Path, *steps: str, contract: bool = False) -> Path:
    """A branch of revisions; with `contract` the last one takes away."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, step in enumerate((CREATE, *steps), 1):
        last = number == len(steps) + 1
        text = REVISION.format(
            number=number,
            down=None if number == 1 else f'"note_{number - 1:04}"',
            labels='("note",)' if number == 1 else None,
            phase='phase = "contract"\n' if contract and last else "",
            step=step,
        )
        (folder / f"{number:04}.py").write_text(text)
    return folder


async def opened(url: str, *folders: Path, bring_up: bool = True) -> Store:
    return await Store.open(url, clock=SystemClock(), ids=SystemIds(), migrations=folders, bring_up=bring_up)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.parents[1].name)
def test_no_revision_of_a_service_breaks_the_code_before_it(folder: Path, tmp_path: Path):
    assert list(breaks([OWN, folder], f"sqlite:///{tmp_path}/step.db")) == []


@pytest.mark.parametrize("told", BREAKING)
def test_a_revision_that_takes_something_away_is_refused_unless_it_says_so(told: str, tmp_path: Path):
    said = revisions(tmp_path / "said", BREAKING[told], contract=True)
    unsaid = revisions(tmp_path / "unsaid", BREAKING[told])
    assert list(breaks([OWN, said], f"sqlite:///{tmp_path}/said.db")) == []
    found = list(breaks([OWN, unsaid], f"sqlite:///{tmp_path}/unsaid.db"))
    assert len(found) == 1
    assert told in found[0]
    assert found[0].startswith("note_0002 ")


def test_adding_columns_and_tables_breaks_nobody(tmp_path: Path):
    steps = (WIDEN, 'op.create_table("more", sa.Column("id", sa.Integer, nullable=False))')
    assert list(breaks([OWN, revisions(tmp_path / "m", *steps)], f"sqlite:///{tmp_path}/step.db")) == []


async def test_old_code_opens_and_uses_the_tables_of_newer_code(any_url: str, tmp_path: Path):
    old, new = revisions(tmp_path / "old"), revisions(tmp_path / "new", WIDEN)
    await (await opened(any_url, new)).close()
    for bring_up in (True, False):
        store = await opened(any_url, old, bring_up=bring_up)
        async with store.write() as uow:
            await uow.insert(PODS, an_object(f"by-old-{bring_up}"))
            await uow.rows("INSERT INTO notes (id, text) VALUES (?1, ?2)", int(bring_up), "old")
        await store.close()
    store = await opened(any_url, new, bring_up=False)
    async with store.read() as reader:
        assert await reader.rows("SELECT version_num FROM alembic_version WHERE version_num LIKE 'note%'") == [
            ("note_0002",)
        ]
    await store.close()


async def test_old_code_refuses_tables_from_which_newer_code_took_something(any_url: str, tmp_path: Path):
    old, new = revisions(tmp_path / "old"), revisions(tmp_path / "new", WIDEN, NARROW, contract=True)
    await (await opened(any_url, new)).close()
    for bring_up in (True, False):
        with pytest.raises(SchemaMismatch, match=r"took away what this one needs \(note_0003\): run the newer code"):
            await opened(any_url, old, bring_up=bring_up)
    await (await opened(any_url, new, bring_up=False)).close()


async def test_without_migrating_a_store_with_older_tables_is_refused_with_what_to_run(any_url: str, tmp_path: Path):
    with pytest.raises(SchemaMismatch, match="run the service's `migrate` command first"):
        await opened(any_url, bring_up=False)
    await (await opened(any_url, revisions(tmp_path / "old"))).close()
    new = revisions(tmp_path / "new", WIDEN)
    with pytest.raises(SchemaMismatch, match="lack note_0002: run the service's `migrate` command first"):
        await opened(any_url, new, bring_up=False)
    store = await opened(any_url, bring_up=False)
    async with store.read() as reader:
        assert await reader.rows("SELECT id, text FROM notes") == []
    await store.close()
