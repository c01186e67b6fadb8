"""Kueue's kinds at work: quotas of queues, preemption and resumption, shared quota, checks, what is refused."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from contracts.commands.scheduling.v1 import Topology
from contracts.events.scheduling.v1 import WorkloadAdmitted, WorkloadEvicted, WorkloadQueued
from tests.services.scheduler.rig import API, Rig, comes_true, finish, of, report, running, submit

URGENT = {"preemption": {"withinClusterQueue": "LowerPriority"}}


def _conditions(obj: Any) -> dict[str, Any]:
    return {c["type"]: c for c in obj["status"]["conditions"]}


async def test_a_job_waits_in_the_queue_that_its_label_names(rig: Rig):
    await rig.queue("small", "1")
    await rig.say(submit("a", queue="small"))
    told = await rig.hear("a")
    assert (told.cluster_queue, told.admission) == ("small", "1")
    await rig.say(submit("b", queue="small"))
    assert isinstance(await rig.hear("b"), WorkloadQueued)
    await rig.say(submit("c"))
    assert (await rig.hear("c")).cluster_queue == "default"


async def test_a_job_of_a_queue_that_is_not_there_says_so_and_starts_when_it_comes(rig: Rig):
    await rig.say(submit("a", queue="later"))
    assert "LocalQueue later does not exist in namespace team" in (await rig.hear("a")).reason
    await rig.queue("later")
    assert isinstance(await rig.hears("a", WorkloadAdmitted), WorkloadAdmitted)


async def test_a_higher_priority_preempts_and_the_preempted_one_resumes_afterwards(rig: Rig):
    await rig.queue("q", "2", **URGENT)
    await rig.make("WorkloadPriorityClass", "workloadpriorityclasses", "high", {"value": 1000})
    await rig.say(submit("low", nodes=2, queue="q"))
    await rig.hear("low")
    await rig.say(submit("urgent", nodes=2, queue="q", priority_class="high"))
    told = await rig.hear("low")
    assert isinstance(told, WorkloadEvicted) and (told.reason, told.admission) == ("Preempted", "1")
    waits = await rig.hear("urgent")
    assert isinstance(waits, WorkloadQueued), "no pod of the other is gone yet"
    seen = _conditions(await rig.workload("low"))
    assert (seen["Evicted"]["status"], seen["Preempted"]["status"]) == ("True", "True")
    await rig.say(submit("low", nodes=2, queue="q", after="1"))
    assert isinstance(await rig.hears("urgent", WorkloadAdmitted), WorkloadAdmitted)
    await rig.say(finish("urgent"))
    again = await rig.hears("low", WorkloadAdmitted)
    assert again.admission == "2"
    seen = _conditions(await rig.workload("low"))
    assert (seen["Evicted"]["status"], seen["Admitted"]["status"]) == ("False", "True")


async def test_a_missing_priority_class_holds_a_job_back_until_it_is_there(rig: Rig):
    await rig.say(submit("a", priority_class="gold"))
    assert "there is no WorkloadPriorityClass 'gold'" in (await rig.hear("a")).reason
    await rig.make("WorkloadPriorityClass", "workloadpriorityclasses", "gold", {"value": 7})
    await rig.say(submit("a", priority_class="gold"))
    await rig.hears("a", WorkloadAdmitted)
    assert (await rig.workload("a"))["spec"]["priority"] == 7


async def test_queues_of_one_cohort_borrow_from_each_other_and_take_back(rig: Rig):
    mine = {"cohortName": "team", "preemption": {"reclaimWithinCohort": "Any"}}
    await rig.queue("a", "1", **mine)
    await rig.queue("b", "1", **mine)
    await rig.say(submit("borrower", nodes=2, queue="a"))
    assert isinstance(await rig.hear("borrower"), WorkloadAdmitted)

    async def shows() -> bool:
        flavors = ((await rig.get("clusterqueues", "a")).get("status") or {}).get("flavorsUsage") or [{}]
        return {"name": "cpu", "total": "2", "borrowed": "1"} in flavors[0].get("resources", [])

    await comes_true(shows)
    await rig.say(submit("owner", queue="b"))
    assert isinstance(await rig.hear("borrower"), WorkloadEvicted)
    await rig.say(submit("borrower", nodes=2, queue="a", after="1"))
    assert isinstance(await rig.hears("owner", WorkloadAdmitted), WorkloadAdmitted)


async def test_a_workload_that_is_deleted_by_hand_goes_when_its_pods_are_gone_and_comes_back(rig: Rig):
    await rig.say(submit("a"))
    await rig.hear("a")
    name = (await rig.workload("a"))["metadata"]["name"]
    await rig.http.delete(f"{API}/namespaces/team/workloads/{name}")
    assert (await rig.hear("a")).reason == "WorkloadDeleted", "no word that would suspend its owner"
    assert (await rig.workload("a"))["metadata"]["deletionTimestamp"]
    await rig.say(submit("a", after="1"))
    assert (await rig.hears("a", WorkloadAdmitted)).admission == "2"
    assert "deletionTimestamp" not in (await rig.workload("a"))["metadata"]


async def test_a_stopped_queue_drains_and_goes_on_later(rig: Rig):
    await rig.queue("q")
    await rig.say(submit("a", queue="q"))
    await rig.hear("a")
    await rig.patch("clusterqueues/q", {"spec": {"stopPolicy": "HoldAndDrain"}})
    assert (await rig.hear("a")).reason == "QueueStopped"
    await rig.say(submit("a", queue="q", after="1"))
    await rig.hears("a", WorkloadQueued)
    await rig.patch("clusterqueues/q", {"spec": {"stopPolicy": "None"}})
    await rig.hears("a", WorkloadAdmitted)


async def test_an_admission_check_has_to_say_yes_besides_quota(rig: Rig):
    await rig.make("AdmissionCheck", "admissionchecks", "budget", {"controllerName": "example.com/budget"})
    await rig.queue("q", admissionChecksStrategy={"admissionChecks": [{"name": "budget"}]})
    await rig.say(submit("a", queue="q"))
    obj = await comes_true(lambda: _reserved(rig, "a"))
    assert [(c["name"], c["state"]) for c in obj["status"]["admissionChecks"]] == [("budget", "Pending")]
    assert not rig.said("a"), "its owner may not start yet"
    ready = {"name": "budget", "state": "Ready", "message": "paid", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    path = f"namespaces/team/workloads/{obj['metadata']['name']}/status"
    answer = await rig.patch(path, {"status": {"admissionChecks": [ready]}})
    assert answer.status_code == 200, answer.text
    assert isinstance(await rig.hear("a"), WorkloadAdmitted)


async def _reserved(rig: Rig, name: str) -> Any:
    obj = await rig.workload(name)
    held = obj and any(
        c["type"] == "QuotaReserved" and c["status"] == "True" for c in obj["status"].get("conditions") or ()
    )
    return obj if held else None


async def test_what_stands_for_no_object_goes_with_those_that_it_names_or_with_none(rig: Rig):
    await rig.queue("q")
    one = {"apiVersion": "millstream.dev/v1alpha1", "kind": "PipelineRun", "name": "run", "uid": "uid-run"}
    for name, owners in (("a", [one]), ("b", [])):
        await rig.say(submit(name, nodes=1, queue="q").model_copy(update={"owners": owners}))
        assert isinstance(await rig.hear(name), WorkloadAdmitted)
    found = {obj["metadata"]["labels"]["kueue.x-k8s.io/job-uid"]: obj for obj in await rig.workloads()}
    bound = {"controller": True, "blockOwnerDeletion": True}
    assert found["uid-a"]["metadata"]["ownerReferences"] == [{**one, **bound}]
    assert "ownerReferences" not in found["uid-b"]["metadata"]
    await rig.say(submit("c", nodes=2, queue="q"))
    for name in ("a", "b"):
        await rig.say(finish(name, "Deleted"))
    assert isinstance(await rig.hears("c", WorkloadAdmitted), WorkloadAdmitted), "what they held is free"


async def test_the_status_of_a_workload_reads_as_kueues_does(rig: Rig):
    await rig.queue("q")
    await rig.say(submit("a", nodes=2, queue="q"))
    await rig.hear("a")
    obj = await rig.workload("a")
    owner = {"apiVersion": "v1", "kind": "TrainJob", "name": "a", "uid": "uid-a"}
    assert obj["metadata"]["ownerReferences"] == [{**owner, "controller": True, "blockOwnerDeletion": True}]
    assert obj["spec"]["queueName"] == "q" and obj["spec"]["active"] is True
    (given,) = obj["status"]["admission"]["podSetAssignments"]
    flavors = {"cpu": "default-flavor", "memory": "default-flavor"}
    assert given == {
        "name": "node", "count": 2, "flavors": flavors, "resourceUsage": {"cpu": "2", "memory": "1073741824"},
    }  # fmt: skip
    await rig.say(report("a"))
    seen = await comes_true(lambda: _with(rig, "a", "PodsReady"))
    assert _conditions(seen)["PodsReady"]["reason"] == "Started"
    await rig.say(finish("a"))
    seen = await comes_true(lambda: _with(rig, "a", "Finished"))
    assert _conditions(seen)["Finished"]["reason"] == "Succeeded"
    await rig.say(finish("a", "Deleted"))
    await comes_true(lambda: _gone(rig, "a"))


async def _with(rig: Rig, name: str, condition: str) -> Any:
    obj = await rig.workload(name)
    return obj if condition in _conditions(obj) else None


async def _gone(rig: Rig, name: str) -> bool:
    return await rig.workload(name) is None


async def test_a_workload_shows_how_often_it_was_evicted_and_why(rig: Rig):
    await rig.queue("q")
    await rig.say(submit("a", queue="q"))
    await rig.hear("a")
    for turn in ("1", "2"):
        await rig.patch("clusterqueues/q", {"spec": {"stopPolicy": "HoldAndDrain"}})
        await rig.hears("a", WorkloadEvicted)
        await rig.say(submit("a", queue="q", after=turn))
        await rig.patch("clusterqueues/q", {"spec": {"stopPolicy": "None"}})
        await rig.hears("a", WorkloadAdmitted)
    stats = (await rig.workload("a"))["status"]["schedulingStats"]
    assert stats == {"evictions": [{"reason": "QueueStopped", "underlyingCause": "", "count": 2}]}


async def test_queues_and_cohorts_show_their_share_where_shares_are_fair(tmp_path: Path):
    async with running(tmp_path, fair_sharing=True) as rig:
        await rig.make("Cohort", "cohorts", "all", {})
        await rig.queue("a", "1", cohortName="all")
        await rig.queue("b", "2", cohortName="all")
        await rig.queue("light", "0", cohortName="all", fairSharing={"weight": "0"})
        for name, queue in (("one", "a"), ("two", "a"), ("three", "light")):
            await rig.say(submit(name, queue=queue))
            await rig.hears(name, WorkloadAdmitted)

        async def shares() -> Any:
            found = {name: await rig.get("clusterqueues", name) for name in ("a", "b", "light")}
            found["all"] = await rig.get("cohorts", "all")
            told = {name: (obj.get("status") or {}).get("fairSharing") for name, obj in found.items()}
            wanted = {"a": 334, "b": 0, "light": 2**63 - 1, "all": 0}
            return told == {name: {"weightedShare": value} for name, value in wanted.items()}

        assert await comes_true(shares), "one of the three that may be lent, rounded up; weightless and borrowing; none"


async def test_a_queue_shows_who_waits_and_that_a_flavor_is_missing(rig: Rig):
    await rig.queue("q", "1", flavor="spot")

    async def told(active: str) -> Any:
        status = (await rig.get("clusterqueues", "q")).get("status") or {}
        found = next((c for c in status.get("conditions") or [] if c["type"] == "Active"), None)
        return status if found and found["status"] == active else None

    status = await comes_true(lambda: told("False"))
    assert "missing ResourceFlavor(s): ['spot']" in status["conditions"][0]["message"]
    await rig.say(submit("a", queue="q"))
    await rig.make("ResourceFlavor", "resourceflavors", "spot", {"nodeLabels": {"lifecycle": "spot"}})
    given = (await rig.hears("a", WorkloadAdmitted)).pod_sets[0]
    assert given.flavors["cpu"] == "spot" and given.node_selector == {"lifecycle": "spot"}
    await rig.say(submit("b", queue="q"))

    async def counted() -> bool:
        status = await told("True") or {}
        local = (await rig.get("localqueues", "q", "team")).get("status") or {}
        numbers = (status.get("pendingWorkloads"), status.get("admittedWorkloads"), local.get("pendingWorkloads"))
        return numbers == (1, 1, 1)

    await comes_true(counted)


async def test_a_status_that_waited_for_a_slow_disk_does_not_keep_the_next_one_back(rig: Rig):
    async def waiting(number: int) -> bool:
        status = (await rig.get("clusterqueues", "q")).get("status") or {}
        return status.get("pendingWorkloads") == number

    await rig.queue("q", "0")
    await comes_true(lambda: waiting(0))
    await rig.say(submit("a", queue="q"))
    await rig.hear("a")
    async with rig.service.ports.store.write():
        await asyncio.sleep(1.5)
    await comes_true(lambda: waiting(1))
    await rig.say(submit("b", queue="q"))
    await comes_true(lambda: waiting(2))


async def test_a_pod_set_asks_for_its_place_in_the_words_of_kueue(rig: Rig):
    pods = submit("a").pod_sets[0].model_copy(update={"topology": Topology(mode="required", level="rack")})
    await rig.say(submit("a", pod_sets=[pods]))
    assert "no topology" in (await rig.hear("a")).reason
    assert (await rig.workload("a"))["spec"]["podSets"][0]["topologyRequest"] == {"required": "rack"}


GROUP = {
    "coveredResources": ["cpu"],
    "flavors": [{"name": "f", "resources": [{"name": "cpu", "nominalQuota": "1"}]}],
}


@pytest.mark.parametrize(
    "plural, kind, spec, told",
    [
        ("clusterqueues", "ClusterQueue", {"resourceGroups": [GROUP, GROUP]}, "resource 'cpu' stands in it 2 times"),
        (
            "clusterqueues",
            "ClusterQueue",
            {"resourceGroups": [{**GROUP, "coveredResources": ["cpu", "memory"]}]},
            "spec.resourceGroups[0].flavors[0].resources",
        ),
        ("clusterqueues", "ClusterQueue", {"queueingStrategy": "Random"}, "spec.queueingStrategy"),
        (
            "clusterqueues",
            "ClusterQueue",
            {"preemption": {"borrowWithinCohort": {"policy": "LowerPriority"}}},
            "reclaimWithinCohort",
        ),
        ("cohorts", "Cohort", {"parentName": "bad"}, "is the cohort itself"),
        ("topologies", "Topology", {"levels": [{"nodeLabel": "rack"}, {"nodeLabel": "rack"}]}, "'rack' twice"),
        ("resourceflavors", "ResourceFlavor", {"topologyName": "t"}, "spec.nodeLabels"),
        ("resourceflavors", "ResourceFlavor", {"nodeTaints": [{"key": "a", "effect": "Never"}]}, "spec.nodeTaints"),
    ],
)
async def test_what_makes_no_sense_is_refused_with_the_field(rig: Rig, plural: str, kind: str, spec: Any, told: str):
    body = {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": kind, "metadata": {"name": "bad"}, "spec": spec}
    answer = await rig.http.post(f"{API}/{plural}", json=body)
    assert answer.status_code == 422 and told in answer.text, answer.text


async def test_a_limit_on_borrowing_needs_somebody_to_borrow_from(rig: Rig):
    limited = {"name": "cpu", "nominalQuota": "1", "borrowingLimit": "1"}
    group = {"coveredResources": ["cpu"], "flavors": [{"name": "f", "resources": [limited]}]}
    body = {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "ClusterQueue", "metadata": {"name": "bad"}}
    answer = await rig.http.post(f"{API}/clusterqueues", json={**body, "spec": {"resourceGroups": [group]}})
    assert answer.status_code == 422 and "says nothing without a cohort" in answer.text


async def test_people_change_of_a_workload_only_what_is_theirs(rig: Rig):
    await rig.say(submit("a"))
    await rig.hear("a")
    name = (await rig.workload("a"))["metadata"]["name"]
    answer = await rig.patch(f"namespaces/team/workloads/{name}", {"spec": {"queueName": "other"}})
    assert answer.status_code == 422 and "spec.queueName" in answer.text
    body = {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "Workload", "metadata": {"name": "mine"}, "spec": {}}
    answer = await rig.http.post(f"{API}/namespaces/team/workloads", json=body)
    assert answer.status_code == 422 and "written by the scheduler" in answer.text


async def test_two_tenants_share_nothing_but_what_their_cohort_says(rig: Rig):
    await rig.queue("a", "1")
    await rig.queue("b", "1")
    for name in ("a1", "a2"):
        await rig.say(submit(name, queue="a"))
        await rig.hear(name)
    await rig.say(submit("b1", queue="b"))
    assert isinstance(await rig.hear("b1"), WorkloadAdmitted)
    assert isinstance(rig.said("a2")[-1], WorkloadQueued)
    stranger = submit("c1", queue="a").model_copy(update={"namespace": "elsewhere"})
    await rig.say(stranger)
    assert "LocalQueue a does not exist in namespace elsewhere" in (await rig.hear("c1")).reason
    assert of("a1")["namespace"] == "team"
