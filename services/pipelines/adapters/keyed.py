"""Rows for many keys, in as few queries as databases take parameters for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from libs.store import Reader

AT_ONCE = 500


async def rows_for(reader: Reader, query: str, keys: Iterable[str], *before: Any) -> list[Any]:
    """`{keys}` stands in the query where the keys go, behind the parameters `before`; each key counts once."""
    wanted, found = sorted({*keys}), list[Any]()
    for begin in range(0, len(wanted), AT_ONCE):
        some = wanted[begin : begin + AT_ONCE]
        marks = ", ".join(f"?{len(before) + number}" for number in range(1, len(some) + 1))
        found += await reader.rows(query.format(keys=marks), *before, *some)
    return found
