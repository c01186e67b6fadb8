"""Jobs that name a model of the registry: they wait for it, keep the version they got, and get no other tenant's."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from contracts.events.registry.v1 import ModelVersionCreated
from services.trainer.domain import initializers, registered
from services.trainer.domain.registered import Version, Wish
from tests.services.trainer.paper import PaperCluster
from tests.services.trainer.test_service import JOBS, SENT, Rig, started, until

OURS = Version("digits", "1", 7, "team", "s3://b/one/")
NEWER = Version("digits", "2", 9, "", "https://host/two.tar.gz")
OTHERS = Version("digits", "3", 11, "other", "s3://b/three/")
CLAIMED = Version("claimed", "1", 12, "team", "pvc://secrets/all")


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        pytest.param("model-registry://digits/1", OURS, id="a version of its own namespace"),
        pytest.param("model-registry://digits", NEWER, id="the newest of its own and everybody's"),
        pytest.param("model-registry://digits/3", "ModelVersionForbidden", id="a version of another namespace"),
        pytest.param("model-registry://digits/4", "has no version '4', it has 3, 2, 1", id="no such version"),
    ],
)
def test_a_job_gets_what_its_namespace_may_have(uri: str, told: Any):
    wish = registered.wish(uri)
    assert wish
    found = registered.choose(wish, "team", (OTHERS, OURS, NEWER))
    assert found == told or told in f"{found.reason} {found.message}"


def test_a_model_in_a_claim_opens_nobody_elses_volume():
    found = registered.choose(Wish("model-registry://claimed", "claimed", None), "team", [CLAIMED])
    assert found.hopeless and "lies at 'pvc://secrets/all'" in found.message


@pytest.mark.parametrize("uri", ["model-registry://", "model-registry://a/b/c", "model-registry:///1"])
def test_a_uri_that_names_no_model_is_refused(uri: str):
    (cause,) = initializers.causes({"model": {"storageUri": uri}})
    assert cause.field == "spec.initializer.model.storageUri" and "model-registry://model" in cause.message


def test_a_dataset_is_nothing_that_the_registry_has():
    (cause,) = initializers.causes({"dataset": {"storageUri": "model-registry://digits"}})
    assert "cannot be fetched" in cause.message and "model-registry://model" not in cause.message


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with started(tmp_path, PaperCluster()) as rig:
        yield rig


async def _post(rig: Rig, uri: str) -> None:
    sent = {**SENT, "spec": {**SENT["spec"], "initializer": {"model": {"storageUri": uri}}}}
    assert (await rig.http.post(JOBS, json=sent)).status_code == 201


async def _registered(rig: Rig, version: str, number: int, uri: str, namespace: str = "team") -> None:
    about = {"model": "digits", "model_id": "1", "version_id": str(number), "format": "pytorch"}
    await rig.hear(ModelVersionCreated(namespace=namespace, version=version, uri=uri, **about))


async def _condition(rig: Rig, reason: str) -> str | None:
    found = ((await rig.job()).get("status") or {}).get("conditions") or []
    return next((told["message"] for told in found if told["reason"] == reason), None)


async def test_a_job_waits_for_its_model_without_asking_for_room_and_keeps_the_version_it_got(rig: Rig):
    await _post(rig, "model-registry://digits")
    await until(lambda: _condition(rig, "ModelVersionUnknown"))
    told = await _condition(rig, "ModelVersionUnknown")
    assert "no model 'digits'" in told and "delete the job and name another" in told
    assert "scheduling.workload.submit.v1" not in await rig.said()
    await _registered(rig, "1", 7, "s3://b/one/")
    await until(lambda: rig.shows("registeredModel"))
    assert "scheduling.workload.submit.v1" in await rig.said()
    assert (await rig.job())["status"]["conditions"] == []
    await _registered(rig, "2", 8, "s3://b/two/")
    await rig.admit()
    await until(lambda: rig.has("jobs"))
    pod = rig.cluster.objects[("jobs", "team", "digits-node-0")]["spec"]["template"]["spec"]
    (fetching,) = pod["initContainers"]
    assert fetching["args"] == ["s3://b/one/", "/workspace/model", "model"]
    kept = {"asked": "model-registry://digits", "version": "1", "uri": "s3://b/one/"}
    assert (await rig.job())["status"]["registeredModel"] == kept


async def test_a_model_of_another_namespace_is_not_given_and_the_job_says_whose_it_is(rig: Rig):
    await _registered(rig, "1", 7, "s3://b/one/", namespace="other")
    await _post(rig, "model-registry://digits/1")
    await until(lambda: _condition(rig, "ModelVersionForbidden"))
    assert "belongs to namespace other, this job to team" in await _condition(rig, "ModelVersionForbidden")
    assert "scheduling.workload.submit.v1" not in await rig.said()


async def test_a_model_that_no_job_can_fetch_fails_the_job(rig: Rig):
    await _registered(rig, "1", 7, "pvc://secrets/all")
    await _post(rig, "model-registry://digits/1")
    await until(lambda: rig.shows_condition("Failed"))
    assert "lies at 'pvc://secrets/all'" in await _condition(rig, "ModelVersionUnusable")
    assert not await rig.has("jobs")
