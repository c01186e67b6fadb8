"""What the registry records by itself when a training job succeeds with a model."""

import asyncio
from datetime import UTC, datetime

from contracts.envelope import letter_for, structured, subject_for
from contracts.events.training.v1 import ModelArtifact, TrainJobSucceeded
from libs.bus import Delivery
from libs.service.hearing import effects_of
from libs.service.pipeline import Pipeline
from services.registry.app import build
from tests.services.registry.test_rest import created, letters

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def succeeded(uid="job-uid-1", register=True, version=None, **rest):
    return TrainJobSucceeded(
        namespace="team",
        name="digits",
        uid=uid,
        model=ModelArtifact(name="digits", uri=f"s3://b/{uid}/", format="pytorch", version=version),
        metrics={"accuracy": 0.97, "loss": float("nan")},
        dataset_uri="s3://b/digits.parquet",
        code_digest="sha256:1",
        environment={"torch": "2.13.0"},
        register=register,
        **rest,
    )


async def hear(service, event, letter_id):
    pipeline = Pipeline("registry", effects_of(build(), service.ports), service.ports, source="millstream/registry")
    letter = letter_for(event, id=letter_id, source="millstream/trainer", now=NOW)
    headers, data = structured(letter)
    subject = subject_for(event.type, event.namespace)
    await pipeline.deliver(Delivery(subject=subject, headers=headers, data=data, seq=1, time=NOW, attempt=1))


async def versions(client):
    return (await client.get("/model_versions")).json()["items"]


async def test_a_success_becomes_model_version_and_artifact_with_its_lineage(client, service):
    await hear(service, succeeded(serve_as="digits"), "e1")
    (version,) = await versions(client)
    told = {name: value.get("string_value") for name, value in version["customProperties"].items()}
    assert version["name"] == "1"
    assert version["customProperties"]["metric.accuracy"]["double_value"] == 0.97
    assert told["metric.loss"] == "nan"
    assert (told["job.name"], told["job.uid"], told["dataset.uri"]) == ("digits", "job-uid-1", "s3://b/digits.parquet")
    assert (told["code.digest"], told["environment.torch"]) == ("sha256:1", "2.13.0")
    assert version["description"].startswith("Trained by TrainJob team/digits on s3://b/digits.parquet")
    (artifact,) = (await client.get(f"/model_versions/{version['id']}/artifacts")).json()["items"]
    assert (artifact["uri"], artifact["modelFormatName"]) == ("s3://b/job-uid-1/", "pytorch")
    (letter,) = await letters(service)
    assert letter["data"] | {"metrics": None} == {
        "namespace": "team",
        "model": "digits",
        "version": "1",
        "model_id": version["registeredModelId"],
        "version_id": version["id"],
        "uri": "s3://b/job-uid-1/",
        "format": "pytorch",
        "job_uid": "job-uid-1",
        "serve_as": "digits",
        "metrics": None,
    }
    assert letter["causationid"] == "e1"


async def test_a_letter_that_comes_twice_and_a_job_told_twice_make_one_version(client, service):
    await hear(service, succeeded(), "e1")
    await hear(service, succeeded(), "e1")
    await hear(service, succeeded(), "e2")
    assert len(await versions(client)) == 1
    assert len(await letters(service)) == 1


async def test_versions_count_up_and_many_jobs_at_once_get_each_their_own(client, service):
    await asyncio.gather(*(hear(service, succeeded(uid=f"u{n}"), f"e{n}") for n in range(10)))
    assert sorted(int(version["name"]) for version in await versions(client)) == list(range(1, 11))


async def test_a_version_name_that_is_taken_loses_no_model(client, service):
    model = await created(client, "/registered_models", name="digits")
    await created(client, "/model_versions", name="v1", registeredModelId=model["id"])
    await hear(service, succeeded(uid="abcdefgh-1", version="v1"), "e1")
    assert [version["name"] for version in await versions(client)] == ["v1", "v1-abcdefgh"]


async def test_a_job_that_did_not_ask_is_not_registered(client, service):
    await hear(service, succeeded(register=False), "e1")
    assert await versions(client) == []
