"""Predictors that cannot run: no room, no image, no volume, no leave; serving says why and goes on by itself."""

from contextlib import asynccontextmanager

import httpx
import pytest

from libs.base.errors import Forbidden
from libs.cluster import HTTPROUTE, POD
from libs.service.app import Given
from libs.service.shell import serve
from services.serving.app import ServingSettings, build
from services.serving.domain.predictor import predictor
from services.serving.domain.starting import obstacle
from services.serving.domain.status import Observed
from services.serving.domain.workloads import Surroundings, workloads
from services.serving.reconcile.plan import plan
from tests.services.serving.cluster import SmallCluster
from tests.services.serving.test_rollout import NOW, PATH, condition, create, isvc, letters, made, ready, until


@asynccontextmanager
async def serving(tmp_path, cluster, **more):
    settings = ServingSettings(service="serving", store_url=f"sqlite:///{tmp_path}/s.db", insecure=True, **more)
    async with (
        serve(build(), settings, Given(cluster=cluster)) as service,
        httpx.AsyncClient(transport=httpx.ASGITransport(service.asgi), base_url="http://serving") as client,
    ):
        yield service, client


@pytest.fixture
def cluster():
    return SmallCluster()


@pytest.fixture
async def both(tmp_path, cluster):
    async with serving(tmp_path, cluster) as both:
        yield both


def told(obj, kind="PredictorReady"):
    found = [c for c in (obj.get("status") or {}).get("conditions") or [] if c["type"] == kind]
    return (found[0].get("reason"), found[0].get("message", "")) if found else ("", "")


def says(reason):
    return lambda obj: told(obj)[0] == reason


UNSCHEDULABLE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
NO_ROOM = {**UNSCHEDULABLE, "message": "0/3 nodes are available: 3 Insufficient memory."}


async def test_a_predictor_without_room_waits_and_becomes_ready_when_there_is_some(both, cluster):
    service, client = both
    await create(client, isvc())
    await made(client, cluster)
    cluster.pend(conditions=[NO_ROOM])
    waiting = await until(client, f"{PATH}/iris", says("Unschedulable"))
    assert "3 Insufficient memory" in told(waiting)[1] and told(waiting, "Ready") == told(waiting)
    assert waiting["status"]["modelStatus"]["transitionStatus"] == "InProgress", "nothing has failed"
    await cluster.lose_pods()
    cluster.roll_out()
    await until(client, f"{PATH}/iris", ready)
    assert [kind for kind, _ in await letters(service)] == ["created", "ready"]


def test_what_the_kubelet_says_by_turns_does_not_flap():
    wanted, around = predictor(isvc()["spec"], None), Surroundings("http://edge", "millstream-system")
    stored = {**isvc(), "metadata": {**isvc()["metadata"], "uid": "u", "generation": 1}}
    deployment = workloads(stored, wanted, around)[0]

    def looked_at(obj, reason, message):
        state = {"name": "kserve-container", "state": {"waiting": {"reason": reason, "message": message}}}
        pod = {"metadata": {"name": "a"}, "status": {"phase": "Pending", "containerStatuses": [state]}}
        seen = Observed(deployment, obstacle=obstacle(deployment, [pod], (), NOW))
        return {**obj, "status": plan(obj, wanted, seen, around, NOW).status}

    first = looked_at(stored, "ErrImagePull", "unauthorized: authentication required")
    assert told(first)[0] == "ImagePullBackOff" and "unauthorized" in told(first)[1]
    assert looked_at(first, "ImagePullBackOff", 'Back-off pulling image "x"') == first


async def test_what_admission_says_to_the_deployment_is_passed_on(both, cluster):
    _, client = both
    await create(client, isvc())
    await made(client, cluster)
    denied = 'pods "x" is forbidden: exceeded quota: team, requested: limits.memory=2Gi'
    failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": denied}
    cluster.roll_out(availableReplicas=0, replicas=0, conditions=[failure])
    waiting = await until(client, f"{PATH}/iris", says("QuotaExceeded"))
    assert "limits.memory=2Gi" in told(waiting)[1]


async def test_a_volume_that_cannot_be_mounted_is_told_from_events(both, cluster):
    _, client = both
    await create(client, isvc(storageUri="pvc://models/iris"))
    await made(client, cluster)
    text = 'MountVolume.SetUp failed for volume "model": rpc error'
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "e", "namespace": "team"},
        "involvedObject": {"uid": "u-a"},
        "type": "Warning",
        "reason": "FailedMount",
        "message": text,
    }
    cluster.put(event)
    state = {"waiting": {"reason": "ContainerCreating"}}
    cluster.pend(containerStatuses=[{"name": "kserve-container", "ready": False, "state": state}])
    waiting = await until(client, f"{PATH}/iris", says("FailedMount"))
    assert told(waiting)[1] == text


async def test_an_evicted_pod_is_no_failure_of_the_model(both, cluster):
    service, client = both
    await create(client, isvc())
    await made(client, cluster)
    ended = {"terminated": {"exitCode": 137, "reason": "Error", "finishedAt": "2026-11-22T10:00:00Z"}}
    gone = [{"name": "kserve-container", "ready": False, "state": ended}]
    cluster.pend(phase="Failed", reason="Evicted", containerStatuses=gone)
    cluster.roll_out()
    await until(client, f"{PATH}/iris", ready)
    cluster.roll_out(availableReplicas=0)
    waiting = await until(client, f"{PATH}/iris", lambda obj: condition(obj, "Ready") == "False")
    assert told(waiting)[0] == "MinimumReplicasUnavailable"
    assert [kind for kind, _ in await letters(service)] == ["created", "ready"]
    assert any(resource == POD for resource, _, _ in cluster.objects)


async def test_a_refused_deployment_waits_for_leave(both, cluster):
    service, client = both
    cluster.refusal = Forbidden(
        'deployments.apps "iris-predictor" is forbidden: exceeded quota: team, requested: count/deployments.apps=1'
    )
    await create(client, isvc())
    waiting = await until(client, f"{PATH}/iris", says("QuotaExceeded"))
    assert waiting["status"]["modelStatus"]["transitionStatus"] == "InProgress"
    assert [kind for kind, _ in await letters(service)] == ["created"]
    cluster.refusal = None
    await client.patch(f"{PATH}/iris", json={"metadata": {"labels": {"again": "now"}}}, headers=MERGE)
    await made(client, cluster)


MERGE = {"content-type": "application/merge-patch+json"}


async def test_without_routes_none_is_made_and_the_service_is_the_door(tmp_path, cluster):
    more = {"routes": "none", "workload_image_prefix": "registry.example/team/", "workload_image_tag": "7"}
    async with serving(tmp_path, cluster, **more) as (_, client):
        await create(client, isvc())
        await until(client, f"{PATH}/iris", lambda obj: len(cluster.objects) >= 2 and "status" in obj)
        cluster.roll_out()
        done = await until(client, f"{PATH}/iris", ready)
        assert done["status"]["url"].endswith("/serving/team/iris")
        assert not any(resource == HTTPROUTE for resource, _, _ in cluster.objects)
        container = cluster.deployment()["spec"]["template"]["spec"]["containers"][0]
        assert container["image"] == "registry.example/team/model-server:7"
        await client.delete(f"{PATH}/iris")
        await until(client, f"{PATH}/iris", lambda obj: obj.get("code") == 404)


async def test_a_deletion_that_a_lost_node_holds_up_says_so(both, cluster):
    _, client = both
    await create(client, isvc())
    await made(client, cluster)
    stuck = cluster.pend(phase="Running")
    stuck["metadata"]["deletionTimestamp"] = "2026-11-22T09:00:00Z"
    cluster.put({**stuck, "spec": {"nodeName": "n1"}, "status": {"phase": "Running"}})
    await client.delete(f"{PATH}/iris")
    waiting = await until(client, f"{PATH}/iris", says("NodeLost"))
    assert "node n1 does not answer" in told(waiting)[1]
    await cluster.lose_pods()
    await until(client, f"{PATH}/iris", lambda obj: obj.get("code") == 404)
