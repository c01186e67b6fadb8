"""Which compiled pipeline a run is of: a version that was uploaded, or what the request itself brings along."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from libs.base.errors import BadRequest
from services.pipelines.domain import queued
from services.pipelines.domain.catalog import borders, documents, forms
from services.pipelines.domain.catalog.documents import Document
from services.pipelines.domain.catalog.items import Pipeline, Version
from services.pipelines.domain.catalog.paging import Page
from services.pipelines.domain.ir.model import Pipeline as Compiled
from services.pipelines.domain.ir.problems import SpecError
from services.pipelines.domain.ir.values import run_parameters
from services.pipelines.domain.runs import RunOptions
from services.pipelines.handlers.desk import Means, refused, there
from services.pipelines.handlers.pipelines import PLURAL
from services.pipelines.ports import Needs


@dataclass(frozen=True)
class Chosen:
    """`version` is None for what the request brought along."""

    compiled: Compiled
    document: Document
    pipeline: Pipeline | None = None
    version: Version | None = None


async def chosen(means: Means, user: Any, form: forms.Source) -> Chosen:
    """Raises BadRequest where there is none or more than one, Invalid for a pipeline that makes no sense."""
    reference = form.pipeline_version_reference or forms.Reference()
    version_id = reference.pipeline_version_id or form.pipeline_version_id or ""
    pipeline_id = reference.pipeline_id or ""
    if bool(version_id or pipeline_id) == (form.pipeline_spec is not None):
        raise BadRequest("pipeline_version_reference, pipeline_spec: send one of the two")
    if form.pipeline_spec is not None:
        return Chosen(*await means.check(documents.from_json(form.pipeline_spec)))
    async with means.look() as needs:
        version = await _version(needs, pipeline_id, version_id)
        pipeline: Pipeline = there(await needs.catalog.pipelines.get(version.pipeline_id), "pipeline", pipeline_id)
        document: Document = there(await needs.catalog.document(version.spec), "compiled pipeline", version.spec)
    await means.allow(user, "get", PLURAL, pipeline.namespace, pipeline.name)
    return Chosen(*await means.check(document), pipeline, version)


def parameters(means: Means, compiled: Compiled, form: forms.RuntimeConfig, namespace: str) -> Mapping[str, Any]:
    """The run's parameters, typed and whole. Raises Invalid for those, for a root and for imports that may not be."""
    given = form.parameters or {}
    documents.check_json(given, "runtime_config.parameters")
    try:
        values = run_parameters(compiled.root, given)
        problems = [*borders.import_problems(compiled, values, means.home, namespace)]
        if wrong := borders.root_problem(root(compiled, form), means.home, namespace):
            problems.append(wrong)
        if problems:
            raise SpecError(problems)
    except SpecError as error:
        raise refused(error) from None
    return values


def root(compiled: Compiled, form: forms.RuntimeConfig) -> str:
    """Where the user wants the outputs; "" leaves it to the platform."""
    return form.pipeline_root or compiled.default_root


def options(means: Means, compiled: Compiled, form: forms.RuntimeConfig) -> RunOptions:
    """Raises BadRequest for names that no queue can have."""
    try:
        queue = queued.options(form.queue or "", form.priority_class or "", compiled.kubernetes)
    except ValueError as error:
        raise BadRequest(str(error)) from None
    timeout_s = float(form.timeout_seconds or 0)
    exits_s = float(form.exit_timeout_seconds or means.exits_s)
    plugins = form.plugins_input.model_dump(exclude_none=True) if form.plugins_input else {}
    own = {"cache": form.caching, "fail_fast": bool(form.fail_fast), "plugins": plugins}
    return replace(queue, **own, timeout_s=timeout_s, exits_s=exits_s)


async def _version(needs: Needs, pipeline_id: str, version_id: str) -> Version:
    """The one that is named, or the newest of the pipeline."""
    if version_id:
        found = await needs.catalog.versions.get(version_id)
        if found is not None and pipeline_id not in ("", found.pipeline_id):
            found = None
    else:
        newest = Page(1, descending=True)
        found = next(iter((await needs.catalog.versions.list(newest, pipeline_id=pipeline_id))[0]), None)
    where = f"version of the pipeline {pipeline_id!r}" if pipeline_id else "pipeline version"
    version: Version = there(found, where, version_id or "latest")
    return version
