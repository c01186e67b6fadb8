"""A service that names a queue runs when, and as far as, the scheduler lets it: the whole service, a small cluster."""

import pytest

from contracts.events.scheduling.v1 import Assignment, WorkloadAdmitted, WorkloadEvicted, WorkloadQueued
from contracts.queueing import GATE
from libs.cluster import DEPLOYMENT, POD
from services.serving.domain import seats
from tests.services.serving.test_rollout import (
    PATH,
    condition,
    create,
    eventually,
    isvc,
    letters,
    ready,
    until,
)

QUEUE = "kueue.x-k8s.io/queue-name"
WHERE = f"{PATH}/iris"
MERGE = {"content-type": "application/merge-patch+json"}


def queued(replicas=2, **model):
    made = isvc(resources={"requests": {"cpu": "1"}}, **model)
    made["metadata"]["labels"] = {QUEUE: "team-queue"}
    made["spec"]["predictor"]["minReplicas"] = replicas
    return made


async def hear(service, event):
    app, ports = service.app, service.ports
    async with ports.store.write() as uow:
        await app.handlers[type(event)](event, app.needs(ports, uow))


def answer(kind, obj, **more):
    meta = obj["metadata"]
    about = {"namespace": "team", "name": "iris", "uid": meta["uid"], "kind": "InferenceService"}
    return kind(**about, **more)


def admitted(obj, admission="1", count=2, **given):
    assignment = Assignment(name="predictor", count=count, **given)
    generation = obj["metadata"]["generation"]
    return answer(WorkloadAdmitted, obj, admission=admission, generation=generation, pod_sets=[assignment])


def replicas(cluster):
    found = cluster.objects.get((DEPLOYMENT, "team", "iris-predictor"))
    return found["spec"]["replicas"] if found else 0


def why(obj):
    return next(
        (c.get("reason") for c in (obj.get("status") or {}).get("conditions") or [] if c["type"] == "Ready"), ""
    )


async def said(service, which):
    return [data for kind, data in await letters(service) if kind == which]


async def admitted_service(client, cluster, service):
    """A service of two pods that is admitted and answers."""
    obj = await create(client, queued())
    await until(client, WHERE, lambda found: why(found) == "Waiting")
    await hear(service, admitted(obj))
    await eventually(lambda: replicas(cluster) == 2)
    cluster.roll_out()
    return await until(client, WHERE, ready)


async def test_it_waits_without_pods_says_so_and_starts_where_it_is_admitted(client, cluster, service):
    obj = await create(client, queued())
    await until(client, WHERE, lambda found: why(found) == "Waiting")
    assert replicas(cluster) == 0
    (ask,) = await said(service, "submit")
    assert (ask["queue"], ask["kind"], ask["uid"]) == ("team-queue", "InferenceService", obj["metadata"]["uid"])
    assert [(s["name"], s["count"], s["requests"]) for s in ask["pod_sets"]] == [("predictor", 2, {"cpu": "1"})]
    await hear(service, answer(WorkloadQueued, obj, position=3, reason="2 in front of it"))
    shown = await until(client, WHERE, lambda found: why(found) == "Queued")
    assert "place 3" in next(c["message"] for c in shown["status"]["conditions"] if c["type"] == "Ready")
    assert condition(shown, "PredictorReady") == "False"
    spot = {"key": "spot", "operator": "Exists"}
    await hear(service, admitted(obj, node_selector={"disk": "fast"}, tolerations=[spot]))
    await eventually(lambda: replicas(cluster) == 2)
    spec = cluster.deployment()["spec"]
    assert spec["template"]["spec"]["nodeSelector"] == {"disk": "fast"}
    assert spec["template"]["spec"]["tolerations"] == [spot]
    assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 1, "maxSurge": 0}, "no pod beyond the quota"
    cluster.roll_out()
    await until(client, WHERE, ready)
    assert [r["ready"] for r in await said(service, "report")] == [True]


async def test_an_evicted_service_stops_and_asks_again_when_its_last_pod_has_gone(client, cluster, service):
    obj = await admitted_service(client, cluster, service)
    pod = cluster.pend()
    await hear(service, answer(WorkloadEvicted, obj, admission="1", reason="Preempted", message="by team/b"))
    await eventually(lambda: replicas(cluster) == 0)
    shown = await until(client, WHERE, lambda found: why(found) == "Preempted")
    assert shown["status"]["admission"]["state"] == "Evicted"
    assert len(await said(service, "submit")) == 1, "the quota is its own as long as a pod is there"
    await cluster.lose_pods()
    cluster.put({**cluster.deployment()})
    await until(client, WHERE, lambda found: why(found) == "Waiting")
    assert [ask["after"] for ask in await said(service, "submit")] == [None, "1"], pod["metadata"]["name"]
    await hear(service, admitted(obj, admission="1"))
    assert why((await client.get(WHERE)).json()) == "Waiting", "an admission whose pods are gone starts nothing"
    await hear(service, admitted(obj, admission="2"))
    await eventually(lambda: replicas(cluster) == 2)


async def test_more_pods_come_when_they_are_granted_and_fewer_go_at_once(client, cluster, service):
    await admitted_service(client, cluster, service)
    await client.patch(WHERE, json={"spec": {"predictor": {"minReplicas": 3}}}, headers=MERGE)
    obj = await until(client, WHERE, lambda found: found["status"]["admission"].get("counts") == 3)
    assert replicas(cluster) == 2
    assert (await said(service, "report"))[-1]["counts"] == {"predictor": 3}
    await hear(service, admitted(obj, count=3))
    await eventually(lambda: replicas(cluster) == 3)
    await client.patch(WHERE, json={"spec": {"predictor": {"minReplicas": 1}}}, headers=MERGE)
    await eventually(lambda: replicas(cluster) == 1)
    await until(client, WHERE, lambda found: found["status"]["admission"].get("counts") == 1)


async def test_of_fewer_pods_the_scheduler_hears_when_the_others_have_gone(client, cluster, service):
    await admitted_service(client, cluster, service)
    leaving = [cluster.pend(), cluster.pend(name="pod-b")]
    await client.patch(WHERE, json={"spec": {"predictor": {"minReplicas": 1}}}, headers=MERGE)
    await eventually(lambda: replicas(cluster) == 1)
    await client.patch(WHERE, json={"metadata": {"annotations": {"look": "again"}}}, headers=MERGE)
    assert "counts" not in (await client.get(WHERE)).json()["status"]["admission"]
    await cluster.delete(POD, "team", leaving[0]["metadata"]["name"])
    await until(client, WHERE, lambda found: found["status"]["admission"].get("counts") == 1)
    assert (await said(service, "report"))[-1]["counts"] == {"predictor": 1}


async def test_other_amounts_per_pod_take_another_admission(client, cluster, service):
    await admitted_service(client, cluster, service)
    change = {"spec": {"predictor": {"model": {"resources": {"requests": {"cpu": "8"}}}}}}
    assert (await client.patch(WHERE, json=change, headers=MERGE)).status_code == 200
    await eventually(lambda: replicas(cluster) == 0)
    await until(client, WHERE, lambda found: why(found) == "Waiting")
    ask = (await said(service, "submit"))[-1]
    assert (ask["after"], ask["pod_sets"][0]["requests"]) == ("1", {"cpu": "8"})


@pytest.mark.parametrize("label", ["other-queue", None])
async def test_the_queue_of_a_service_cannot_be_changed_or_taken_off(client, cluster, service, label):
    await create(client, queued())
    refused = await client.patch(WHERE, json={"metadata": {"labels": {QUEUE: label}}}, headers=MERGE)
    assert refused.status_code == 422
    (cause,) = refused.json()["details"]["causes"]
    assert cause["field"] == f"metadata.labels[{QUEUE}]" and "team-queue" in cause["message"]


async def test_a_deleted_service_gives_its_quota_back_when_all_is_gone(client, cluster, service):
    await admitted_service(client, cluster, service)
    await client.delete(WHERE)
    await until(client, WHERE, lambda found: found.get("code") == 404)
    assert [data["reason"] for data in await said(service, "finish")] == ["Deleted"]


async def test_a_service_without_a_queue_asks_nobody(client, cluster, service):
    await create(client, isvc())
    await eventually(lambda: replicas(cluster) == 1)
    assert await said(service, "submit") == []


async def test_a_service_that_is_set_aside_rests_until_its_workload_is_active_again(client, cluster, service):
    obj = await admitted_service(client, cluster, service)
    told = "its Workload was deactivated"
    await hear(service, answer(WorkloadEvicted, obj, admission="1", reason="Deactivated", message=told))
    await eventually(lambda: replicas(cluster) == 0)
    cluster.put({**cluster.deployment()})
    shown = await until(client, WHERE, lambda found: found["status"]["admission"]["state"] == "SetAside")
    message = next(c["message"] for c in shown["status"]["conditions"] if c["type"] == "Ready")
    assert message == f"{told}; set spec.active of its Workload to true to queue again"
    assert [(ask["suspended"], ask["after"]) for ask in await said(service, "submit")] == [(False, None), (True, "1")]
    await hear(service, answer(WorkloadQueued, obj, position=1, reason="from before"))
    change = {"spec": {"predictor": {"model": {"resources": {"requests": {"cpu": "2"}}}}}}
    assert (await client.patch(WHERE, json=change, headers=MERGE)).status_code == 200
    obj = await until(client, WHERE, lambda found: found["status"]["admission"]["generation"] > 1)
    ask = (await said(service, "submit"))[-1]
    assert (ask["suspended"], ask["pod_sets"][0]["requests"]) == (True, {"cpu": "2"})
    await hear(service, admitted(obj, admission="2"))
    await eventually(lambda: replicas(cluster) == 2)


async def test_of_two_tellings_of_an_admission_the_later_one_counts_in_whatever_order_they_come(
    client, cluster, service
):
    obj = await create(client, queued(replicas=3))
    await until(client, WHERE, lambda found: why(found) == "Waiting")
    await hear(service, admitted(obj, count=1))
    await eventually(lambda: replicas(cluster) == 1)
    for event in (_revised(obj, 2, count=3), _revised(obj, 1, count=2)):
        await hear(service, event)
    await eventually(lambda: replicas(cluster) == 3)
    shown = (await client.get(WHERE)).json()["status"]["admission"]
    assert (shown["revision"], shown["podSets"][0]["count"]) == (2, 3)


def _revised(obj, revision, **given):
    return admitted(obj, **given).model_copy(update={"revision": revision})


async def test_what_a_service_would_ask_for_is_told_and_nothing_is_stored(client):
    where = "/inference/v1/namespaces/team/demand"
    answer = await client.post(where, json=queued(storageUri="model-registry://iris"))
    assert answer.status_code == 200, answer.text
    wish = answer.json()
    assert (wish["kind"], wish["queue"]) == ("InferenceService", "team-queue")
    assert [(s["name"], s["count"], s["requests"]) for s in wish["pod_sets"]] == [("predictor", 2, {"cpu": "1"})]
    assert (await client.get(WHERE)).status_code == 404
    refused = await client.post(where, json=isvc())
    assert refused.status_code == 422 and QUEUE in refused.json()["message"]


RACKS = Assignment(
    name="predictor",
    count=3,
    topology_levels=["rack"],
    topology=[{"values": ["r1"], "count": 2}, {"values": ["r2"], "count": 1}],
)


def waiting(name, **spec):
    pod = {"metadata": {"name": name}, "spec": {"schedulingGates": [{"name": GATE}], **spec}}
    return pod


def seated(name, rack):
    return {"metadata": {"name": name}, "spec": {"nodeSelector": {"rack": rack, "disk": "fast"}}}


def test_pods_behind_the_gate_take_the_seats_that_others_left_free():
    told = {
        name: patch["spec"] for name, patch in seats.patches(RACKS, [waiting("b"), seated("a", "r1"), waiting("c")])
    }
    assert told == {
        "b": {"schedulingGates": None, "nodeSelector": {"rack": "r1"}},
        "c": {"schedulingGates": None, "nodeSelector": {"rack": "r2"}},
    }
    leaving = {**seated("a", "r1"), "metadata": {"name": "a", "deletionTimestamp": "2026-11-22T10:00:00Z"}}
    full = [seated("x", "r1"), seated("y", "r1"), seated("z", "r2"), leaving]
    assert not list(seats.patches(RACKS, [*full, waiting("b")])), "nobody sits on another's lap"
    others = waiting("d", schedulingGates=[{"name": GATE}, {"name": "example.com/licence"}])
    ((_, patch),) = seats.patches(RACKS, [others])
    assert patch["spec"]["schedulingGates"] == [{"name": "example.com/licence"}]


async def test_pods_of_a_service_that_is_spread_open_their_gates(client, cluster, service):
    obj = await create(client, queued(replicas=3))
    await until(client, WHERE, lambda found: why(found) == "Waiting")
    given = {"count": 3, "topology_levels": ["rack"], "topology": RACKS.topology}
    await hear(service, admitted(obj, **given))
    await eventually(lambda: replicas(cluster) == 3)
    assert cluster.deployment()["spec"]["template"]["spec"]["schedulingGates"] == [{"name": GATE}]
    made = cluster.pend()
    cluster.put({**made, "spec": {"schedulingGates": [{"name": GATE}]}})
    await eventually(lambda: cluster.objects[POD, "team", "pod-a"]["spec"] == {"nodeSelector": {"rack": "r1"}})
