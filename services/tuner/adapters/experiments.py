"""Brings Experiments towards their ends: reads their trials, asks the pure plan, asks the algorithm, writes what came
of it.

Trials, the Experiment's count of them and what is told are one transaction: killed at any moment it has made a trial
whole or not at all, and never one number twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from contracts.messages import Event
from libs.base.errors import Conflict, NotFound
from libs.resources import Kind
from libs.resources.reconcile import Context, Key, Owned, Requeue, by_label, owner_reference
from services.tuner.adapters.kinds import FINALIZER, TRIAL
from services.tuner.adapters.stored import note_suggestions, trials_of
from services.tuner.domain import algorithms, experiments, spaces, trials
from services.tuner.domain.algorithms import Algorithm, Ask, Values
from services.tuner.domain.experiments import Step

Object = dict[str, Any]
GONE_POLL_S = 1.0


class Experiments:
    """The reconciler of Experiments; `algorithms` are those that they may name."""

    def __init__(self, kind: Kind, algorithms: Sequence[Algorithm]) -> None:
        self.kind, self._algorithms = kind, tuple(algorithms)
        self.owned = (Owned(TRIAL, by_label(trials.OWNER)),)

    async def reconcile(self, key: Key, ctx: Context) -> Requeue | None:
        """One step. A conflict means that the Experiment or a trial changed meanwhile: look again at once."""
        experiment = await ctx.resources.find(self.kind, key.namespace, key.name)
        if experiment is None:
            return None
        found = await trials_of(ctx.resources, experiment)
        if experiment["metadata"].get("deletionTimestamp"):
            return await self._end(experiment, found, ctx)
        step = experiments.plan(experiment, found, ctx.clock.now())
        values = await self._suggested(experiment, found, step) if step.begin else []
        try:
            await self._write(experiment, found, step, values, ctx)
        except Conflict:
            return Requeue(0.02)
        return None

    async def _write(
        self, experiment: Object, found: Sequence[Object], step: Step, values: Sequence[Values], ctx: Context
    ) -> None:
        meta, now = experiment["metadata"], ctx.clock.now()
        first = experiments.made(experiment, found)
        owner = owner_reference(experiment)
        new = [trials.new(experiment, owner, number, each) for number, each in enumerate(values, first)]
        status = {**step.status, "trialsMade": first + len(new)}
        if len(values) < step.begin:
            status["exhausted"] = True
        if status == experiment.get("status") and not (new or step.stop or step.events):
            return
        async with ctx.store.write() as uow:
            resources = ctx.resources.view(uow)
            where = (self.kind, meta["namespace"], meta["name"])
            await resources.update_status(*where, status, expect_rv=meta["resourceVersion"], events=step.events)
            for trial in step.stop:
                await _record(resources, trial, *trials.stopped(trial, now))
            for trial in new:
                await resources.create(TRIAL, trial)
            if new:
                await note_suggestions(resources, experiment, new, now)

    async def _end(self, experiment: Object, found: Sequence[Object], ctx: Context) -> Requeue | None:
        """The object goes when its last trial has gone: no pod outlives what explains it."""
        meta = experiment["metadata"]
        for trial in found:
            if not trial["metadata"].get("deletionTimestamp"):
                try:
                    await ctx.resources.delete(TRIAL, meta["namespace"], trial["metadata"]["name"])
                except NotFound:
                    continue
        if found:
            return Requeue(GONE_POLL_S)
        await ctx.resources.remove_finalizer(self.kind, meta["namespace"], meta["name"], FINALIZER)
        return None

    async def _suggested(self, experiment: Object, found: Sequence[Object], step: Step) -> Sequence[Values]:
        """What the algorithm suggests for the trials that are to begin; one that calculates does so beside the loop."""
        spec = experiment["spec"]
        chosen = algorithms.named(spec["algorithm"]["algorithmName"], self._algorithms)
        assert chosen is not None, "stored Experiments name an algorithm that there is"
        ask = Ask(
            space=spaces.parameters(spec),
            first=experiments.made(experiment, found),
            count=step.begin,
            seed=experiment["metadata"]["uid"],
            settings=algorithms.settings_of(spec),
            tried=experiments.tried(found),
            maximize=spec["objective"]["type"] == "maximize",
        )
        return chosen.suggest(ask) if chosen.is_light else await asyncio.to_thread(chosen.suggest, ask)


async def _record(resources: Any, trial: Object, status: Object, event: Event) -> None:
    meta = trial["metadata"]
    where = (TRIAL, meta["namespace"], meta["name"])
    await resources.update_status(*where, status, expect_rv=meta["resourceVersion"], events=[event])
