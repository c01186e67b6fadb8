"""A page of any table of the catalog or of runs: filtered, sorted and cut in SQL, so that long lists stay cheap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import func, tuple_
from sqlmodel import SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from libs.store import Reader, UnitOfWork
from services.pipelines.domain.catalog.filters import Predicate
from services.pipelines.domain.catalog.paging import Page

R = TypeVar("R", bound=SQLModel)
Columns = Mapping[str, str]
"""From the API's keys to the table's columns."""


async def settled(reader: Reader) -> None:
    """What was written past the session is sent, so that the session sees it."""
    if isinstance(reader, UnitOfWork):
        await reader.flush()


async def listed(
    session: AsyncSession, table: type[R], columns: Columns, page: Page, **within: str
) -> tuple[Sequence[R], str, int]:
    """Rows of the page, the token of the next one ("" at the end), and how many there are in all."""
    where = [col(getattr(table, name)) == value for name, value in within.items()]
    where += [_holds(_column(table, columns[each.key]), each) for each in page.predicates]
    total = (await session.exec(select(func.count()).select_from(table).where(*where))).one()
    sorted_by, id = _column(table, columns[page.sort_by]), col(getattr(table, "id"))  # noqa: B009  any of the tables
    if page.after is not None:
        here = tuple_(sorted_by, id)
        where.append(here < page.after if page.descending else here > page.after)
    order = (sorted_by.desc(), id.desc()) if page.descending else (sorted_by.asc(), id.asc())
    rows = (await session.exec(select(table).where(*where).order_by(*order).limit(page.size + 1))).all()
    if len(rows) <= page.size:
        return rows, "", total
    last = rows[page.size - 1]
    value = getattr(last, columns[page.sort_by])
    return rows[: page.size], page.token(0 if value is None else value, getattr(last, "id")), total  # noqa: B009


def _column(table: type[SQLModel], name: str) -> Any:
    """A time that has not come counts as the epoch, as the API shows it."""
    column: Any = col(getattr(table, name))
    return func.coalesce(column, 0) if column.nullable else column


def _holds(column: Any, asked: Predicate) -> Any:
    value: Any = asked.value
    match asked.operation:
        case "EQUALS":
            return column == value
        case "NOT_EQUALS":
            return column != value
        case "GREATER_THAN":
            return column > value
        case "GREATER_THAN_EQUALS":
            return column >= value
        case "LESS_THAN":
            return column < value
        case "LESS_THAN_EQUALS":
            return column <= value
        case "IN":
            return column.in_(value)
        case _:
            return func.lower(column).contains(value.lower(), autoescape=True)
