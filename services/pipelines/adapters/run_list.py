"""The RunList port: pages of the table of runs, which it must not change."""

from __future__ import annotations

from collections.abc import Sequence

from libs.store import Reader
from services.pipelines.adapters.listing import listed, settled
from services.pipelines.adapters.runs import COLUMNS, run_of
from services.pipelines.adapters.tables_runs import RunRow
from services.pipelines.domain.catalog import keys
from services.pipelines.domain.catalog.paging import Page
from services.pipelines.domain.runs import Run


class SqlRunList:
    """Runs as one transaction sees them, its own changes included."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def list(self, page: Page, **within: str) -> tuple[Sequence[Run], str, int]:
        await settled(self._reader)
        rows, token, total = await listed(self._reader.session, RunRow, keys.RUN, page, **within)
        return [run_of([getattr(row, name) for name in COLUMNS.split(", ")]) for row in rows], token, total
