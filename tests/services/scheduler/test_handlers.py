"""The scheduler over its real store: what it answers to the wishes of owners, in whatever order they come."""

from pathlib import Path

import pytest

from contracts.events.scheduling.v1 import Assignment, WorkloadAdmitted, WorkloadEvicted, WorkloadQueued
from libs.telemetry import metrics_text
from services.scheduler import app as scheduler
from tests.services.scheduler.rig import Rig, comes_true, finish, of, report, running, submit


async def test_a_workload_that_fits_is_admitted_at_once_and_told_what_it_got(rig: Rig):
    await rig.say(submit("a", nodes=2))
    given = Assignment(name="node", count=2, flavors={"cpu": "default-flavor", "memory": "default-flavor"})
    assert await rig.hear("a") == WorkloadAdmitted(
        **of("a"), generation=1, admission="1", cluster_queue="default", pod_sets=[given]
    )


async def test_a_gang_starts_whole_or_not_at_all(rig: Rig):
    await rig.say(submit("a"))
    await rig.hear("a")
    await rig.say(submit("b", nodes=2))
    told = await rig.hear("b")
    assert isinstance(told, WorkloadQueued) and told.position == 1
    assert "asks for 2 cpu of flavor default-flavor; 1 cpu is free" in told.reason


@pytest.mark.parametrize("reason", ["Succeeded", "Failed", "Deleted"])
async def test_the_end_of_one_starts_the_next_in_line(rig: Rig, reason: str):
    for name in "ab":
        await rig.say(submit(name, nodes=2))
        await rig.hear(name)
    await rig.say(finish("a", reason))
    assert isinstance(await rig.hear("b"), WorkloadAdmitted)


async def test_those_who_are_behind_others_like_them_are_told_their_place_too(rig: Rig):
    await rig.say(submit("a", nodes=2))
    await rig.hear("a")
    for name in "bcd":
        await rig.say(submit(name))
    assert [(await rig.hear(name)).position for name in "bcd"] == [1, 2, 3]
    assert rig.said("d")[-1].reason == "2 in front of it in the queue"


async def test_a_workload_heard_of_after_its_deletion_is_not_admitted(rig: Rig):
    await rig.say(finish("a", "Deleted"))
    await rig.say(submit("a"))
    assert await rig.silent("a") and await rig.workload("a") is None


async def test_a_suspended_one_gives_its_share_back_and_queues_again_when_resumed(rig: Rig):
    for name in "ab":
        await rig.say(submit(name, nodes=2))
        await rig.hear(name)
    await rig.say(submit("a", nodes=2, suspended=True, generation=2, after="1"))
    assert isinstance(await rig.hear("b"), WorkloadAdmitted)
    await rig.say(submit("a", nodes=2, generation=3, after="1"))
    assert isinstance(await rig.hear("a"), WorkloadQueued)
    await rig.say(finish("b"))
    told = await rig.hear("a")
    assert (told.generation, told.admission) == (3, "2")


async def test_a_wish_that_comes_late_changes_nothing(rig: Rig):
    await rig.say(submit("a", nodes=2, generation=3))
    await rig.hear("a")
    await rig.say(submit("a", nodes=2, suspended=True, generation=2))
    await rig.say(submit("b", nodes=2))
    assert isinstance(await rig.hear("b"), WorkloadQueued)


async def test_whoever_asks_again_is_answered_again_and_holds_no_second_share(rig: Rig):
    await rig.say(submit("a"))
    first = await rig.hear("a")
    await rig.say(submit("a"))
    assert await rig.hear("a") == first
    await rig.say(submit("b"))
    assert isinstance(await rig.hear("b"), WorkloadAdmitted)
    await rig.say(submit("c"))
    waits = await rig.hear("c")
    await rig.say(submit("c"))
    assert await rig.hear("c") == waits


async def test_one_that_cannot_tell_what_it_needs_waits_until_it_can(rig: Rig):
    await rig.say(submit("a", pod_sets=[]))
    assert await rig.silent("a")
    await rig.say(submit("a"))
    assert isinstance(await rig.hear("a"), WorkloadAdmitted)


async def test_pods_that_are_over_give_their_quota_back_before_the_end(rig: Rig):
    for name in "ab":
        await rig.say(submit(name, nodes=2))
        await rig.hear(name)
    await rig.say(submit("c"))
    assert isinstance(await rig.hear("c"), WorkloadQueued)
    await rig.say(finish("b", "Deleted"))
    await rig.say(report("a", reclaimable={"node": 1}))
    await rig.hears("c", WorkloadAdmitted)


async def test_a_report_of_an_admission_that_nobody_knows_is_answered_with_its_end(rig: Rig):
    await rig.say(report("stranger", "7"))
    told = await rig.hear("stranger")
    assert isinstance(told, WorkloadEvicted) and told.admission == "7"
    await rig.say(submit("stranger", after="7"))
    assert (await rig.hear("stranger")).admission == "8"


async def test_each_telling_of_one_admission_with_other_amounts_is_told_from_those_before_it(rig: Rig):
    await rig.say(submit("a", nodes=2))
    assert (await rig.hear("a")).revision == 0
    for revision, nodes in ((1, 1), (2, 2)):
        await rig.say(report("a", counts={"node": nodes}))
        told = await rig.hear("a")
        assert (told.admission, told.revision, told.pod_sets[0].count) == ("1", revision, nodes)
    await rig.say(submit("a", nodes=2))
    assert await rig.hear("a") == told, "said again it is the last of them"


async def test_a_job_of_other_resources_than_the_default_queue_counts_runs_as_before(rig: Rig):
    gpus = {"cpu": "1", "memory": "1Gi", "nvidia.com/gpu": "4"}
    pods = submit("a").pod_sets[0].model_copy(update={"requests": gpus})
    await rig.say(submit("a", pod_sets=[pods]))
    assert isinstance(await rig.hear("a"), WorkloadAdmitted)


async def test_more_room_after_a_restart_moves_the_queue(tmp_path: Path):
    async with running(tmp_path) as rig:
        for name in "ab":
            await rig.say(submit(name, nodes=2))
            await rig.hear(name)
        broker = rig.broker
    async with running(tmp_path, broker, seed=2, capacity_cpu="4", capacity_memory="8Gi") as rig:
        rig._read["b"] = 1
        assert isinstance(await rig.hear("b"), WorkloadAdmitted)


def test_the_capacity_is_what_was_set_else_this_machine_with_overcommit():
    given = scheduler.SchedulerSettings(service="scheduler", capacity_cpu="8", capacity_memory="16Gi")
    assert scheduler.capacity(given) == {"cpu": 8000, "memory": 16 * 2**30}
    once, twice = (scheduler.SchedulerSettings(service="scheduler", overcommit=n) for n in (1.0, 2.0))
    assert scheduler.capacity(twice)["cpu"] == 2 * scheduler.capacity(once)["cpu"] > 0


async def test_the_figures_of_the_queue_show_who_waits_and_what_is_in_use(rig: Rig):
    for name in "ab":
        await rig.say(submit(name, nodes=2))
        await rig.hear(name)

    async def shown() -> bool:
        await rig.http.get("/metrics")
        text = metrics_text()
        return "millstream_waiting_workloads 1.0" in text and (
            'millstream_admitted_resources{resource="cpu"} 2.0' in text
        )

    await comes_true(shown)
    assert 'millstream_capacity_resources{resource="memory"} 4.294967296e+09' in metrics_text()
    before = _observed()
    await rig.say(finish("a"))
    await rig.hear("b")
    assert _observed() == before + 1


def _observed() -> float:
    lines = metrics_text().splitlines()
    return float(next(line for line in lines if "admission_wait_seconds_count" in line).rpartition(" ")[2])
