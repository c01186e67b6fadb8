"""Runs: asked for, looked at, ended, taken up again, archived, deleted. What cannot run is refused before it begins."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from libs.base.errors import BadRequest, Conflict
from services.pipelines.domain.catalog import forms, run_view
from services.pipelines.domain.catalog.items import ARCHIVED, Experiment
from services.pipelines.domain.catalog.paging import Page
from services.pipelines.domain.runs import NewRun, Run
from services.pipelines.handlers import experiments, lending, sources
from services.pipelines.handlers.desk import Means, Object, Say, name_of, there
from services.pipelines.handlers.run_texts import RunTexts
from services.pipelines.ports import Needs

PLURAL = "runs"


@dataclass(frozen=True)
class Runs:
    """Answers as KFP's API does; raises ApiError for whatever is refused."""

    means: Means
    texts: RunTexts

    async def create(self, user: Any, form: forms.RunForm) -> Object:
        new, source = await asked(self.means, user, form)
        async with self.means.begin() as (needs, say):
            experiment = await placed(needs, say, new.namespace, form.experiment_id)
            spec = await needs.catalog.keep(source.document)
            run = await needs.runs.create(replace(new, spec=spec, experiment_id=experiment.id))
            experiment.last_run_ms = run.created_ms
            await needs.catalog.experiments.put(experiment)
        return run_view.shown(run, source.document.shown())

    async def get(self, user: Any, id: str) -> bytes:
        """With all of its tasks, as JSON: it may be large."""
        async with self.means.look() as needs:
            run: Run = there(await needs.runs.get(id), "run", id)
            now = needs.clock.monotonic()
        await self.means.allow(user, "get", PLURAL, run.namespace, run.name)
        return await self.texts.of(run, now)

    async def list(self, user: Any, namespace: str, experiment_id: str, page: Page) -> Object:
        space = await home_of(self.means, experiment_id) if experiment_id else self.means.space(namespace)
        await self.means.allow(user, "list", PLURAL, space, "")
        within = {"experiment_id": experiment_id} if experiment_id else {}
        async with self.means.look() as needs:
            runs, token, total = await needs.run_list.list(page, namespace=space, **within)
        return {"runs": [run_view.shown(run) for run in runs], "total_size": total, "next_page_token": token}

    async def terminate(self, user: Any, id: str) -> Object:
        await self._fetched(user, "terminate", id)
        async with self.means.begin() as (needs, _):
            await needs.runs.terminate(id)
        return {}

    async def retry(self, user: Any, id: str) -> Object:
        await self._fetched(user, "retry", id)
        async with self.means.begin() as (needs, _):
            await needs.runs.retry(id)
        return {}

    async def archive(self, user: Any, id: str, archived: bool) -> Object:
        await self._fetched(user, "archive" if archived else "unarchive", id)
        async with self.means.begin() as (needs, _):
            await needs.runs.archive(id, archived)
        return {}

    async def delete(self, user: Any, id: str) -> Object:
        run = await self._fetched(user, "delete", id)
        async with self.means.begin() as (needs, _):
            if await needs.runs.delete(id):
                await needs.catalog.sweep(run.spec)
        return {}

    async def _fetched(self, user: Any, verb: str, id: str) -> Run:
        async with self.means.look() as needs:
            run: Run = there(await needs.runs.get(id), "run", id)
        await self.means.allow(user, verb, PLURAL, run.namespace, run.name)
        return run


async def asked(means: Means, user: Any, form: forms.RunForm) -> tuple[NewRun, sources.Chosen]:
    """The run that the form asks for, but for what only a transaction can say: its experiment, where its pipeline is
    kept."""
    space = await home_of(means, form.experiment_id)
    await means.allow(user, "create", PLURAL, space, "")
    source = await sources.chosen(means, user, form)
    await lending.check(means, user, space, source.compiled, form.service_account)
    config = form.config
    new = NewRun(
        namespace=space,
        name=name_of(form.display_name, source.compiled.name),
        spec="",
        pipeline_name=source.compiled.name,
        parameters=sources.parameters(means, source.compiled, config, space),
        description=form.description or "",
        service_account=form.service_account or "",
        pipeline_id=source.pipeline.id if source.pipeline else "",
        version_id=source.version.id if source.version else "",
        root=sources.root(source.compiled, config),
        options=sources.options(means, source.compiled, config),
    )
    return new, source


async def home_of(means: Means, experiment_id: str | None) -> str:
    """The namespace of an experiment; without one, that of things that name none."""
    if not experiment_id:
        return means.namespace
    async with means.look() as needs:
        found: Experiment = there(await needs.catalog.experiments.get(experiment_id), "experiment", experiment_id)
    return found.namespace


async def placed(needs: Needs, say: Say, namespace: str, experiment_id: str | None) -> Experiment:
    """The experiment that takes the run. Raises Conflict for one that is archived."""
    if not experiment_id:
        return await experiments.default(needs, say, namespace)
    found: Experiment = there(await needs.catalog.experiments.get(experiment_id), "experiment", experiment_id)
    if found.storage_state == ARCHIVED:
        raise Conflict(f"experiment {found.name!r} is archived: unarchive it, or choose another")
    if found.namespace != namespace:
        raise BadRequest(f"experiment_id: {experiment_id!r} is of the namespace {found.namespace!r}")
    return found
