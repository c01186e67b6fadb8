"""From an InferenceService to its status: workloads, readiness, failures and removal, through the whole service."""

import asyncio
import json
from datetime import UTC, datetime

import pytest

from contracts.envelope import letter_for, structured, subject_for
from contracts.events.registry.v1 import ModelVersionCreated
from libs.bus import Delivery
from libs.cluster import DEPLOYMENT, HTTPROUTE, SERVICE
from libs.service.hearing import effects_of
from libs.service.pipeline import Pipeline
from services.serving.app import build

NOW = datetime(2026, 11, 22, tzinfo=UTC)
PATH = "/apis/serving.kserve.io/v1beta1/namespaces/team/inferenceservices"
KEYS = (DEPLOYMENT, SERVICE, HTTPROUTE)


def isvc(name="iris", **model):
    asked = {"name": "", "modelFormat": {"name": "sklearn"}, "protocolVersion": "v2", "storageUri": "s3://b/iris"}
    predictor = {"minReplicas": 1, "model": {**asked, **model}}
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": name, "namespace": "team"},
        "spec": {"predictor": predictor},
    }


async def until(client, path, holds):
    """The object at `path`, as soon as it is so."""
    async with asyncio.timeout(30):
        while not holds(found := (await client.get(path)).json()):  # noqa: ASYNC110  asked over HTTP as a user would
            await asyncio.sleep(0.02)
    return found


async def eventually(holds):
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110  the controller works in tasks of its own
            await asyncio.sleep(0.02)


async def create(client, obj):
    answer = await client.post(PATH, json=obj)
    assert answer.status_code == 201, answer.text
    return answer.json()


def condition(obj, kind):
    found = [c for c in (obj.get("status") or {}).get("conditions") or [] if c["type"] == kind]
    return found[0]["status"] if found else None


def ready(obj):
    return condition(obj, "Ready") == "True"


def arguments(cluster):
    return cluster.deployment()["spec"]["template"]["spec"]["containers"][0]["args"]


async def made(client, cluster):
    await until(client, f"{PATH}/iris", lambda obj: len(cluster.objects) >= 3 and "status" in obj)


async def letters(service):
    said = [change.letter for change in await service.ports.store.outbox.unsaid(100)]
    return [(letter["type"].split(".")[2], letter["data"]) for letter in said]


async def test_a_service_gets_its_workloads_becomes_ready_and_says_so_once(client, cluster, service):
    await create(client, isvc())
    await made(client, cluster)
    waiting = (await client.get(f"{PATH}/iris")).json()
    assert condition(waiting, "Ready") == "False"
    assert waiting["status"]["modelStatus"]["states"] == {"targetModelState": "Loading"}
    cluster.roll_out()
    done = await until(client, f"{PATH}/iris", ready)
    status, predictor = done["status"], done["status"]["components"]["predictor"]
    assert status["url"] == "http://127.0.0.1:8080/serving/team/iris"
    assert status["observedGeneration"] == done["metadata"]["generation"]
    assert predictor["grpcUrl"] == "127.9.1.1:8081"
    assert predictor["latestReadyRevision"] == predictor["traffic"][0]["revisionName"]
    assert status["modelStatus"]["transitionStatus"] == "UpToDate"
    assert [c["type"] for c in status["conditions"]] == ["IngressReady", "PredictorReady", "Ready"]
    assert all("lastTransitionTime" in c for c in status["conditions"])
    assert done["spec"] == isvc()["spec"]
    cluster.roll_out()
    said = await letters(service)
    assert [kind for kind, _ in said] == ["created", "ready"]
    assert said[1][1]["model_uri"] == "s3://b/iris"


async def test_the_deployment_replaces_pods_one_by_one_and_drains_them(client, cluster):
    await create(
        client, isvc(resources={"limits": {"cpu": "1500m"}}, env=[{"name": "AWS_ACCESS_KEY_ID", "value": "u"}])
    )
    await made(client, cluster)
    spec = cluster.deployment()["spec"]
    assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    assert "--threads=2" in container["args"]
    assert pod["terminationGracePeriodSeconds"] > 3 + 20
    environment = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:9000"
    assert environment["AWS_ACCESS_KEY_ID"] == "u"


async def test_nothing_is_written_again_when_nothing_changed(client, cluster, service):
    await create(client, isvc())
    await made(client, cluster)
    cluster.roll_out()
    await until(client, f"{PATH}/iris", ready)
    before = len(cluster.applied)
    cluster.roll_out()
    await asyncio.sleep(0.3)
    assert cluster.applied[before:] == []


async def test_a_failed_load_tells_why_while_the_old_revision_still_answers(client, cluster, service):
    await create(client, isvc())
    await made(client, cluster)
    cluster.roll_out()
    first = (await until(client, f"{PATH}/iris", ready))["status"]["components"]["predictor"]["latestReadyRevision"]
    change = {"spec": {"predictor": {"model": {"storageUri": "s3://b/none"}}}}
    await client.patch(f"{PATH}/iris", json=change, headers={"content-type": "application/merge-patch+json"})
    await until(client, f"{PATH}/iris", lambda obj: condition(obj, "Ready") == "Unknown")
    cluster.crash(81, "noise", json.dumps({"reason": "ModelNotFound", "message": "s3://b/none has no object"}))
    failed = await until(client, f"{PATH}/iris", lambda obj: condition(obj, "Ready") == "False")
    model = failed["status"]["modelStatus"]
    assert model["transitionStatus"] == "BlockedByFailedLoad"
    assert model["states"] == {"activeModelState": "Loaded", "targetModelState": "FailedToLoad"}
    info = model["lastFailureInfo"]
    assert (info["reason"], info["exitCode"]) == ("ModelLoadFailed", 81)
    assert info["message"] == "ModelNotFound: s3://b/none has no object"
    assert failed["status"]["components"]["predictor"]["latestReadyRevision"] == first
    assert failed["status"]["url"]
    assert [kind for kind, _ in await letters(service)] == ["created", "ready", "failed"]


async def test_deletion_waits_for_the_last_pod_and_leaves_nothing(client, cluster, service):
    await create(client, isvc())
    await made(client, cluster)
    cluster.crash(1)
    await client.delete(f"{PATH}/iris")
    await eventually(lambda: not any(key[0] in KEYS for key in cluster.objects))
    assert (await client.get(f"{PATH}/iris")).status_code == 200
    await cluster.lose_pods()
    await until(client, f"{PATH}/iris", lambda obj: obj.get("code") == 404)
    assert [kind for kind, _ in await letters(service)][-1] == "deleted"


async def test_the_older_form_is_read_alike_and_kept_as_sent(client, cluster):
    old = isvc()
    old["spec"] = {"predictor": {"onnx": {"storageUri": "pvc://models/digits/model.onnx"}}}
    kept = await create(client, old)
    assert kept["spec"] == old["spec"]
    await made(client, cluster)
    pod = cluster.deployment()["spec"]["template"]["spec"]
    assert {"--format=onnx", "--storage-uri=/mnt/pvc/digits/model.onnx"} <= set(pod["containers"][0]["args"])
    (claim,) = [volume["persistentVolumeClaim"] for volume in pod["volumes"] if volume["name"] == "model"]
    assert claim["claimName"] == "models"


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("spec.transformer", {"transformer": {"containers": []}}),
        ("spec.explainer", {"explainer": {}}),
        (
            "spec.predictor.canaryTrafficPercent",
            {"predictor": {**isvc()["spec"]["predictor"], "canaryTrafficPercent": 101}},
        ),
        ("spec.predictor.containers", {"predictor": {"containers": [{"image": "x"}]}}),
        ("spec.predictor.minReplicas", {"predictor": {**isvc()["spec"]["predictor"], "minReplicas": 0}}),
        ("spec.predictor.model.storageUri", isvc(storageUri="gs://b/k")["spec"]),
        ("spec.predictor.model.storageUri", isvc(storageUri="pvc://c/../../etc")["spec"]),
        ("spec.predictor.model.modelFormat.name", isvc(modelFormat={"name": "abacus"})["spec"]),
        ("spec.predictor", {"predictor": {"minReplicas": 1}}),
    ],
)
async def test_what_cannot_be_served_is_refused_by_its_name(client, field, change):
    obj = isvc()
    obj["spec"] = {**obj["spec"], **change}
    answer = await client.post(PATH, json=obj)
    assert answer.status_code == 422, answer.text
    assert field in [cause["field"] for cause in answer.json()["details"]["causes"]]


async def test_a_name_too_long_for_its_workloads_is_refused(client):
    answer = await client.post(PATH, json=isvc(name="a" * 54))
    assert (answer.status_code, answer.json()["details"]["causes"][0]["field"]) == (422, "metadata.name")


def announced(number, version=None, serve_as="iris"):
    name = version or str(number)
    return ModelVersionCreated(
        namespace="team",
        model="iris",
        version=name,
        model_id="1",
        version_id=str(number),
        uri=f"s3://b/v{name}",
        format="sklearn",
        serve_as=serve_as,
    )


async def hear(service, event, letter_id):
    pipeline = Pipeline("serving", effects_of(build(), service.ports), service.ports, source="millstream/serving")
    headers, data = structured(letter_for(event, id=letter_id, source="millstream/registry", now=NOW))
    subject = subject_for(event.type, event.namespace)
    await pipeline.deliver(Delivery(subject=subject, headers=headers, data=data, seq=1, time=NOW, attempt=1))


async def served(client):
    return (await client.get(f"{PATH}/iris")).json()["spec"]["predictor"]["model"]["storageUri"]


async def test_a_new_version_is_served_and_the_newest_wins_in_any_order(client, cluster, service):
    await hear(service, announced(5), "e5")
    assert await served(client) == "model-registry://iris/5"
    await hear(service, announced(3), "e3")
    await hear(service, announced(5), "e5")
    assert await served(client) == "model-registry://iris/5"
    await hear(service, announced(12), "e12")
    assert await served(client) == "model-registry://iris/12"
    await made(client, cluster)
    wanted = {"--storage-uri=s3://b/v12", "--model-version=12"}
    await eventually(lambda: wanted <= set(arguments(cluster)))
    assert (await client.get(f"{PATH}/iris")).json()["metadata"]["generation"] == 2


async def test_serving_a_version_keeps_what_the_user_set(client, service):
    obj = isvc()
    obj["spec"] = {"predictor": {"sklearn": {"storageUri": "s3://b/own"}, "minReplicas": 3}}
    await create(client, obj)
    await hear(service, announced(1), "e1")
    predictor = (await client.get(f"{PATH}/iris")).json()["spec"]["predictor"]
    assert predictor["minReplicas"] == 3
    assert predictor["model"]["storageUri"] == "model-registry://iris/1"
    assert "sklearn" not in predictor


async def test_a_version_that_is_not_announced_yet_is_waited_for(client, cluster, service):
    await create(client, isvc(storageUri="model-registry://iris/7"))
    unknown = await until(client, f"{PATH}/iris", lambda obj: condition(obj, "Ready") == "False")
    assert "has not announced" in unknown["status"]["conditions"][-1]["message"]
    assert cluster.objects == {}
    await hear(service, announced(7, serve_as=None), "e7")
    await made(client, cluster)
    assert "--storage-uri=s3://b/v7" in arguments(cluster)
