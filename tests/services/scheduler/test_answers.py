"""Why does it wait, and what if: exact answers for this moment, which change nothing."""

from typing import Any

import httpx

from contracts.events.scheduling.v1 import WorkloadQueued
from tests.services.scheduler.rig import Rig, finish, submit

ROOM = "/scheduling/v1/namespaces/team"


async def _why(rig: Rig, name: str) -> Any:
    answer = await rig.http.get(f"{ROOM}/workloads/uid-{name}/explanation")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def _what_if(rig: Rig, message: Any) -> httpx.Response:
    return await rig.http.post(f"{ROOM}/forecast", json=message.model_dump(mode="json"))


async def test_a_waiting_job_learns_its_place_its_reason_and_who_would_have_to_finish(rig: Rig):
    for name in "abc":
        await rig.say(submit(name, nodes=2))
        await rig.hear(name)
    told = await _why(rig, "c")
    assert (told["state"], told["queue"], told["position"], told["waiting"]) == ("Waiting", "default", 2, 2)
    assert [one["name"] for one in told["ahead"]] == ["b"]
    assert [one["name"] for one in told["blockers"]["alone"]] == ["a"]
    assert told["sentences"][0] == "It waits in place 2 of 2 in queue default."
    assert "It fits when any one of these finishes: TrainJob team/a." in told["sentences"]


async def test_one_that_does_not_wait_says_so_and_a_stranger_is_unknown(rig: Rig):
    await rig.say(submit("a"))
    await rig.hear("a")
    assert (await _why(rig, "a"))["state"] == "Admitted"
    assert (await _why(rig, "nobody"))["state"] == "Unknown"
    other = await rig.http.get("/scheduling/v1/namespaces/other/workloads/uid-a/explanation")
    assert other.json()["state"] == "Unknown", "what is not of this namespace is nobody's business here"


async def test_a_forecast_is_what_then_happens_and_changes_nothing(rig: Rig):
    yes = (await _what_if(rig, submit("a", nodes=2))).json()
    assert yes["starts"] and yes["sentences"] == ["It would start at once: 2 node on default-flavor."]
    assert await rig.workload("a") is None
    await rig.say(submit("a", nodes=2))
    await rig.hear("a")
    no = (await _what_if(rig, submit("b"))).json()
    assert not no["starts"] and [one["name"] for one in no["blockers"]["alone"]] == ["a"]
    await rig.say(submit("b"))
    assert isinstance(await rig.hear("b"), WorkloadQueued)
    await rig.say(finish("a"))
    never = (await _what_if(rig, submit("c", nodes=9))).json()
    assert "It cannot start whoever finishes; change the workload or the queue." in never["sentences"]


async def test_a_forecast_names_whom_it_would_preempt(rig: Rig):
    await rig.queue("q", "1", preemption={"withinClusterQueue": "LowerPriority"})
    await rig.say(submit("low", queue="q"))
    await rig.hear("low")
    told = (await _what_if(rig, submit("high", queue="q", priority=5))).json()
    assert [one["name"] for one in told["preempts"]] == ["low"]
    held = (await _what_if(rig, submit("gold", priority_class="gold"))).json()
    assert not held["starts"] and "WorkloadPriorityClass 'gold'" in held["sentences"][0]


async def test_a_question_that_makes_no_sense_is_refused_with_the_field(rig: Rig):
    answer = await rig.http.post(f"{ROOM}/forecast", json={"namespace": "team", "name": "a"})
    assert answer.status_code == 422 and "uid" in answer.text
    elsewhere = submit("a").model_copy(update={"namespace": "other"})
    assert (await _what_if(rig, elsewhere)).status_code == 400
