"""Starts the runs of recurring runs that are due; exactly one for each moment of a schedule, whoever leads meanwhile.

A recurring run whose pipeline can no longer be run is disabled with the reason, so that it does not fail for ever.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from libs.base import from_milliseconds
from libs.base.errors import ApiError, Forbidden, TooManyRequests, Unavailable
from services.pipelines.domain.catalog import forms, macros
from services.pipelines.domain.catalog.items import ENABLED, RecurringRun
from services.pipelines.domain.runs import NewRun
from services.pipelines.handlers import lending, recurring, runs, sources
from services.pipelines.handlers.desk import Means, Say
from services.pipelines.handlers.disabling import disable
from services.pipelines.handlers.sources import Chosen
from services.pipelines.ports import Needs

log = logging.getLogger(__name__)

BATCH = 100
LOOK_S = 1.0
"""How soon it is seen that another replica was told of a recurring run, or that one has room again."""


@dataclass(frozen=True)
class Clockwork:
    means: Means

    async def tick(self) -> int:
        """Starts what is due, at most one run of each recurring run; how many were started."""
        async with self.means.look() as needs:
            due = await needs.catalog.due(needs.now_ms(), BATCH)
        started = 0
        for each in due:
            started += await self._start(each)
        return started

    async def rest_s(self) -> float:
        """How long nothing is due; never longer than it takes to hear of a new one."""
        async with self.means.look() as needs:
            now = needs.now_ms()
            due = await needs.catalog.next_due(now)
        return LOOK_S if due is None else min(LOOK_S, (due - now) / 1000)

    async def _start(self, found: RecurringRun) -> bool:
        try:
            source = await sources.chosen(self.means, None, await self._form(found))
            if not (found.spec or found.version_id):
                await self._lend(found, source)
            return await self._run(found, source)
        except Unavailable:
            raise
        except ApiError as error:
            if isinstance(error, TooManyRequests) or error.code >= 500:
                log.warning("the next run of %s cannot be started yet: %s", found.id, error.message)
                return False
            async with self.means.begin() as (needs, say):
                now = await needs.catalog.recurring.get(found.id)
                if now is not None and now.due_ms == found.due_ms:
                    await disable(needs, say, now, f"its next run could not be started: {error.message}")
            return False
        except Exception:  # what nobody thought of: the others' runs are started all the same
            log.exception("the next run of the recurring run %s could not be started", found.id)
            return False

    async def _lend(self, found: RecurringRun, source: Chosen) -> None:
        """Whoever asked for it was asked about a pipeline of that time; this one may be of somebody else's making."""
        account = lending.account_of(found.namespace, found.service_account)
        try:
            await lending.check(self.means, account, found.namespace, source.compiled, "")
        except Forbidden as error:
            told = f"{error.message}, and no version is named: name one in pipeline_version_reference"
            raise Forbidden(told) from None

    async def _form(self, found: RecurringRun) -> forms.Source:
        if not found.spec:
            reference = forms.Reference(pipeline_id=found.pipeline_id, pipeline_version_id=found.version_id)
            return forms.Source(pipeline_version_reference=reference)
        async with self.means.look() as needs:
            document = await needs.catalog.document(found.spec)
        return forms.Source(pipeline_spec=document.shown() if document else None)

    async def _run(self, found: RecurringRun, source: Chosen) -> bool:
        """One transaction: the run, and the next moment. False if somebody else was faster."""
        config = forms.RuntimeConfig.model_validate(found.runtime_config)
        async with self.means.begin() as (needs, say):
            now = await needs.catalog.recurring.get(found.id)
            if now is None or now.status != ENABLED or now.due_ms is None or now.due_ms != found.due_ms:
                return False
            moment, id = _advance(now, needs.now_ms()), needs.ids.uid()
            at = from_milliseconds(moment)
            said = macros.Moment(at, needs.clock.now(), await needs.catalog.number(now.id), id)
            values = sources.parameters(self.means, source.compiled, recurring.expanded(config, said), now.namespace)
            new = NewRun(
                namespace=now.namespace,
                name=f"{now.name} {at:%Y-%m-%d %H-%M-%S}",
                spec=await needs.catalog.keep(source.document),
                pipeline_name=source.compiled.name,
                parameters=values,
                experiment_id=await _experiment(needs, say, now),
                service_account=now.service_account,
                pipeline_id=source.pipeline.id if source.pipeline else "",
                version_id=source.version.id if source.version else "",
                recurring_run_id=now.id,
                root=sources.root(source.compiled, config),
                scheduled_ms=moment,
                options=sources.options(self.means, source.compiled, config),
                id=id,
            )
            await needs.catalog.recurring.put(now)
            await needs.runs.create(new)
        return True


def _advance(found: RecurringRun, now: int) -> int:
    """The moment that the run is for; the next one is set. Without catching up, all that was missed but the latest is
    left out."""
    schedule, moment = recurring.schedule_of(found), found.due_ms or now
    if found.no_catchup:
        moment = schedule.latest(moment, now, found.created_ms)
    found.last_ms, found.due_ms = moment, schedule.after(moment, found.created_ms)
    return moment


async def _experiment(needs: Needs, say: Say, found: RecurringRun) -> str:
    """Its own; the default one where that is gone."""
    if await needs.catalog.experiments.get(found.experiment_id) is None:
        found.experiment_id = ""
    experiment = await runs.placed(needs, say, found.namespace, found.experiment_id)
    experiment.last_run_ms = needs.now_ms()
    await needs.catalog.experiments.put(experiment)
    found.experiment_id = experiment.id
    return experiment.id
