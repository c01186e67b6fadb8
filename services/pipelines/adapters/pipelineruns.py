"""Makes each PipelineRun a run, once, and keeps its status at what the run says; the run's id is the object's uid, so a
crash between the two makes no second one."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from contracts.kinds.pipelinerun import GROUP, VERSION, PipelineRun
from contracts.queueing import PRIORITY_CLASS, QUEUE_NAME
from libs.base import BadRequest, Conflict, Invalid, NotFound
from libs.resources.kinds import Admission, Column, Kind, Op, Right
from libs.resources.reconcile import Context, Key, Owned, Requeue
from libs.resources.transaction import Transaction
from services.pipelines.adapters.catalog import SqlCatalog
from services.pipelines.adapters.compiling import compiled
from services.pipelines.domain import pipelinerun as pure
from services.pipelines.domain import runs as words
from services.pipelines.domain.catalog import documents, forms
from services.pipelines.domain.catalog.documents import Document
from services.pipelines.domain.catalog.items import ARCHIVED, Experiment, Version
from services.pipelines.domain.catalog.paging import Page
from services.pipelines.domain.ir.problems import SpecError
from services.pipelines.domain.ir.values import run_parameters
from services.pipelines.domain.runs import NewRun, Run
from services.pipelines.handlers import experiments, sources
from services.pipelines.handlers.desk import Means, Say, there
from services.pipelines.ports import Catalog, Needs

Object = dict[str, Any]
WHY_MAX = 80
LOOK_S = 1.0
"""How often a run that goes on is looked at: it lies in the same store, so it costs one row."""


def _admit(obj: Object, old: Object | None, admission: Admission) -> Object:
    return pure.check(obj, old)


def _rights(obj: Object, old: Object | None) -> frozenset[Right]:
    """The service makes its pods, and must not lend that right to who may not."""
    field = pure.lends(obj.get("spec") or {})
    where = obj["metadata"].get("namespace", "")
    return frozenset({Right("create", "", "v1", "pods", where, because=f"spec.{field}")} if field else ())


async def _checked(tx: Transaction, op: Op, obj: Object, old: Object | None) -> Object:
    """Parameters that its pipeline does not take are refused before anything is written; of a pipeline that is not
    there yet nothing can be said: then the object tells it as soon as it should begin."""
    if op != "ADDED":
        return obj
    spec = obj["spec"]
    document = await _document(SqlCatalog(tx.reader), obj["metadata"]["namespace"], spec)
    if document is None:
        return obj
    try:
        pipeline, _ = await asyncio.to_thread(compiled, document)
        run_parameters(pipeline.root, spec.get("parameters") or {})
    except SpecError as error:
        inline = "spec.pipelineSpec" if spec.get("pipelineSpec") else "spec.pipelineRef"
        raise Invalid.about(
            f"pipelineruns.{GROUP}", obj["metadata"]["name"], causes=pure.causes(error, inline)
        ) from None
    return obj


async def _document(catalog: Catalog, namespace: str, spec: Object) -> Document | None:
    """The pipeline that it brings along, or refers to; None for one that is not there."""
    if spec.get("pipelineSpec"):
        return documents.from_json(_sent(spec), "spec")
    named = spec["pipelineRef"]
    pipeline = await catalog.pipelines.find(namespace, named["name"])
    version = await _version(catalog, pipeline.id, named.get("version")) if pipeline else None
    return await catalog.document(version.spec) if version else None


async def _version(catalog: Catalog, pipeline_id: str, name: str | None) -> Version | None:
    if name:
        return await catalog.versions.find(pipeline_id, name)
    newest, _, _ = await catalog.versions.list(Page(1, descending=True), pipeline_id=pipeline_id)
    return next(iter(newest), None)


def _sent(spec: Object) -> Object:
    return {"pipeline_spec": spec["pipelineSpec"], "platform_spec": spec.get("platformSpec") or {}}


def _why(obj: Object, now: datetime) -> str:
    """What failed, as far as a table has room for it."""
    found = [each for each in (obj.get("status") or {}).get("conditions") or [] if each["status"] == "False"]
    text = found[0]["message"].splitlines()[0] if found and found[0]["message"] else ""
    return text if len(text) <= WHY_MAX else f"{text[: WHY_MAX - 3]}..."


PIPELINERUN = Kind(
    group=GROUP,
    version=VERSION,
    kind="PipelineRun",
    plural="pipelineruns",
    singular="pipelinerun",
    model=PipelineRun,
    short_names=("plr",),
    categories=("all", "millstream"),
    columns=(
        Column("State", "string", ".status.state"),
        Column("Why", "string", _why),
        Column("Run", "string", ".status.runId", priority=1),
        Column("Started", "date", ".status.startTime"),
        Column("Completed", "date", ".status.completionTime"),
        Column("Age", "date", ".metadata.creationTimestamp"),
    ),
    finalizer="millstream.dev/workloads",
    admit=_admit,
    keep=_checked,
    rights=_rights,
    events=pure.events,
    description="PipelineRun is one run of a pipeline that was uploaded, or that it brings along as kfp compiled it.",
)


@dataclass(frozen=True)
class PipelineRuns:
    """The reconciler of PipelineRuns, over the same desks as KFP's API."""

    means: Means
    kind: Kind = PIPELINERUN
    owned: tuple[Owned, ...] = ()

    async def reconcile(self, key: Key, ctx: Context) -> Requeue | None:
        obj = await ctx.resources.find(self.kind, key.namespace, key.name)
        if obj is None:
            return None
        if obj["metadata"].get("deletionTimestamp"):
            return await self._end(obj, ctx)
        if pure.is_over(obj):
            return None
        try:
            run = await self._found(obj)
            if run is None and pure.has_begun(obj):
                return await self._write(obj, pure.forgotten(obj), ctx)
            after = pure.status(obj, run or await self._begin(obj))
        except (BadRequest, Invalid, NotFound, Conflict) as error:
            after = pure.refused(obj, error.message)
        return await self._write(obj, after, ctx)

    async def _write(self, obj: Object, after: Object, ctx: Context) -> Requeue | None:
        after = pure.dated(after, ctx.clock.now())
        if after != obj.get("status"):
            meta = obj["metadata"]
            where = (self.kind, meta["namespace"], meta["name"])
            said = pure.said(obj, after)
            await ctx.resources.update_status(*where, after, expect_rv=meta["resourceVersion"], events=said)
        return None if pure.is_over({"status": after}) else Requeue(LOOK_S)

    async def _end(self, obj: Object, ctx: Context) -> Requeue | None:
        """A run that goes on is stopped first; what it was stays in the list of runs."""
        meta = obj["metadata"]
        run = await self._found(obj)
        if run is not None and not run.is_over:
            if run.state != words.CANCELING:
                async with self.means.begin() as (needs, _):
                    await needs.runs.terminate(run.id)
            return Requeue(LOOK_S)
        await ctx.resources.remove_finalizer(self.kind, meta["namespace"], meta["name"], str(self.kind.finalizer))
        return None

    async def _found(self, obj: Object) -> Run | None:
        async with self.means.look() as needs:
            return await needs.runs.get(str(obj["metadata"]["uid"]))

    async def _begin(self, obj: Object) -> Run:
        """Raises ApiError for what can be no run."""
        meta, spec = obj["metadata"], obj["spec"]
        space = meta["namespace"]
        source = await self._source(space, spec)
        labels = meta.get("labels") or {}
        config = forms.RuntimeConfig(
            parameters=spec.get("parameters"),
            pipeline_root=spec.get("pipelineRoot"),
            queue=labels.get(QUEUE_NAME),
            priority_class=labels.get(PRIORITY_CLASS),
            caching=spec.get("caching"),
            fail_fast=spec.get("failFast"),
            timeout_seconds=spec.get("timeoutSeconds"),
            exit_timeout_seconds=spec.get("exitTimeoutSeconds"),
        )
        values = sources.parameters(self.means, source.compiled, config, space)
        async with self.means.begin() as (needs, say):
            if found := await needs.runs.get(meta["uid"]):
                return found
            experiment = await _experiment(needs, say, space, spec.get("experiment") or experiments.DEFAULT)
            made = NewRun(
                namespace=space,
                name=spec.get("displayName") or meta["name"],
                spec=await needs.catalog.keep(source.document),
                pipeline_name=source.compiled.name,
                parameters=values,
                experiment_id=experiment.id,
                service_account=spec.get("serviceAccountName") or "",
                pipeline_id=source.pipeline.id if source.pipeline else "",
                version_id=source.version.id if source.version else "",
                root=sources.root(source.compiled, config),
                options=replace(sources.options(self.means, source.compiled, config), pipeline_run=meta["name"]),
                id=meta["uid"],
            )
            return await needs.runs.create(made)

    async def _source(self, namespace: str, spec: Object) -> sources.Chosen:
        if spec.get("pipelineSpec"):
            return sources.Chosen(*await self.means.check(documents.from_json(_sent(spec)), "spec"))
        name, wanted = spec["pipelineRef"]["name"], spec["pipelineRef"].get("version")
        async with self.means.look() as needs:
            pipeline = there(await needs.catalog.pipelines.find(namespace, name), "pipeline", name)
            found = await _version(needs.catalog, pipeline.id, wanted)
            version: Version = there(found, "pipeline version", wanted or "latest")
            document = there(await needs.catalog.document(version.spec), "compiled pipeline", version.spec)
        return sources.Chosen(*await self.means.check(document), pipeline, version)


async def _experiment(needs: Needs, say: Say, namespace: str, name: str) -> Experiment:
    """Made if there is none of this name. Raises Conflict for one that is archived."""
    found = await needs.catalog.experiments.find(namespace, name) or await experiments.new(needs, say, namespace, name)
    if found.storage_state == ARCHIVED:
        raise Conflict(f"spec.experiment: {name!r} is archived; unarchive it, or choose another")
    return found
