"""Experiments: made, looked up, archived with their runs, deleted without them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from contracts.events.pipelines import v1 as events
from libs.base.errors import Conflict
from services.pipelines.domain.catalog import forms
from services.pipelines.domain.catalog.filters import Predicate
from services.pipelines.domain.catalog.items import ARCHIVED, AVAILABLE, ENABLED, Experiment
from services.pipelines.domain.catalog.paging import Page
from services.pipelines.domain.runs import OVER
from services.pipelines.handlers.desk import Means, Object, Say, name_of, there
from services.pipelines.handlers.disabling import disable
from services.pipelines.ports import Needs

PLURAL = "experiments"
DEFAULT = "Default"
BATCH = 100
"""Runs archived in one transaction: everybody else's writes wait for it."""


@dataclass(frozen=True)
class Experiments:
    """Answers as KFP's API does; raises ApiError for whatever is refused."""

    means: Means

    async def create(self, user: Any, form: forms.ExperimentForm) -> Object:
        space = self.means.space(form.namespace)
        await self.means.allow(user, "create", PLURAL, space, "")
        name = name_of(form.display_name)
        async with self.means.begin() as (needs, say):
            return (await new(needs, say, space, name, form.description or "")).shown()

    async def get(self, user: Any, id: str) -> Object:
        return (await self.fetched(user, "get", id)).shown()

    async def list(self, user: Any, namespace: str, page: Page) -> Object:
        space = self.means.space(namespace)
        await self.means.allow(user, "list", PLURAL, space, "")
        async with self.means.look() as needs:
            items, token, total = await needs.catalog.experiments.list(page, namespace=space)
        return {"experiments": [item.shown() for item in items], "total_size": total, "next_page_token": token}

    async def archive(self, user: Any, id: str) -> Object:
        """With its runs that are over; its recurring runs are disabled."""
        await self.fetched(user, "archive", id)
        async with self.means.begin() as (needs, say):
            experiment: Experiment = there(await needs.catalog.experiments.get(id), "experiment", id)
            await _disable_recurring(needs, say, id)
            if experiment.storage_state != ARCHIVED:
                experiment.storage_state = ARCHIVED
                await needs.catalog.experiments.put(experiment)
                say(events.ExperimentArchived(**_about(experiment)))
        while await self._archive_runs(id):
            pass
        return {}

    async def unarchive(self, user: Any, id: str) -> Object:
        """Its runs stay archived, its recurring runs disabled, as with KFP."""
        await self.fetched(user, "unarchive", id)
        async with self.means.begin() as (needs, say):
            experiment: Experiment = there(await needs.catalog.experiments.get(id), "experiment", id)
            if experiment.storage_state != AVAILABLE:
                experiment.storage_state = AVAILABLE
                await needs.catalog.experiments.put(experiment)
                say(events.ExperimentUnarchived(**_about(experiment)))
        return {}

    async def delete(self, user: Any, id: str) -> Object:
        """Its runs stay. Refused while a recurring run would go on starting runs in it."""
        await self.fetched(user, "delete", id)
        async with self.means.begin() as (needs, say):
            experiment: Experiment = there(await needs.catalog.experiments.get(id), "experiment", id)
            found, _, _ = await needs.catalog.recurring.list(_enabled(1), experiment_id=id)
            if found:
                told = f"its recurring run {found[0].name!r} ({found[0].id}) is enabled: disable or delete it first"
                raise Conflict(f"experiment {id!r} cannot be deleted: {told}")
            await needs.catalog.experiments.delete(id)
            say(events.ExperimentDeleted(**_about(experiment)))
        return {}

    async def fetched(self, user: Any, verb: str, id: str) -> Experiment:
        async with self.means.look() as needs:
            found: Experiment = there(await needs.catalog.experiments.get(id), "experiment", id)
        await self.means.allow(user, verb, PLURAL, found.namespace, found.name)
        return found

    async def _archive_runs(self, id: str) -> bool:
        """One batch; whether there may be more."""
        left = (Predicate("storage_state", "EQUALS", AVAILABLE), Predicate("state", "IN", OVER))
        async with self.means.begin() as (needs, _):
            runs, token, _total = await needs.run_list.list(Page(BATCH, predicates=left), experiment_id=id)
            for run in runs:
                await needs.runs.archive(run.id, True)
        return bool(token)


async def new(needs: Needs, say: Say, namespace: str, name: str, description: str = "") -> Experiment:
    experiment = Experiment(needs.ids.uid(), namespace, name, needs.now_ms(), description)
    await needs.catalog.experiments.add(experiment)
    say(events.ExperimentCreated(**_about(experiment)))
    return experiment


async def default(needs: Needs, say: Say, namespace: str) -> Experiment:
    """Where runs go that name no experiment; made when the first comes."""
    return await needs.catalog.experiments.find(namespace, DEFAULT) or await new(needs, say, namespace, DEFAULT)


def _enabled(size: int) -> Page:
    return Page(size, predicates=(Predicate("status", "EQUALS", ENABLED),))


async def _disable_recurring(needs: Needs, say: Say, id: str) -> None:
    why = "its experiment was archived"
    while (found := await needs.catalog.recurring.list(_enabled(BATCH), experiment_id=id))[0]:
        for each in found[0]:
            await disable(needs, say, each, why)


def _about(experiment: Experiment) -> Mapping[str, Any]:
    return {"namespace": experiment.namespace, "name": experiment.name, "uid": experiment.id}
