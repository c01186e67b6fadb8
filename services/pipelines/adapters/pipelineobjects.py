"""The kinds Pipeline and PipelineVersion: what is applied becomes a row of the catalog in the same transaction, and
what is refused as an upload is refused here.

The rows are the truth; the objects follow them, by `mirror`, when something changes over REST.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from contracts.events.pipelines import v1 as said
from contracts.kinds import pipeline as wire
from libs.base import milliseconds
from libs.base.errors import Cause, Invalid
from libs.resources.kinds import Admission, Column, Kind, Op
from libs.resources.transaction import Beforehand, Transaction
from services.pipelines.adapters.catalog import SqlCatalog
from services.pipelines.adapters.compiling import compiled
from services.pipelines.domain.catalog import documents, objects
from services.pipelines.domain.catalog.documents import Document
from services.pipelines.domain.catalog.items import Pipeline, Version
from services.pipelines.domain.catalog.paging import Page
from services.pipelines.domain.ir.problems import SpecError
from services.pipelines.handlers.desk import refused

Object = dict[str, Any]
COMPILED_MAX = 8
_compiled: dict[str, Document] = {}
"""By the digest of what was sent, those last used at the end: between an apply's two tries, and of equal ones."""


async def _pipeline_kept(tx: Transaction, op: Op, obj: Object, old: Object | None) -> Object:
    catalog = SqlCatalog(tx.reader)
    found = await catalog.pipelines.get(obj["metadata"]["uid"])
    if op == "DELETED":
        if found is not None and not tx.dry_run:
            await _forget(tx, catalog, found)
        return obj
    if found is None and op == "MODIFIED":
        return obj
    wanted = objects.pipeline_of(obj, *(found.created_ms, found.name) if found else (milliseconds(tx.now),))
    if found == wanted or tx.dry_run:
        return obj
    if found is None:
        await catalog.pipelines.add(wanted)
        tx.say([said.PipelineCreated(**_about(wanted, wanted.namespace))])
    else:
        await catalog.pipelines.put(wanted)
        tx.say([said.PipelineUpdated(**_about(wanted, wanted.namespace))])
    return obj


async def _version_kept(tx: Transaction, op: Op, obj: Object, old: Object | None) -> Object:
    catalog = SqlCatalog(tx.reader)
    found = await catalog.versions.get(obj["metadata"]["uid"])
    if op == "DELETED":
        if found is not None and not tx.dry_run:
            below = await catalog.pipelines.get(found.pipeline_id)
            await _drop(tx, catalog, found, below.namespace if below else obj["metadata"]["namespace"])
        return obj
    if op == "MODIFIED":
        return await _changed(tx, catalog, obj, found)
    return obj if found is not None else await _new_version(tx, catalog, obj)


async def _new_version(tx: Transaction, catalog: SqlCatalog, obj: Object) -> Object:
    space, spec = obj["metadata"]["namespace"], obj["spec"]
    owner = await tx.find(PIPELINE, space, spec["pipelineName"])
    below = await catalog.pipelines.get(owner["metadata"]["uid"]) if owner else None
    if below is None:
        told = f"there is no Pipeline {spec['pipelineName']!r} in the namespace {space!r}: apply it first"
        raise _invalid(obj, Cause("spec.pipelineName", told))
    document = await _read(spec)
    version = objects.version_of(obj, below.id, document.digest, milliseconds(tx.now))
    if not tx.dry_run:
        await catalog.keep(document)
        await catalog.versions.add(version)
        tx.say([said.PipelineVersionCreated(pipeline=below.id, spec=version.spec, **_about(version, space))])
    return objects.belonging(obj, below, spec["pipelineName"])


async def _changed(tx: Transaction, catalog: SqlCatalog, obj: Object, found: Version | None) -> Object:
    below = await catalog.pipelines.get(found.pipeline_id) if found else None
    if found is None or below is None:
        return obj
    if not _owners(obj):
        told = "a version goes with its Pipeline: delete it in the background, or in the foreground"
        raise _invalid(obj, Cause("metadata.ownerReferences", told))
    wanted = objects.version_of(obj, found.pipeline_id, found.spec, found.created_ms, found.name)
    wanted.package_url = found.package_url
    if wanted != found and not tx.dry_run:
        await catalog.versions.put(wanted)
        tx.say([said.PipelineVersionUpdated(pipeline=below.id, **_about(wanted, below.namespace))])
    return obj


async def _read(spec: Object) -> Document:
    """Compiled, which takes seconds for the largest, so that it is done before the transaction and remembered for it.
    Raises Invalid naming every field that is wrong, as for an upload."""
    sent = documents.from_json(
        {"pipeline_spec": spec["pipelineSpec"], "platform_spec": spec.get("platformSpec") or {}}, "spec"
    )
    key = sent.digest
    if (known := _compiled.pop(key, None)) is None:
        raise Beforehand(partial(_compile, key, sent))
    _compiled[key] = known
    return known


async def _compile(key: str, sent: Document) -> None:
    try:
        made = (await asyncio.to_thread(compiled, sent))[1]
    except SpecError as error:
        raise refused(error, "spec.pipelineSpec") from None
    while len(_compiled) >= COMPILED_MAX:
        _compiled.pop(next(iter(_compiled)), None)
    _compiled[key] = made


async def _forget(tx: Transaction, catalog: SqlCatalog, pipeline: Pipeline) -> None:
    while (found := await catalog.versions.list(Page(), pipeline_id=pipeline.id))[0]:
        for version in found[0]:
            await _drop(tx, catalog, version, pipeline.namespace)
    await catalog.pipelines.delete(pipeline.id)
    tx.say([said.PipelineDeleted(**_about(pipeline, pipeline.namespace))])


async def _drop(tx: Transaction, catalog: SqlCatalog, version: Version, namespace: str) -> None:
    await catalog.versions.delete(version.id)
    await catalog.sweep(version.spec)
    tx.say([said.PipelineVersionDeleted(pipeline=version.pipeline_id, **_about(version, namespace))])


def _admit_pipeline(obj: Object, old: Object | None, admission: Admission) -> Object:
    if causes := [*objects.misnamed(obj)]:
        raise _invalid(obj, *causes)
    return obj


def _admit_version(obj: Object, old: Object | None, admission: Admission) -> Object:
    if causes := [*objects.misnamed(obj)]:
        raise _invalid(obj, *causes)
    if old is None:
        return {**obj, "status": objects.READY}
    if causes := [*objects.unchanging(obj, old)]:
        raise _invalid(obj, *causes)
    meta = obj["metadata"]
    if not _owners(obj):  # who replaces need not know
        meta = {**meta, "ownerReferences": [*(meta.get("ownerReferences") or []), *_owners(old)]}
    return {**obj, "metadata": meta}


def _owners(obj: Object) -> list[Object]:
    """The Pipeline that a version is of, as its ownerReferences tell it."""
    return [each for each in obj["metadata"].get("ownerReferences") or [] if objects.is_of_pipeline(each)]


def _invalid(obj: Object, *causes: Cause) -> Invalid:
    return Invalid.about(f"{obj['kind'].lower()}s.{wire.GROUP}", obj["metadata"].get("name") or "", causes=list(causes))


def _about(item: Pipeline | Version, namespace: str) -> dict[str, Any]:
    return {"namespace": namespace, "name": item.name, "uid": item.id}


PIPELINE = Kind(
    group=wire.GROUP,
    version=wire.VERSION,
    kind="Pipeline",
    plural="pipelines",
    singular="pipeline",
    model=wire.Pipeline,
    categories=("all", "millstream"),
    columns=(
        Column("Display Name", "string", ".spec.displayName"),
        Column("Description", "string", ".spec.description", priority=1),
        Column("Age", "date", ".metadata.creationTimestamp"),
    ),
    status_subresource=False,
    admit=_admit_pipeline,
    keep=_pipeline_kept,
    description="Pipeline is a name under which the versions of a compiled pipeline are kept.",
)
PIPELINE_VERSION = Kind(
    group=wire.GROUP,
    version=wire.VERSION,
    kind="PipelineVersion",
    plural="pipelineversions",
    singular="pipelineversion",
    model=wire.PipelineVersion,
    categories=("all", "millstream"),
    columns=(
        Column("Pipeline", "string", ".spec.pipelineName"),
        Column("Display Name", "string", ".spec.displayName"),
        Column("Age", "date", ".metadata.creationTimestamp"),
    ),
    admit=_admit_version,
    keep=_version_kept,
    description="PipelineVersion is a pipeline as kfp compiled it; runs refer to it, so it never changes.",
)
