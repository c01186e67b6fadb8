"""The scheduler over its real table: what it answers to the wishes of owners, in whatever order they come."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from contracts.commands.scheduling.v1 import FinishWorkload, PodSet, SubmitWorkload
from contracts.events.scheduling.v1 import WorkloadAdmitted, WorkloadQueued
from contracts.messages import Event, Message
from libs.base import SeededIds, SystemClock
from libs.store import Store
from libs.telemetry import metrics_text
from libs.testing.clock import VirtualClock
from services.scheduler import app as scheduler
from services.scheduler.adapters.measures import queue_measure
from services.scheduler.adapters.workloads import SqlWorkloads
from services.scheduler.domain.workloads import Demand

ROOM = Demand(cpu_milli=2000, memory_bytes=4 * 2**30)


class Desk:
    """Hands facts to the handlers as the shell does: one transaction each."""

    def __init__(self, store: Store) -> None:
        self.store, self.app, self.room = store, scheduler.build(), ROOM
        self.waits: list[float] = []

    async def hear(self, fact: Message) -> Sequence[Event]:
        async with self.store.write() as uow:
            needs = scheduler.Needs(SqlWorkloads(uow.session, self.store.clock, self.waits.append), self.room)
            return await self.app.handlers[type(fact)](fact, needs)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    migrations = [scheduler.build().migrations]
    store = await Store.open(f"sqlite:///{tmp_path}/s.db", clock=SystemClock(), ids=SeededIds(1), migrations=migrations)
    yield Desk(store)
    await store.close()


def _of(name: str) -> dict[str, Any]:
    return {"namespace": "team", "name": name, "uid": f"uid-{name}", "kind": "TrainJob"}


def submit(name: str, cpu: str = "1", nodes: int = 1, **more: Any) -> SubmitWorkload:
    pods = PodSet(name="node", count=nodes, requests={"cpu": cpu, "memory": "512Mi"})
    return SubmitWorkload(**{**_of(name), "generation": 1, "pod_sets": [pods], **more})


def finish(name: str, reason: Any = "Succeeded") -> FinishWorkload:
    return FinishWorkload(**_of(name), reason=reason)


def _names(facts: Sequence[Event], kind: type) -> list[str]:
    return [fact.name for fact in facts if isinstance(fact, kind)]


async def test_a_job_that_fits_is_admitted_at_once(desk: Desk):
    (fact,) = await desk.hear(submit("a", nodes=2))
    assert fact == WorkloadAdmitted(**_of("a"), generation=1)


async def test_a_gang_starts_whole_or_not_at_all(desk: Desk):
    await desk.hear(submit("a"))
    (fact,) = await desk.hear(submit("b", nodes=2))
    assert isinstance(fact, WorkloadQueued) and fact.position == 1
    assert fact.reason == "asks for 2 cpu and 1 GiB of memory; 1 cpu and 3.5 GiB of memory are free"


@pytest.mark.parametrize("over", ["Succeeded", "Failed", "Deleted"])
async def test_the_end_of_one_job_starts_the_next_in_line(desk: Desk, over: Any):
    await desk.hear(submit("a", nodes=2))
    assert _names(await desk.hear(submit("b", nodes=2)), WorkloadQueued) == ["b"]
    assert _names(await desk.hear(submit("c")), WorkloadQueued) == ["c"]
    facts = await desk.hear(finish("a", over))
    assert _names(facts, WorkloadAdmitted) == ["b"]
    assert [(f.name, f.position) for f in facts if isinstance(f, WorkloadQueued)] == [("c", 1)]


async def test_a_long_queue_hears_of_its_moves_in_few_letters(desk: Desk):
    names = [f"job-{number:02}" for number in range(40)]
    facts = [fact for name in names for fact in await desk.hear(submit(name, nodes=2))]
    for name in names:
        facts += await desk.hear(finish(name))
    assert sorted(_names(facts, WorkloadAdmitted)) == names
    last = [fact.position for fact in facts if isinstance(fact, WorkloadQueued) and fact.name == names[-1]]
    assert last == [39, 19, 9, 4, 2, 1]


async def test_whoever_is_first_in_the_queue_hears_of_every_change(desk: Desk):
    for name in "ab":
        await desk.hear(submit(name))
    (first,) = await desk.hear(submit("c", nodes=2))
    (freed,) = await desk.hear(finish("a", "Deleted"))
    assert (first.position, freed.position) == (1, 1)
    assert freed.reason.endswith("1 cpu and 3.5 GiB of memory are free") and freed.reason != first.reason


async def test_a_job_heard_of_after_its_deletion_is_not_admitted(desk: Desk):
    assert await desk.hear(finish("a", "Deleted")) == []
    assert await desk.hear(submit("a")) == []


async def test_a_suspended_job_gives_its_share_back_and_queues_again_when_resumed(desk: Desk):
    await desk.hear(submit("a", nodes=2))
    await desk.hear(submit("b", nodes=2))
    assert _names(await desk.hear(submit("a", nodes=2, suspended=True, generation=2)), WorkloadAdmitted) == ["b"]
    assert _names(await desk.hear(submit("a", nodes=2, generation=3)), WorkloadQueued) == ["a"]
    facts = await desk.hear(finish("b"))
    assert facts == [WorkloadAdmitted(**_of("a"), generation=3)]


async def test_a_job_that_asks_again_is_answered_again(desk: Desk):
    first = await desk.hear(submit("a"))
    assert await desk.hear(submit("a")) == first
    await desk.hear(submit("b", nodes=2))
    assert _names(await desk.hear(submit("b", nodes=2)), WorkloadQueued) == ["b"]


async def test_asking_again_holds_no_second_share(desk: Desk):
    for _ in range(3):
        await desk.hear(submit("a"))
    assert _names(await desk.hear(submit("b")), WorkloadAdmitted) == ["b"]


async def test_a_job_whose_runtime_has_a_say_waits_until_its_demand_is_known(desk: Desk):
    assert await desk.hear(submit("a", pod_sets=[])) == []
    assert _names(await desk.hear(submit("a")), WorkloadAdmitted) == ["a"]


async def test_more_room_after_a_restart_moves_the_queue(desk: Desk):
    await desk.hear(submit("a", nodes=2))
    await desk.hear(submit("b", nodes=2))
    async with desk.store.write() as uow:
        needs = scheduler.Needs(SqlWorkloads(uow.session, desk.store.clock, desk.waits.append), ROOM + ROOM)
        assert _names(await scheduler.handlers.when_capacity_changed(needs), WorkloadAdmitted) == ["b"]


def test_the_capacity_is_what_was_set_else_this_machine_with_overcommit():
    given = scheduler.SchedulerSettings(service="scheduler", capacity_cpu="8", capacity_memory="16Gi")
    assert scheduler.capacity(given) == Demand(8000, 16 * 2**30)
    once, twice = (scheduler.SchedulerSettings(service="scheduler", overcommit=n) for n in (1.0, 2.0))
    assert scheduler.capacity(twice).cpu_milli == 2 * scheduler.capacity(once).cpu_milli > 0


async def test_how_long_a_workload_waited_is_told_when_it_is_admitted(tmp_path: Path):
    clock = VirtualClock()
    migrations = [scheduler.build().migrations]
    store = await Store.open(f"sqlite:///{tmp_path}/s.db", clock=clock, ids=SeededIds(1), migrations=migrations)
    desk = Desk(store)
    await desk.hear(submit("a", nodes=2))
    await desk.hear(submit("b", nodes=2))
    await clock.advance(30.0)
    await desk.hear(submit("b", nodes=2))  # it asks again, which is no new beginning
    await clock.advance(12.0)
    look = queue_measure(store, clock, ROOM)["queue"]
    await look()
    told = metrics_text()
    assert "millstream_waiting_workloads 1.0" in told and "millstream_waiting_oldest_seconds 42.0" in told
    assert 'millstream_admitted_resources{resource="cpu"} 2.0' in told
    await desk.hear(finish("a"))
    assert desk.waits == [0.0, 42.0]
    await look()
    assert "millstream_waiting_oldest_seconds 0.0" in metrics_text()
    await store.close()
