"""The RunList and ArtifactList ports: pages of tables that are others' to write."""

from __future__ import annotations

from collections.abc import Sequence

from libs.store import Reader
from services.pipelines.adapters.listing import listed, settled
from services.pipelines.adapters.runs import ARTIFACT_COLUMNS, COLUMNS, artifact_of, run_of
from services.pipelines.adapters.tables_runs import ArtifactRow, RunRow
from services.pipelines.domain.catalog import keys
from services.pipelines.domain.catalog.paging import Page
from services.pipelines.domain.runs import Artifact, Run

NEXT_NAMESPACE = "SELECT MIN(namespace) FROM pipeline_runs WHERE namespace > ?1"
"""One step through the index for each namespace, however many runs there are."""


class SqlRunList:
    """Runs as one transaction sees them, its own changes included."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def list(self, page: Page, **within: str) -> tuple[Sequence[Run], str, int]:
        await settled(self._reader)
        rows, token, total = await listed(self._reader.session, RunRow, keys.RUN, page, **within)
        return [run_of([getattr(row, name) for name in COLUMNS.split(", ")]) for row in rows], token, total

    async def namespaces(self) -> Sequence[str]:
        found = [""]
        while (after := (await self._reader.rows(NEXT_NAMESPACE, found[-1]))[0][0]) is not None:
            found.append(str(after))
        return found[1:]


class SqlArtifactList:
    """Artifacts as one transaction sees them."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def list(self, page: Page, **within: str) -> tuple[Sequence[Artifact], str, int]:
        await settled(self._reader)
        rows, token, total = await listed(self._reader.session, ArtifactRow, keys.ARTIFACT, page, **within)
        names = ["metadata_json" if name == "metadata" else name for name in ARTIFACT_COLUMNS.split(", ")]
        return [artifact_of([getattr(row, name) for name in names]) for row in rows], token, total
