"""One value of a table as JSON that any database can read back; what JSON cannot say carries its type."""

import base64
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from libs.base import MillstreamError


class Unportable(MillstreamError):
    """A value or a column that another database could not hold; the message names it."""


def pack(value: Any, what: str) -> Any:
    """Texts, numbers, booleans and None as they are, other types as `{type: text}`. Raises Unportable naming `what`."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return {"float": repr(value)}  # also nan and inf, which JSON lacks
    if isinstance(value, bytes | memoryview):
        return {"bytes": base64.b64encode(bytes(value)).decode()}
    if isinstance(value, datetime):
        return {"datetime": value.isoformat()}
    if isinstance(value, date | time):
        return {type(value).__name__: value.isoformat()}
    if isinstance(value, Decimal | UUID):
        return {type(value).__name__.lower(): str(value)}
    raise Unportable(f"{what}: a {type(value).__name__} cannot be kept in a backup")


def unpack(cell: Any, kind: sa.types.TypeEngine[Any]) -> Any:
    """The value again, as a column of `kind` wants it. Raises Unportable for what no backup holds."""
    if not isinstance(cell, dict):
        return cell
    [(name, text)] = cell.items()
    if name == "datetime":
        return _at(datetime.fromisoformat(text), kind)
    if name not in _READ:
        raise Unportable(f"a value of the unknown type {name!r}: the archive is of newer code")
    return _READ[name](text)


_READ: dict[str, Callable[[str], Any]] = {
    "float": float,
    "bytes": base64.b64decode,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "decimal": Decimal,
    "uuid": UUID,
}


def _at(moment: datetime, kind: sa.types.TypeEngine[Any]) -> datetime:
    """SQLite keeps no offsets; what has none is in UTC everywhere on the platform."""
    if getattr(kind, "timezone", False):
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
