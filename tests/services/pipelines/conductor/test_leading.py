"""Two replicas over one store: whoever led before decides nothing more, and nothing happens twice."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.pipelines.adapters.conductor import NotLeading
from tests.services.pipelines.conductor.rig import Rig, added, chain, rig, until

LEASE = "INSERT INTO leases (name, holder, expires_at, generation) VALUES ('controller/pipelines', ?1, '', 1)"
NEXT = "UPDATE leases SET generation = generation + 1"


@asynccontextmanager
async def two(folder: Path) -> AsyncIterator[tuple[Rig, Rig]]:
    async with rig(folder, added) as one:
        other = Rig(one.ports, one.cluster, added)
        async with one.ports.store.write() as uow:
            await uow.later(LEASE, "one")
        one.build()
        other.build()
        one.cluster.on_change.append(one._note)
        yield one, other


async def take(here: Rig) -> None:
    async with here.ports.store.write() as uow:
        await uow.later(NEXT)


async def test_a_replica_that_rests_sees_that_it_no_longer_leads(tmp_path: Path):
    async with two(tmp_path) as (one, _):
        loop = asyncio.ensure_future(one.conductor.run())
        await until(lambda: one.conductor.leading)
        await take(one)
        async with asyncio.timeout(30):
            with pytest.raises(BaseExceptionGroup) as found:
                await loop
        assert isinstance(found.value.exceptions[0], NotLeading) and not one.conductor.leading


async def test_each_step_counts_once_however_often_the_lead_changes_while_the_former_leader_works_on(tmp_path: Path):
    chance = random.Random(7)
    async with two(tmp_path) as (one, other):
        runs = [await one.submit(chain(5, cached=False, value=number)) for number in range(4)]
        loops: dict[int, asyncio.Future[None]] = {}
        for number in range(6):
            leads = (one, other)[number % 2]
            if before := loops.get(id(leads)):
                before.cancel()
                await asyncio.gather(before, return_exceptions=True)
            await take(one)  # the other one is not told: it finds out at its next word
            loops[id(leads)] = asyncio.ensure_future(leads.conductor.run())
            one.desk = leads.desk if chance.random() < 0.5 else one.desk
            await asyncio.sleep(0.05 + 0.1 * chance.random())
        for run in runs:
            assert (await one.over(run)).state == "SUCCEEDED"
            said = await one.said(run)
            counts = [said.count(word) for word in ("task.started", "task.succeeded", "run.started", "run.succeeded")]
            assert counts == [5, 5, 1, 1]
        for loop in loops.values():
            loop.cancel()
        await asyncio.gather(*loops.values(), return_exceptions=True)
