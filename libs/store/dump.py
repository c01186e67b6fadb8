"""All rows of one database as JSON lines, whatever the database is; knows no table but those it finds."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from libs.store.cells import pack
from libs.store.engines import Database
from libs.store.lines import Line

VERSIONS = "alembic_version"
_PAGE = 500


@dataclass(frozen=True)
class Shape:
    """What must be known of a database before its rows: `revisions` say which code's tables these are."""

    revisions: list[str]
    tables: list[str]
    """In an order in which rows may be inserted."""
    counters: dict[str, int]
    """The last number that each counting table gave out, also to rows that were deleted since."""


async def reflected(line: Line) -> sa.MetaData:
    """The tables that the database has, as it describes them itself."""
    found = sa.MetaData()
    await line.connection.run_sync(lambda connection: found.reflect(connection))
    return found


async def shape(where: Database, line: Line, found: sa.MetaData) -> Shape:
    """The outline of a database whose tables are `found`."""
    names = [table.name for table in found.sorted_tables if table.name != VERSIONS]
    revisions = []
    if VERSIONS in found.tables:
        revisions = sorted(row[0] for row in await line.run([(f"SELECT version_num FROM {VERSIONS}", ())]))
    return Shape(revisions, names, await _counters(where, line, found))


async def rows(line: Line, table: sa.Table) -> AsyncIterator[str]:
    """The names of the columns, then every row, each as one line of JSON without its end."""
    yield json.dumps([column.name for column in table.columns])
    keys = list(table.primary_key.columns)
    chosen = sa.select(*(_as_text(column) if is_json(column) else column for column in table.columns)).order_by(*keys)
    result = await line.connection.stream(chosen)
    names = [f"{table.name}.{column.name}" for column in table.columns]
    async for page in result.partitions(_PAGE):
        for row in page:
            yield json.dumps([pack(value, name) for value, name in zip(row, names, strict=True)])


def is_json(column: sa.Column[Any]) -> bool:
    """JSON travels as the text that the database keeps, so that no number is rounded on the way."""
    return isinstance(column.type, sa.JSON)


def _as_text(column: sa.Column[Any]) -> sa.ColumnElement[str]:
    return sa.cast(column, sa.Text).label(column.name)


async def _counters(where: Database, line: Line, found: sa.MetaData) -> dict[str, int]:
    if where.is_sqlite:
        if not await line.run([("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'", ())]):
            return {}
        return {name: int(last) for name, last in await line.run([("SELECT name, seq FROM sqlite_sequence", ())])}
    counters = {}
    for table, sequence in await sequences(line, found):
        [(last, called)] = await line.run([(f"SELECT last_value, is_called FROM {sequence}", ())])
        counters[table] = int(last) if called else 0
    return counters


async def sequences(line: Line, found: sa.MetaData) -> list[tuple[str, str]]:
    """PostgreSQL's (table, sequence) pairs: one for each column that counts."""
    pairs = []
    for table in found.sorted_tables:
        for column in table.columns:
            asked = ("SELECT pg_get_serial_sequence(?1, ?2)", (f'"{table.name}"', column.name))
            [(sequence,)] = await line.run([asked])
            if sequence:
                pairs.append((table.name, str(sequence)))
    return pairs
