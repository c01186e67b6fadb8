"""Workloads that are set aside, by a person or by a limit: their owners are suspended, and how they go on."""

from typing import Any

from contracts.events.scheduling.v1 import WorkloadAdmitted, WorkloadEvicted, WorkloadQueued
from tests.services.scheduler.rig import Rig, comes_true, finish, submit
from tests.services.scheduler.test_queues import _reserved


async def _path(rig: Rig, name: str) -> str:
    return f"namespaces/team/workloads/{(await rig.workload(name))['metadata']['name']}"


async def _deactivated(rig: Rig) -> str:
    """The job a ran, was deactivated by hand, and its owner suspended it; answers its Workload's path."""
    await rig.say(submit("a", nodes=2))
    await rig.hear("a")
    path = await _path(rig, "a")
    assert (await rig.patch(path, {"spec": {"active": False}})).status_code == 200
    told = await rig.hear("a")
    assert (told.reason, told.admission) == ("Deactivated", "1")
    await rig.say(submit("a", nodes=2, suspended=True, generation=2, after="1"))
    return path


async def test_one_set_aside_by_hand_gives_its_quota_back_and_queues_when_it_is_made_active(rig: Rig):
    path = await _deactivated(rig)
    await rig.say(submit("b", nodes=2))
    await rig.hears("b", WorkloadAdmitted)
    await rig.say(finish("b"))
    assert await rig.silent("a")
    await rig.patch(path, {"spec": {"active": True}})
    told = await rig.hears("a", WorkloadAdmitted)
    assert (told.admission, told.generation) == ("2", 2), "its owner, still suspended, resumes with this"


async def test_one_set_aside_by_hand_is_not_made_active_by_its_owner(rig: Rig):
    path = await _deactivated(rig)
    await rig.say(submit("a", nodes=2, generation=3))
    told = await rig.hear("a")
    assert isinstance(told, WorkloadQueued) and "set spec.active of it to true" in told.reason
    await rig.patch(path, {"spec": {"active": True}})
    assert (await rig.hears("a", WorkloadAdmitted)).generation == 3


async def test_a_late_wish_from_before_it_was_set_aside_changes_nothing(rig: Rig):
    path = await _deactivated(rig)
    await rig.say(submit("a", nodes=2, generation=1))
    assert await rig.silent("a")
    assert (await rig.get(path.split("/")[2], path.split("/")[3], "team"))["spec"]["active"] is False


async def test_one_that_ran_too_long_rests_until_its_owner_resumes_it_and_has_its_whole_time_again(rig: Rig):
    await rig.say(submit("a", nodes=2, max_execution_s=1))
    await rig.hear("a")
    told = await rig.hear("a")
    assert isinstance(told, WorkloadEvicted) and told.reason == "MaximumExecutionTimeExceeded"
    await rig.say(submit("a", nodes=2, max_execution_s=1, suspended=True, generation=2, after="1"))
    await comes_true(lambda: _rests(rig, "a"))
    assert await rig.silent("a")
    await rig.say(submit("a", nodes=2, max_execution_s=1, generation=3, after="1"))
    assert (await rig.hears("a", WorkloadAdmitted)).admission == "2"
    obj = await rig.workload("a")
    assert obj["spec"]["active"] is True
    assert "ran" not in obj["status"]["scheduling"]
    assert (await rig.hear("a")).reason == "MaximumExecutionTimeExceeded"


async def _rests(rig: Rig, name: str) -> bool:
    return not (await rig.workload(name))["status"]["scheduling"].get("admission")


async def test_who_is_rejected_by_a_check_before_it_began_is_told_to_rest(rig: Rig):
    await rig.make("AdmissionCheck", "admissionchecks", "budget", {"controllerName": "example.com/budget"})
    await rig.queue("q", admissionChecksStrategy={"admissionChecks": [{"name": "budget"}]})
    await rig.say(submit("a", queue="q"))
    obj: Any = await comes_true(lambda: _reserved(rig, "a"))
    no = {"name": "budget", "state": "Rejected", "message": "no money", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    path = f"namespaces/team/workloads/{obj['metadata']['name']}/status"
    await rig.patch(path, {"status": {"admissionChecks": [no]}})
    told = await rig.hears("a", WorkloadEvicted)
    assert (told.reason, told.admission) == ("Deactivated", "1") and "budget rejected it" in told.message
    await rig.say(submit("a", queue="q", suspended=True, generation=2, after="1"))
    await rig.say(submit("a", queue="q", generation=3, after="1"))
    assert await comes_true(lambda: _reserved(rig, "a")), "resumed, it asks the check again"


async def test_a_class_that_went_away_holds_back_who_waits_and_nobody_who_runs(rig: Rig):
    await rig.say(submit("a"))
    await rig.hear("a")
    await rig.say(submit("a", priority_class="gone", generation=2))
    assert isinstance(await rig.hear("a"), WorkloadAdmitted)
    assert await rig.silent("a")
