"""The rows of a dump in an empty database, in one transaction: all of it or nothing; the tables come from revisions.

The tables are made by the same revisions that made those of the dump and not from a description in the archive: so
each database gets its own right types and indexes, newer code finds a database that it knows how to migrate, and older
code, which lacks a revision, refuses.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from libs.base import MillstreamError
from libs.store import migrate
from libs.store import statements as sql
from libs.store.cells import unpack
from libs.store.dump import VERSIONS, Shape, is_json, reflected, sequences
from libs.store.engines import Database
from libs.store.lines import Line

Row = dict[str, Any]
Change = Callable[[str, Row], Row | None]
"""(table, row) -> the row to keep, or None to leave it out."""
RESTORED = "backup/restored"
"""Meta: `<archive>@<last seq>`, which tells a store that was only just restored from one that has been used."""
_BATCH = 200


class NotEmpty(MillstreamError):
    """The database holds something already."""


async def state(where: Database) -> str:
    """`empty`, `restored <archive>` for one that was not written to since, or `used`."""
    if where.path is not None and not where.path.exists():
        return "empty"
    async with migrate.line_to(where) as line:
        found = await reflected(line)
        kept = [table for table in found.sorted_tables if table.name not in (VERSIONS, "meta")]
        if not any([await line.run([(f'SELECT 1 FROM "{table.name}" LIMIT 1', ())]) for table in kept]):
            return "empty"
        if "meta" not in found.tables or "changes" not in found.tables:
            return "used"
        noted = await line.run([(sql.GET_META, (RESTORED,))])
        [(last,)] = await line.run([(sql.LAST_SEQ, ())])
        archive, _, seq = noted[0][0].rpartition("@") if noted else ("", "", "")
        return f"restored {archive}" if archive and seq == str(last) else "used"


async def load(
    where: Database,
    folders: Sequence[Path],
    shape: Shape,
    tables: Mapping[str, Iterable[str]],
    *,
    change: Change,
    finish: Callable[[Line], Awaitable[None]],
    clear: bool = False,
) -> int:
    """Makes the tables and fills them; returns how many rows they got. `finish` is awaited before the commit.

    With `clear` whatever the database holds is dropped first, in the same transaction. Raises SchemaMismatch when the
    dump's tables are of newer code, NotEmpty unless the database is.
    """
    unknown = migrate.unknown(folders, shape.revisions)
    if unknown:
        raise migrate.SchemaMismatch(
            f"the backup's tables are of newer code ({', '.join(unknown)}): restore it with that code"
        )
    if not clear and await state(where) != "empty":
        raise NotEmpty(f"{where.url.render_as_string()} is not empty")
    async with migrate.line_to(where, lock=True) as line:
        if where.is_sqlite:
            await line.run([("PRAGMA journal_mode=WAL", ()), ("PRAGMA foreign_keys=OFF", ())])
        await line.run(where.begin_write)
        await line.connection.begin()
        await line.connection.run_sync((await reflected(line)).drop_all)
        await line.connection.run_sync(migrate.upgrade, folders, shape.revisions)
        found = await reflected(line)
        count = 0
        for name in shape.tables:
            count += await _fill(where, line, found.tables[name], tables[name], change)
        await _count_on(where, line, found, shape.counters)
        await finish(line)
        await line.run([("COMMIT", ())])
    return count


async def _fill(where: Database, line: Line, table: sa.Table, lines: Iterable[str], change: Change) -> int:
    source = iter(lines)
    names = json.loads(next(source))
    statement = sa.insert(table).values({name: _parameter(where, table.c[name]) for name in names})
    kinds = [table.c[name].type for name in names]
    count, batch = 0, list[Row]()
    for text in source:
        cells = zip(names, json.loads(text), kinds, strict=True)
        kept = change(table.name, {name: unpack(cell, kind) for name, cell, kind in cells})
        if kept is not None:
            batch.append({f"v_{name}": value for name, value in kept.items()})
        if len(batch) >= _BATCH:
            await line.connection.execute(statement, batch)
            count, batch = count + len(batch), []
    if batch:
        await line.connection.execute(statement, batch)
    return count + len(batch)


def _parameter(where: Database, column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    if not is_json(column):
        return sa.bindparam(f"v_{column.name}", type_=column.type)
    text: sa.BindParameter[str] = sa.bindparam(f"v_{column.name}", type_=sa.Text())
    return text if where.is_sqlite else sa.cast(text, column.type)


async def _count_on(where: Database, line: Line, found: sa.MetaData, counters: Mapping[str, int]) -> None:
    """Numbers go on behind the last one that was given out, so none is ever given to another row."""
    if where.is_sqlite:
        if await line.run([("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'", ())]):
            for table, last in counters.items():
                await line.run([("DELETE FROM sqlite_sequence WHERE name = ?1", (table,))])
                await line.run([("INSERT INTO sqlite_sequence (name, seq) VALUES (?1, ?2)", (table, last))])
        return
    for table, sequence in await sequences(line, found):
        if counters.get(table):
            await line.run([("SELECT setval(?1::regclass, ?2)", (sequence, counters[table]))])
