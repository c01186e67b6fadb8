"""Two people, or a person and the platform, who do something to the same run in the same moment."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from libs.base.errors import Conflict
from services.pipelines.adapters.desk import Desk
from services.pipelines.domain.steps.values import StepOrder, StepResult
from services.pipelines.handlers.gates import Gates
from tests.services.pipelines.conductor.rig import added, rig
from tests.services.pipelines.conductor.test_gates import Person, gated, gates, paused


@dataclass
class Together:
    """A desk at which nobody is told what to decide about before all have asked."""

    desk: Desk
    all_asked: asyncio.Barrier

    async def order_of(self, uid: str, attempt: int) -> StepOrder | None:
        order = await self.desk.order_of(uid, attempt)
        await self.all_asked.wait()
        return order

    async def finish(self, uid: str, attempt: int, result: StepResult) -> bool:
        return await self.desk.finish(uid, attempt, result)


async def test_of_those_who_decide_at_once_only_the_one_whose_word_counts_hears_yes(tmp_path: Path):
    async with rig(tmp_path, added) as here, here.leading():
        run = await here.submit(gated(reject_fails=False))
        await paused(here, run)
        people = [("ann", True), ("bob", False), ("eve", True), ("joe", False)]
        desk = Gates(gates(here).means, Together(here.desk, asyncio.Barrier(len(people))))
        answers: list[Any] = await asyncio.gather(
            *(desk.decide(Person(name), run.id, "gate", yes, "") for name, yes in people),
            return_exceptions=True,
        )
        assert (await here.over(run)).state == "SUCCEEDED"
        counted = (await here.tasks(run))["root/gate"].outputs.parameters["by"]
        told = {name: answer for (name, _), answer in zip(people, answers, strict=True)}
        assert [name for name, answer in told.items() if answer == {}] == [counted]
        assert sum(isinstance(answer, Conflict) for answer in told.values()) == 3
