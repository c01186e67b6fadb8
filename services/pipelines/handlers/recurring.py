"""Recurring runs as clients ask for them; whatever would fail at the first start is refused when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from contracts.events.pipelines import v1 as events
from services.pipelines.domain.catalog import documents, forms, macros, schedules
from services.pipelines.domain.catalog.filters import Predicate
from services.pipelines.domain.catalog.items import DISABLED, ENABLED, RecurringRun
from services.pipelines.domain.catalog.paging import SIZE_MAX, Page
from services.pipelines.domain.catalog.schedules import Schedule
from services.pipelines.domain.ir.problems import Problem, SpecError
from services.pipelines.domain.runs import ACTIVE
from services.pipelines.handlers import lending, runs, sources
from services.pipelines.handlers.desk import Means, Object, name_of, refused, there
from services.pipelines.handlers.disabling import about, disable
from services.pipelines.handlers.sources import Chosen
from services.pipelines.ports import Needs

PLURAL = "jobs"
CONCURRENCY_MAX = 10
NEVER, SOME_RUN = datetime(2000, 1, 1, tzinfo=UTC), "00000000-0000-4000-8000-000000000000"
"""What macros are filled with where only the rest of a parameter is looked at."""
_MODES = {"ENABLE": ENABLED, 1: ENABLED, None: ENABLED, "DISABLE": DISABLED, 2: DISABLED}


@dataclass(frozen=True)
class Recurring:
    """Answers as KFP's API does; raises ApiError for whatever is refused."""

    means: Means

    async def create(self, user: Any, form: forms.RecurringRunForm) -> Object:
        space = await runs.home_of(self.means, form.experiment_id) if form.experiment_id else None
        space = space or self.means.space(form.namespace)
        await self.means.allow(user, "create", PLURAL, space, "")
        schedule, status, concurrency = _settings(form)
        source = await sources.chosen(self.means, user, form)
        await lending.check(self.means, user, space, source.compiled, form.service_account)
        config = form.config
        sources.options(self.means, source.compiled, config)
        documents.check_json(config.parameters or {}, "runtime_config.parameters")
        sample = macros.Moment(NEVER, NEVER, 1, SOME_RUN)
        sources.parameters(self.means, source.compiled, expanded(config, sample), space)
        async with self.means.begin() as (needs, say):
            experiment = await runs.placed(needs, say, space, form.experiment_id)
            made = await _new(needs, form, source, (space, experiment.id))
            made.status, made.max_concurrency = status, concurrency
            made.due_ms = schedule.first(made.created_ms) if status == ENABLED else None
            await needs.catalog.recurring.add(made)
            say(events.RecurringRunCreated(**about(made)))
        return made.shown(source.document.shown())

    async def get(self, user: Any, id: str) -> Object:
        found = await self._fetched(user, "get", id)
        async with self.means.look() as needs:
            document = await needs.catalog.document(found.spec) if found.spec else None
        return found.shown(document.shown() if document else None)

    async def list(self, user: Any, namespace: str, experiment_id: str, page: Page) -> Object:
        space = await runs.home_of(self.means, experiment_id) if experiment_id else self.means.space(namespace)
        await self.means.allow(user, "list", PLURAL, space, "")
        within = {"experiment_id": experiment_id} if experiment_id else {}
        async with self.means.look() as needs:
            items, token, total = await needs.catalog.recurring.list(page, namespace=space, **within)
        return {"recurringRuns": [item.shown() for item in items], "total_size": total, "next_page_token": token}

    async def enable(self, user: Any, id: str) -> Object:
        """Goes on behind the last moment that it started a run for: what was missed is caught up with, unless it is
        told not to."""
        await self._fetched(user, "enable", id)
        async with self.means.begin() as (needs, say):
            found: RecurringRun = there(await needs.catalog.recurring.get(id), "recurring run", id)
            if found.status != ENABLED:
                found.status, found.error, found.updated_ms = ENABLED, "", needs.now_ms()
                schedule, created = schedule_of(found), found.created_ms
                found.due_ms = schedule.after(found.last_ms, created) if found.last_ms else schedule.first(created)
                await needs.catalog.recurring.put(found)
                say(events.RecurringRunEnabled(**about(found)))
        return {}

    async def disable(self, user: Any, id: str) -> Object:
        """What it has started goes on."""
        await self._fetched(user, "disable", id)
        async with self.means.begin() as (needs, say):
            found: RecurringRun = there(await needs.catalog.recurring.get(id), "recurring run", id)
            await disable(needs, say, found)
        return {}

    async def delete(self, user: Any, id: str, ends_runs: bool = False) -> Object:
        """What it has started goes on, unless that is to end, too."""
        fetched = await self._fetched(user, "delete", id)
        if ends_runs:
            await self.means.allow(user, "terminate", runs.PLURAL, fetched.namespace, "")
        async with self.means.begin() as (needs, say):
            found: RecurringRun = there(await needs.catalog.recurring.get(id), "recurring run", id)
            if ends_runs:
                for run in await _going_on(needs, found):
                    await needs.runs.terminate(run)
            await needs.catalog.recurring.delete(id)
            if found.spec:
                await needs.catalog.sweep(found.spec)
            say(events.RecurringRunDeleted(**about(found)))
        return {}

    async def _fetched(self, user: Any, verb: str, id: str) -> RecurringRun:
        async with self.means.look() as needs:
            found: RecurringRun = there(await needs.catalog.recurring.get(id), "recurring run", id)
        await self.means.allow(user, verb, PLURAL, found.namespace, found.name)
        return found


async def _going_on(needs: Needs, found: RecurringRun) -> Sequence[str]:
    """At most as many as it lets run at a time, and those that somebody took up again."""
    ours = Predicate("recurring_run_id", "EQUALS", found.id)
    page = Page(SIZE_MAX, predicates=(ours, Predicate("state", "IN", ACTIVE)))
    rows, _, _ = await needs.run_list.list(page, namespace=found.namespace)
    return [run.id for run in rows]


def expanded(config: forms.RuntimeConfig, moment: macros.Moment) -> forms.RuntimeConfig:
    """With its parameters as the run of this moment has them."""
    return config.model_copy(update={"parameters": macros.expanded(config.parameters or {}, moment)})


def schedule_of(found: RecurringRun) -> Schedule:
    return schedules.schedule(forms.Trigger.model_validate(found.trigger))


def _settings(form: forms.RecurringRunForm) -> tuple[Schedule, str, int]:
    """Raises Invalid naming all that is wrong with them."""
    problems: list[Problem] = []
    found = Schedule()
    try:
        found = schedules.schedule(form.trigger)
    except SpecError as error:
        problems += error.problems
    status = _MODES.get(form.mode, "")
    if not status:
        problems.append(Problem("mode", f"{form.mode!r} is neither ENABLE nor DISABLE"))
    text = "1" if form.max_concurrency is None else str(form.max_concurrency)
    concurrency = int(text) if text.isascii() and text.isdigit() and len(text) < 4 else 0
    if not 1 <= concurrency <= CONCURRENCY_MAX:
        problems.append(Problem("max_concurrency", f"{text} is not a number from 1 to {CONCURRENCY_MAX}"))
    if problems:
        raise refused(SpecError(problems))
    return found, status, concurrency


async def _new(needs: Needs, form: forms.RecurringRunForm, source: Chosen, place: tuple[str, str]) -> RecurringRun:
    """`place` is the namespace and the experiment. A reference without a version stays one: each run takes the newest
    of its time."""
    now, (namespace, experiment_id) = needs.now_ms(), place
    reference = form.pipeline_version_reference or forms.Reference()
    return RecurringRun(
        id=needs.ids.uid(),
        namespace=namespace,
        experiment_id=experiment_id,
        name=name_of(form.display_name, source.compiled.name),
        created_ms=now,
        updated_ms=now,
        trigger=schedules.shown(form.trigger or forms.Trigger()),
        runtime_config=form.config.model_dump(exclude_none=True),
        description=form.description or "",
        pipeline_id=source.pipeline.id if source.pipeline else "",
        version_id=reference.pipeline_version_id or form.pipeline_version_id or "",
        spec="" if source.version else await needs.catalog.keep(source.document),
        service_account=form.service_account or "",
        no_catchup=bool(form.no_catchup),
    )
