"""How a recurring run comes to rest: a person, its experiment, or a next run that could not be started may be why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contracts.events.pipelines import v1 as events
from services.pipelines.domain.catalog.items import DISABLED, RecurringRun
from services.pipelines.handlers.desk import Say
from services.pipelines.ports import Needs


async def disable(needs: Needs, say: Say, found: RecurringRun, why: str = "") -> None:
    """`why` is kept as its error, where nobody asked for it."""
    if found.status == DISABLED:
        return
    found.status, found.due_ms, found.error, found.updated_ms = DISABLED, None, why, needs.now_ms()
    await needs.catalog.recurring.put(found)
    say(events.RecurringRunDisabled(**about(found), message=why))


def about(found: RecurringRun) -> Mapping[str, Any]:
    """What every event of it says."""
    return {"namespace": found.namespace, "name": found.name, "uid": found.id}
