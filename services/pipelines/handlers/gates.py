"""What people decide about tasks that wait for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from libs.base.errors import Conflict, Unavailable
from services.pipelines.domain.engine.records import State, TaskRecord
from services.pipelines.domain.engine.words import Failed, Succeeded
from services.pipelines.domain.gates import decided
from services.pipelines.domain.steps.results import outcome
from services.pipelines.handlers.desk import Means, Object, there
from services.pipelines.handlers.runs import PLURAL
from services.pipelines.ports import StepDesk

RESOURCE = "tasks.pipelines"
LOOKS, LOOK_S = 50, 0.1
"""How often, and how soon again, it is looked whether another replica has recorded what was decided."""


@dataclass(frozen=True)
class Gates:
    """`steps` is where the results of steps go: a decision is one."""

    means: Means
    steps: StepDesk

    async def decide(self, user: Any, id: str, task: str, approved: bool, comment: str) -> Object:
        """`task` is a task's id, or its path without the root. Raises NotFound, Forbidden for who may not approve runs,
        Conflict for a task that waits for nobody, or where somebody else has decided in the same moment."""
        async with self.means.look() as needs:
            run = there(await needs.runs.get(id), "run", id)
            records = await needs.runs.tasks(id)
        await self.means.allow(user, "approve", PLURAL, run.namespace, run.name)
        named = (each for each in records if task in (each.uid, each.path.partition("/")[2]))
        record = there(next(named, None), "task", task)
        order = await self.steps.order_of(record.uid, record.attempt) if record.state is State.PAUSED else None
        if order is None:
            raise _late(record)
        result = decided(order, approved, getattr(user, "name", "") or "somebody", comment)
        if not await self.steps.finish(record.uid, record.attempt, result):
            raise _late(record)
        after = await self._recorded(record)
        if not _is(after, outcome(order, result)):
            raise _late(after)
        return {}

    async def _recorded(self, record: TaskRecord) -> TaskRecord:
        """The task as the first decision left it."""
        for _ in range(LOOKS):
            async with self.means.look() as needs:
                found = await needs.lineage.task(record.uid)
            after: TaskRecord = there(found, "task", record.uid)[1]
            if after.state is not State.PAUSED or after.attempt != record.attempt:
                return after
            await needs.clock.sleep(LOOK_S)
        raise Unavailable("the decision is kept, and nobody has carried it out yet; look at the task again")


def _is(after: TaskRecord, decision: Succeeded | Failed) -> bool:
    """Whether it was this decision that counted."""
    if isinstance(decision, Failed):
        return after.error is not None and after.error.message == decision.error.message
    return after.state is State.SUCCEEDED and after.outputs.parameters == decision.outputs.parameters


def _late(record: TaskRecord) -> Conflict:
    told = f"the task is {record.state}; only one that is PAUSED waits for approval"
    return Conflict.about(RESOURCE, record.display_name, told)
