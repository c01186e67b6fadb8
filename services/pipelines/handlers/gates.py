"""What people decide about tasks that wait for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from libs.base.errors import Conflict
from services.pipelines.domain.engine.records import State
from services.pipelines.domain.gates import decided
from services.pipelines.handlers.desk import Means, Object, there
from services.pipelines.handlers.runs import PLURAL
from services.pipelines.ports import StepDesk

RESOURCE = "tasks.pipelines"


@dataclass(frozen=True)
class Gates:
    """`steps` is where the results of steps go: a decision is one."""

    means: Means
    steps: StepDesk

    async def decide(self, user: Any, id: str, task: str, approved: bool, comment: str) -> Object:
        """`task` is a task's id, or its path without the root. Raises NotFound, Forbidden for who may not approve runs,
        Conflict for a task that waits for nobody."""
        async with self.means.look() as needs:
            run = there(await needs.runs.get(id), "run", id)
            records = await needs.runs.tasks(id)
        await self.means.allow(user, "approve", PLURAL, run.namespace, run.name)
        named = (each for each in records if task in (each.uid, each.path.partition("/")[2]))
        record = there(next(named, None), "task", task)
        order = await self.steps.order_of(record.uid, record.attempt) if record.state is State.PAUSED else None
        who = getattr(user, "name", "") or "somebody"
        if order is None or not await self.steps.finish(
            record.uid, record.attempt, decided(order, approved, who, comment)
        ):
            told = f"the task is {record.state}; only one that is PAUSED waits for approval"
            raise Conflict.about(RESOURCE, record.display_name, told)
        return {}
