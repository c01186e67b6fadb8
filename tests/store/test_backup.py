"""A database is dumped at a moment and loaded into an empty one of either kind, row for row, counters and all."""

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from libs.base import SystemClock, SystemIds, Unavailable
from libs.store import Store
from libs.store.dump import Shape, reflected, rows, shape
from libs.store.engines import database
from libs.store.load import NotEmpty, load, state
from libs.store.migrate import SchemaMismatch
from libs.store.moment import at_one_moment
from libs.testing.store import PODS, an_object

REVISION = '''"""Every type that a service might keep."""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = {down}
branch_labels = {labels}
depends_on = None


def upgrade() -> None:
    {step}
'''
ALL_TYPES = """op.create_table(
        "things",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("blob", sa.LargeBinary),
        sa.Column("at", sa.DateTime(timezone=True)),
        sa.Column("naive", sa.DateTime),
        sa.Column("day", sa.Date),
        sa.Column("price", sa.Numeric(20, 6)),
        sa.Column("ratio", sa.Float),
        sa.Column("good", sa.Boolean),
        sa.Column("fields", sa.JSON),
        sqlite_autoincrement=True,
    )"""
CLOCK = SystemClock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "migrations"
    made.mkdir()
    text = REVISION.format(revision="things_0001", down=None, labels='("things",)', step=ALL_TYPES)
    (made / "0001.py").write_text(text)
    return made


async def opened(url: str, *folders: Path) -> Store:
    return await Store.open(url, clock=CLOCK, ids=SystemIds(), migrations=folders)


async def fill(url: str, folder: Path) -> None:
    store = await opened(url, folder)
    async with store.write() as uow:
        await uow.insert(PODS, an_object("ä name with \N{SNOWMAN} and 'quotes'"))
        await uow.set_meta("fact", "value")
        things = sa.Table("things", sa.MetaData(), *columns())
        for number in range(4):
            await uow.session.exec(sa.insert(things).values(**thing(number)))
        await uow.session.exec(sa.delete(things).where(things.c.ratio == 3.25))
    await store.close()


def columns() -> list[Any]:
    return [
        sa.Column("id", sa.Integer, primary_key=True), sa.Column("blob", sa.LargeBinary),
        sa.Column("at", sa.DateTime(timezone=True)), sa.Column("naive", sa.DateTime), sa.Column("day", sa.Date),
        sa.Column("price", sa.Numeric(20, 6)), sa.Column("ratio", sa.Float), sa.Column("good", sa.Boolean),
        sa.Column("fields", sa.JSON),
    ]  # fmt: skip


def thing(number: int) -> dict[str, Any]:
    at = datetime(2026, 11, 22, 10, 0, number, 123456, UTC)
    return {
        "blob": bytes(range(256)) if number else None,
        "at": at,
        "naive": at.replace(tzinfo=None),
        "day": at.date(),
        "price": "12345678.5625",
        "ratio": number + 0.25,
        "good": bool(number % 2),
        "fields": {"deep": [1, 2**62, "ü", None, 0.1]} if number else sa.null(),
    }


async def dumped(url: str) -> tuple[Shape, dict[str, list[str]]]:
    place = database(url)
    async with at_one_moment({"it": place}, CLOCK) as lines:
        found = await reflected(lines["it"])
        outline = await shape(place, lines["it"], found)
        return outline, {name: [row async for row in rows(lines["it"], found.tables[name])] for name in outline.tables}


async def loaded(url: str, folder: Path, outline: Shape, tables: Mapping[str, list[str]], **more: Any) -> int:
    async def nothing(line: Any) -> None:
        return None

    return await load(
        database(url), [folder], outline, tables, change=lambda _, row: row, finish=nothing, **more
    )  # fmt: skip


def plain(tables: Mapping[str, list[str]]) -> dict[str, list[list[Any]]]:
    """What the rows mean: the text of JSON is free to differ, and SQLite keeps moments without their zone."""
    found = {}
    for name, lines in tables.items():
        at = json.loads(lines[0]).index("fields") if name == "things" else None
        cells = [json.loads(line.replace("+00:00", "")) for line in lines]
        for row in cells[1:] if at is not None else []:
            row[at] = json.loads(row[at]) if row[at] else None
        found[name] = cells
    return found


@pytest.mark.parametrize("source", ["sqlite", "postgres"])
@pytest.mark.parametrize("target", ["sqlite", "postgres"])
async def test_every_row_comes_back_in_either_database(
    source: str, target: str, request: pytest.FixtureRequest, tmp_path: Path, folder: Path
):
    postgres = request.getfixturevalue("postgres")
    urls = [
        postgres.new_database() if kind == "postgres" else f"sqlite:///{tmp_path}/{role}.db"
        for role, kind in (("source", source), ("target", target))
    ]
    await fill(urls[0], folder)
    outline, tables = await dumped(urls[0])
    assert len(tables["things"]) == 1 + 3
    assert await state(database(urls[1])) == "empty"
    assert await loaded(urls[1], folder, outline, tables) == sum(len(lines) - 1 for lines in tables.values())
    again, back = await dumped(urls[1])
    assert plain(back) == plain(tables)
    assert again.revisions == outline.revisions == ["store_0001", "things_0001"]
    assert again.counters["things"] == outline.counters["things"] == 4
    store = await opened(urls[1], folder)
    async with store.write() as uow:
        [(number,)] = await uow.rows("INSERT INTO things (ratio) VALUES (9.5) RETURNING id")
        assert number == 5, "a number that a deleted row had is given out again"
        assert (await uow.get(PODS, "default", "ä name with \N{SNOWMAN} and 'quotes'")) is not None
    await store.close()


async def test_a_database_that_is_not_empty_is_left_alone_unless_it_shall_be_cleared(any_url: str, folder: Path):
    await fill(any_url, folder)
    outline, tables = await dumped(any_url)
    with pytest.raises(NotEmpty):
        await loaded(any_url, folder, outline, tables)
    await loaded(any_url, folder, outline, tables, clear=True)
    assert plain((await dumped(any_url))[1]) == plain(tables)


async def test_a_load_that_fails_leaves_the_database_as_it_was(any_url: str, folder: Path):
    await fill(any_url, folder)
    outline, tables = await dumped(any_url)
    torn = {**tables, "things": [*tables["things"], '["torn']}
    with pytest.raises(ValueError, match="Unterminated"):
        await loaded(any_url, folder, outline, torn, clear=True)
    assert plain((await dumped(any_url))[1]) == plain(tables)


async def test_older_code_refuses_and_newer_code_migrates_afterwards(any_url: str, folder: Path, tmp_path: Path):
    await fill(any_url, folder)
    outline, tables = await dumped(any_url)
    step = 'op.add_column("things", sa.Column("owner", sa.Text))'
    (folder / "0002.py").write_text(
        REVISION.format(revision="things_0002", down='"things_0001"', labels=None, step=step)
    )
    newer = f"sqlite:///{tmp_path}/newer.db"
    await loaded(newer, folder, outline, tables)
    assert (await dumped(newer))[0].revisions == ["store_0001", "things_0001"]
    await (await opened(newer, folder)).close()
    outline, tables = await dumped(newer)
    assert outline.revisions == ["store_0001", "things_0002"]
    (folder / "0002.py").unlink()
    with pytest.raises(SchemaMismatch, match=r"of newer code \(things_0002\): restore it with that code"):
        await loaded(f"sqlite:///{tmp_path}/older.db", folder, outline, tables)


async def test_snapshots_of_two_databases_never_show_an_effect_without_its_cause(postgres: Any, tmp_path: Path):
    urls = {"a": f"sqlite:///{tmp_path}/a.db", "b": postgres.new_database()}
    stores = {name: await opened(url) for name, url in urls.items()}
    ending = asyncio.Event()

    async def cause_and_effect() -> int:
        number = 0
        while not ending.is_set():
            number += 1
            for name in ("a", "b"):  # first the cause, then the effect elsewhere
                async with stores[name].write() as uow:
                    await uow.set_meta("number", str(number))
        return number

    async def number(line: Any) -> int:
        found = await line.run([("SELECT value FROM meta WHERE key = 'number'", ())])
        return int(found[0][0]) if found else 0

    writing = asyncio.create_task(cause_and_effect())
    places = {name: database(url) for name, url in urls.items()}
    seen = []
    for _ in range(30):
        async with at_one_moment(places, CLOCK) as lines:
            await asyncio.sleep(0.01)  # what is read later is still of that moment
            seen.append((await number(lines["a"]), await number(lines["b"])))
    ending.set()
    last = await writing
    assert all(cause - effect in (0, 1) for cause, effect in seen), seen
    assert last > seen[-1][0] > seen[0][0], "the writer went on while snapshots were taken"
    for store in stores.values():
        await store.close()


async def test_a_store_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(Unavailable, match="the store of trainer is not there"):
        async with at_one_moment({"trainer": database(f"sqlite:///{tmp_path}/none.db")}, CLOCK):
            pass
    assert not (tmp_path / "none.db").exists()


async def test_a_restored_store_is_known_until_it_is_written_to(any_url: str):
    assert await state(database(any_url)) == "empty"
    store = await opened(any_url)
    async with store.write() as uow:
        await uow.insert(PODS, an_object("a"))
        await uow.set_meta("backup/restored", "archive-1@1")
    assert await state(database(any_url)) == "restored archive-1"
    async with store.write() as uow:
        await uow.insert(PODS, an_object("b"))
    assert await state(database(any_url)) == "used"
    await store.close()
