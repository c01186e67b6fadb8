"""Writes the objects Pipeline and PipelineVersion after the catalog's rows, in the same transaction; and once for rows
of before there were such objects."""

from __future__ import annotations

from typing import Any

from libs.base import Clock, Ids
from libs.resources.transaction import Transaction
from libs.store import Store, UnitOfWork
from services.pipelines.adapters.catalog import PIPELINES, VERSIONS, SqlCatalog, SqlShelf
from services.pipelines.adapters.ledger import SOURCE
from services.pipelines.adapters.pipelineobjects import PIPELINE, PIPELINE_VERSION
from services.pipelines.domain.catalog import objects
from services.pipelines.domain.catalog.items import Pipeline, Version

Object = dict[str, Any]
NAMED = "SELECT name FROM objects WHERE resource = ?1 AND namespace = ?2 AND replace(body, ?3, '') <> body"
"""The name is its maker's choice, so what cannot be guessed is looked for."""
SOME = "SELECT id FROM {table} WHERE id > ?1 ORDER BY id LIMIT 20"
DONE = "pipelines/objects"


class Mirror:
    """Of one transaction that writes."""

    def __init__(self, uow: UnitOfWork, clock: Clock, ids: Ids) -> None:
        self._uow, self._catalog = uow, SqlCatalog(uow)
        self._tx = Transaction(uow, clock, ids, SOURCE, False)

    async def make(self, item: Pipeline | Version) -> None:
        await self._tx.insert(_kind(item), await self._wanted(item))

    async def put(self, item: Pipeline | Version) -> None:
        found = await self._found(item)
        if found is None:
            return await self.make(item)
        wanted = await self._wanted(item)
        if found.get("spec") != wanted["spec"]:
            meta = found["metadata"]
            meta = {**meta, "generation": int(meta.get("generation") or 0) + 1}
            # The pipeline itself stays as it was applied: the row has it in KFP's canonical form.
            same = {name: found["spec"][name] for name in objects.FIXED if name in found["spec"]}
            spec = {**{k: v for k, v in wanted["spec"].items() if k not in objects.FIXED}, **same}
            await self._tx.update(_kind(item), {**found, "metadata": meta, "spec": spec}, found)

    async def drop(self, item: Pipeline | Version) -> None:
        """Whoever deletes a pipeline over REST has deleted its versions before."""
        if (found := await self._found(item)) is not None:
            await self._tx.remove(_kind(item), found)

    async def _wanted(self, item: Pipeline | Version) -> Object:
        if isinstance(item, Pipeline):
            return objects.pipeline_object(item, await self._free(item, item))
        below = await self._catalog.pipelines.get(item.pipeline_id)
        document = await self._catalog.document(item.spec)
        assert below is not None and document is not None, "a version is kept with both"
        owner = await self._found(below)
        named = owner["metadata"]["name"] if owner else objects.plain_name(below)
        return objects.version_object(item, below, named, document, await self._free(item, below))

    async def _free(self, item: Pipeline | Version, below: Pipeline) -> str:
        plain = objects.plain_name(below, item if isinstance(item, Version) else None)
        if objects.is_name(plain):
            taken = await self._tx.find(_kind(item), below.namespace, plain)
            if taken is None or taken["metadata"]["uid"] == item.id:
                return plain
        return objects.made_name(plain, item.id)

    async def _found(self, item: Pipeline | Version) -> Object | None:
        below = item if isinstance(item, Pipeline) else await self._catalog.pipelines.get(item.pipeline_id)
        if below is None:
            return None
        kind, space = _kind(item), below.namespace
        plain = objects.plain_name(below, item if isinstance(item, Version) else None)
        obj = await self._tx.find(kind, space, plain)
        if obj is not None and obj["metadata"]["uid"] == item.id:
            return obj
        rows = await self._uow.rows(NAMED, kind.resource, space, f'"uid":"{item.id}"')
        for (name,) in rows:
            obj = await self._tx.find(kind, space, str(name))
            if obj is not None and obj["metadata"]["uid"] == item.id:
                return obj
        return None


class MirroredShelf(SqlShelf[Any]):
    """A shelf whose items are objects, too."""

    mirror: Mirror

    async def add(self, item: Any) -> Any:
        made = await super().add(item)
        await self.mirror.make(made)
        return made

    async def put(self, item: Any) -> Any:
        made = await super().put(item)
        await self.mirror.put(made)
        return made

    async def delete(self, id: str) -> None:
        item = await self.get(id)
        await super().delete(id)
        if item is not None:
            await self.mirror.drop(item)


class MirroredCatalog(SqlCatalog):
    """The catalog for whoever changes it over REST."""

    def __init__(self, uow: UnitOfWork, clock: Clock, ids: Ids) -> None:
        super().__init__(uow)
        pipelines, versions = MirroredShelf(uow.session, PIPELINES), MirroredShelf(uow.session, VERSIONS)
        pipelines.mirror = versions.mirror = Mirror(uow, clock, ids)
        self.pipelines, self.versions = pipelines, versions


async def mirrored(store: Store, clock: Clock, ids: Ids) -> None:
    """Makes the objects of rows that have none, a few in each transaction; a home of today has nothing to do."""
    async with store.read() as reader:
        if await reader.meta(DONE):
            return
    for table in ("pipelines", "pipeline_versions"):
        last: str | None = ""
        while last is not None:
            last = await _some(store, clock, ids, table, last)
    async with store.write() as uow:
        await uow.set_meta(DONE, "1")


async def _some(store: Store, clock: Clock, ids: Ids, table: str, after: str) -> str | None:
    async with store.write() as uow:
        kind = PIPELINE if table == "pipelines" else PIPELINE_VERSION
        rows = await uow.rows(SOME.format(table=table), after)
        catalog, mirror = SqlCatalog(uow), Mirror(uow, clock, ids)
        for (id,) in rows:
            shelf: SqlShelf[Any] = catalog.pipelines if kind is PIPELINE else catalog.versions
            if (item := await shelf.get(str(id))) is not None:
                await mirror.put(item)
        return str(rows[-1][0]) if rows else None


def _kind(item: Pipeline | Version) -> Any:
    return PIPELINE if isinstance(item, Pipeline) else PIPELINE_VERSION
