"""Versions and endpoints as rows, filled from the registry's and serving's events alone; what is gone stays known for
as long as something that it stood for is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from libs.store import Reader, UnitOfWork, brief
from services.pipelines.adapters.keyed import rows_for
from services.pipelines.domain.releases import ENDPOINT, REGISTRY, VERSION, Release, plain

COLUMNS = "kind, id, revision, namespace, name, uri, body"
PUT = brief(
    f"INSERT INTO pipeline_releases ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) "
    "ON CONFLICT (kind, id, revision) DO UPDATE SET uri = excluded.uri, body = excluded.body"
)
GONE = "gone"
"""The kind of a row that says that an endpoint is no more: also to what is heard of it afterwards."""
MARK = f"UPDATE pipeline_releases SET body = 'marked' WHERE kind = '{GONE}'"
"""An hour before they may go: what is told late of them has come by then."""
MARKED = (
    "SELECT gone.id, told.uri FROM pipeline_releases gone LEFT JOIN pipeline_releases told "
    f"ON told.kind = '{ENDPOINT}' AND told.id = gone.id WHERE gone.kind = '{GONE}' AND gone.body = 'marked'"
)
MADE = "SELECT uri FROM pipeline_artifacts WHERE uri IN ({keys})"
MADE_BY_JOBS = "SELECT model_uri FROM pipeline_jobs WHERE model_uri IN ({keys})"
NAMED_SO = (
    f"SELECT '{REGISTRY}' || name FROM pipeline_releases WHERE kind = '{VERSION}' "
    f"AND ('{REGISTRY}' || name) IN ({{keys}})"
)
DROP = f"DELETE FROM pipeline_releases WHERE kind IN ('{ENDPOINT}', '{GONE}') AND id = ?1"
IS_GONE = f"EXISTS (SELECT 1 FROM pipeline_releases gone WHERE gone.kind = '{GONE}' AND gone.id = told.id)"
SELECT = f"SELECT {COLUMNS}, {IS_GONE} FROM pipeline_releases told WHERE"
NAMED = f"{SELECT} kind = ?1 AND namespace = ?2 AND name = ?3"
VERSIONS = f"{SELECT} kind = ?1 AND name = ?2"
AT = f"{SELECT} uri IN ({{keys}})"


class SqlReleases:
    """The Releases port; `reader` is a transaction that writes for who notes something."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def note(self, release: Release) -> None:
        assert isinstance(self._reader, UnitOfWork)
        where = (release.namespace, release.name, release.uri, json.dumps(dict(release.body)))
        await self._reader.later(PUT, release.kind, release.id, release.revision, *where)

    async def note_gone(self, namespace: str, name: str, id: str) -> None:
        assert isinstance(self._reader, UnitOfWork)
        await self._reader.later(PUT, GONE, id, "", namespace, name, "", "{}")

    async def unneeded(self) -> Sequence[str]:
        """The ids of endpoints that are gone and stood for nothing that is known here."""
        rows = [(str(id), uri or "") for id, uri in await self._reader.rows(MARKED)]
        places = {place for _, uri in rows if uri for place in (uri, f"{uri}/")}
        found = [await rows_for(self._reader, query, places) for query in (MADE, MADE_BY_JOBS, NAMED_SO)]
        known = {plain(str(uri)) for many in found for (uri,) in many}
        return sorted({id for id, _ in rows} - {id for id, uri in rows if uri in known})

    async def drop(self, ids: Iterable[str]) -> None:
        """Those go, and what is gone now may be unneeded when it is looked next."""
        assert isinstance(self._reader, UnitOfWork)
        for id in ids:
            await self._reader.later(DROP, id)
        await self._reader.later(MARK)

    async def versions(self, name: str) -> Sequence[Release]:
        return [_release(row) for row in await self._reader.rows(VERSIONS, VERSION, name)]

    async def endpoints(self, namespace: str, name: str) -> Sequence[Release]:
        return [_release(row) for row in await self._reader.rows(NAMED, ENDPOINT, namespace, name)]

    async def at(self, uris: Iterable[str]) -> Sequence[Release]:
        return [_release(row) for row in await rows_for(self._reader, AT, {*uris} - {""})]


def _release(row: Sequence[Any]) -> Release:
    kind, id, revision, namespace, name, uri, body, gone = row
    return Release(kind, id, revision, namespace, name, uri, json.loads(body), kind == ENDPOINT and bool(gone))
