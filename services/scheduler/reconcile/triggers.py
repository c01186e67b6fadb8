"""Triggers by the clock: a time that is due is said once, in the transaction that notes it in the status."""

from __future__ import annotations

from collections.abc import Sequence

from contracts.commands.scheduling.v1 import FireTrigger
from libs.base import rfc3339
from libs.resources.kinds import Kind
from libs.resources.plan import Plan, carry_out
from libs.resources.reconcile import Context, Key, Owned, Requeue
from services.scheduler.domain.triggers.timing import plan
from services.scheduler.reconcile.triggerkind import TRIGGER


class TriggerTimes:
    """Sleeps until the next time of each trigger."""

    @property
    def kind(self) -> Kind:
        return TRIGGER

    @property
    def owned(self) -> Sequence[Owned]:
        return ()

    async def reconcile(self, key: Key, ctx: Context) -> Requeue | None:
        obj = await ctx.resources.find(TRIGGER, *key)
        if obj is None or obj["metadata"].get("deletionTimestamp"):
            return None
        found = plan(obj, ctx.clock.now())
        said = [
            FireTrigger(namespace=key.namespace, name=key.name, key=rfc3339(moment), scheduled=moment)
            for moment in found.fire
        ]
        return await carry_out(Plan(status=found.status, events=said, requeue_after=found.again_s), obj, ctx)
