"""A canary beside what is served: its share of the requests, its promotion, its failure and its end."""

from __future__ import annotations

import json

import pytest

from libs.cluster import DEPLOYMENT, HTTPROUTE, SERVICE
from tests.services.serving.test_rollout import PATH, condition, create, eventually, isvc, made, ready, until

MERGE = {"content-type": "application/merge-patch+json"}
STABLE, CANARY = "iris-predictor", "iris-canary"


async def change(client, **predictor):
    answer = await client.patch(f"{PATH}/iris", json={"spec": {"predictor": predictor}}, headers=MERGE)
    assert answer.status_code == 200, answer.text


def traffic(obj):
    return [(one["percent"], one["latestRevision"]) for one in obj["status"]["components"]["predictor"]["traffic"]]


def weights(cluster):
    refs = cluster.objects[HTTPROUTE, "team", STABLE]["spec"]["rules"][0]["backendRefs"]
    return {ref["name"]: ref.get("weight", 100) for ref in refs}


def uri(cluster, name=STABLE):
    args = cluster.deployment(name)["spec"]["template"]["spec"]["containers"][0]["args"]
    return next(arg.partition("=")[2] for arg in args if arg.startswith("--storage-uri"))


@pytest.fixture
async def served(client, cluster):
    """A service whose first model answers, and a second one that shall get a fifth of the requests."""
    await create(client, isvc())
    await made(client, cluster)
    cluster.roll_out()
    await until(client, f"{PATH}/iris", ready)
    await change(client, canaryTrafficPercent=20, model={"storageUri": "s3://b/new"})
    await eventually(lambda: (DEPLOYMENT, "team", CANARY) in cluster.objects)
    return client


async def test_a_canary_gets_its_share_when_it_answers_and_nothing_before(served, cluster):
    waiting = await until(served, f"{PATH}/iris", lambda obj: len(traffic(obj)) == 2)
    assert (traffic(waiting), condition(waiting, "Ready")) == ([(100, False), (0, True)], "Unknown")
    assert weights(cluster) == {STABLE: 100, CANARY: 0}
    cluster.roll_out(CANARY)
    done = await until(served, f"{PATH}/iris", ready)
    assert traffic(done) == [(80, False), (20, True)]
    assert weights(cluster) == {STABLE: 80, CANARY: 20}
    assert (uri(cluster), uri(cluster, CANARY)) == ("s3://b/iris", "s3://b/new")


async def test_the_pods_of_both_are_told_apart(served, cluster):
    for name in (STABLE, CANARY):
        chosen = cluster.objects[SERVICE, "team", name]["spec"]["selector"]
        pods = {one: cluster.deployment(one)["spec"]["template"]["metadata"]["labels"] for one in (STABLE, CANARY)}
        assert [one for one, labels in pods.items() if chosen.items() <= labels.items()] == [name]


async def test_a_promoted_canary_takes_the_place_of_the_other_and_goes_when_that_answers(served, cluster):
    cluster.roll_out(CANARY)
    shared = await until(served, f"{PATH}/iris", ready)
    await change(served, canaryTrafficPercent=None)
    await eventually(lambda: uri(cluster) == "s3://b/new")
    assert (DEPLOYMENT, "team", CANARY) in cluster.objects
    cluster.roll_out()
    await eventually(lambda: (SERVICE, "team", CANARY) not in cluster.objects)
    await eventually(lambda: (DEPLOYMENT, "team", CANARY) not in cluster.objects)
    done = await until(served, f"{PATH}/iris", lambda obj: ready(obj) and len(traffic(obj)) == 1)
    assert (traffic(done), weights(cluster)) == ([(100, True)], {STABLE: 100})
    names = [obj["status"]["components"]["predictor"]["latestReadyRevision"] for obj in (shared, done)]
    assert names[0] == names[1]


async def test_a_canary_of_nought_percent_is_taken_away_and_what_was_served_stays(served, cluster):
    cluster.roll_out(CANARY)
    await until(served, f"{PATH}/iris", ready)
    await change(served, canaryTrafficPercent=0)
    await eventually(lambda: (DEPLOYMENT, "team", CANARY) not in cluster.objects)
    done = await until(served, f"{PATH}/iris", lambda obj: ready(obj) and len(traffic(obj)) == 1)
    assert (traffic(done), weights(cluster), uri(cluster)) == ([(100, False)], {STABLE: 100}, "s3://b/iris")


async def test_a_canary_that_cannot_load_gets_nothing_and_says_why(served, cluster):
    cluster.crash(81, json.dumps({"reason": "ModelNotFound", "message": "s3://b/new has no object"}), of=CANARY)
    failed = await until(served, f"{PATH}/iris", lambda obj: condition(obj, "Ready") == "False")
    assert failed["status"]["modelStatus"]["lastFailureInfo"]["message"] == "ModelNotFound: s3://b/new has no object"
    assert failed["status"]["modelStatus"]["states"]["activeModelState"] == "Loaded"
    assert weights(cluster) == {STABLE: 100, CANARY: 0}


async def test_deleting_the_service_takes_both_away(served, cluster):
    await served.delete(f"{PATH}/iris")
    await eventually(lambda: not {key for key in cluster.objects if key[0] in (DEPLOYMENT, SERVICE, HTTPROUTE)})


async def test_the_first_model_of_a_service_answers_everything(client, cluster):
    first = isvc()
    first["spec"]["predictor"]["canaryTrafficPercent"] = 10
    await create(client, first)
    await made(client, cluster)
    cluster.roll_out()
    done = await until(client, f"{PATH}/iris", ready)
    assert traffic(done) == [(100, True)]


async def test_a_canary_of_a_service_that_queues_is_refused(client):
    asked = isvc()
    asked["metadata"]["labels"] = {"kueue.x-k8s.io/queue-name": "team"}
    asked["spec"]["predictor"]["canaryTrafficPercent"] = 10
    answer = await client.post(PATH, json=asked)
    assert (answer.status_code, answer.json()["details"]["causes"][0]["field"]) == (
        422,
        "spec.predictor.canaryTrafficPercent",
    )
