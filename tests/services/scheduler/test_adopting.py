"""An upgrade from before the queues: what ran holds its quota, what waited asks again, and nothing runs twice."""

from pathlib import Path

from contracts.admission import heard
from contracts.events.scheduling.v1 import WorkloadAdmitted, WorkloadEvicted, WorkloadQueued
from libs.base.clock import SystemClock
from libs.base.ids import SeededIds
from libs.store import Store
from services.scheduler import app as scheduler
from tests.services.scheduler.rig import finish, of, running, submit

OLD = (
    "INSERT INTO scheduler_workloads (uid, namespace, name, kind, cpu_milli, memory_bytes, phase, generation, arrival,"
    " told) VALUES (?1, 'team', ?2, 'TrainJob', 1500, 1073741824, ?3, 1, ?4, '')"
)


async def _before(folder: Path) -> None:
    """What an installation without queues left: one that ran, one that waited, one that was over."""
    clock = SystemClock()
    migrations = [scheduler.build().migrations]
    store = await Store.open(f"sqlite:///{folder}/s.db", clock=clock, ids=SeededIds(5, clock), migrations=migrations)
    async with store.write() as uow:
        for arrival, (name, phase) in enumerate({"ran": "Admitted", "waited": "Waiting", "ended": "Over"}.items()):
            await uow.rows(OLD, f"uid-{name}", name, phase, arrival + 1)
    await store.close()


async def test_what_ran_before_an_upgrade_holds_its_quota_and_what_waited_asks_again(tmp_path: Path):
    await _before(tmp_path)
    async with running(tmp_path) as rig:
        adopted = await rig.workload("ran")
        assert adopted["status"]["admission"]["podSetAssignments"][0]["resourceUsage"]["cpu"] == "1500m"
        assert await rig.workload("waited") is None and rig.said("ran") == [], "nobody is told what it knows"
        await rig.say(submit("waited", "1"))
        assert isinstance(await rig.hear("waited"), WorkloadQueued)
    async with running(tmp_path, seed=2) as rig:
        assert (await rig.workload("ran"))["metadata"]["uid"] == adopted["metadata"]["uid"], "once, not at every start"
        await rig.say(finish("ran"))
        await rig.hears("waited", WorkloadAdmitted)


async def test_one_that_was_admitted_before_admissions_had_numbers_hears_of_its_eviction():
    job = {"metadata": {"generation": 1}, "status": {"admission": {"state": "Admitted", "generation": 1}}}
    told = heard(job, WorkloadEvicted(**of("ran"), admission="1", reason="Preempted"))
    assert told is not None and (told["state"], told["id"]) == ("Evicted", "1")
