"""The main job: digits to S3, a TrainJob on two nodes, a version, an InferenceService, predictions through the door."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import urlsplit

from millstream.client import Client
from millstream.demo import data, predict
from millstream.demo.job import MODEL, train_job
from millstream.errors import ClientError

from tests.cluster_suite.waiting import explain
from tests.cluster_suite.world import World
from tests.e2e.flow import insist_versions

GOAL = 0.95
SERVICE = "digits-suite"
IMAGES_S = 900
"""A node that has never run the training image pulls torch first."""


class JobFailure(Exception):
    """A part of the main job did not happen; the message says which, and what the cluster says about it."""


def main_job(world: World) -> str:
    """From data to predictions; raises JobFailure."""
    assert world.ways is not None
    s3 = [world.ways.reach.s3[key] for key in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")]
    data.upload(*s3)
    name = f"suite-{int(time.time()):x}"
    with world.client() as client:
        try:
            return _run(world, client, name, data.download(*s3, data.TEST))
        except ClientError as error:
            lines = explain(world.kubectl, world.options.namespace)
            raise JobFailure("\n".join([str(error), *lines])) from error


def _run(world: World, client: Client, name: str, test: data.Split) -> str:
    namespace, began = world.options.namespace, time.monotonic()
    client.apply(train_job(name, namespace, serve_as=SERVICE), namespace)
    job = client.wait("trainjobs", name, "Complete", namespace, IMAGES_S)
    world.report.figure("main job: TrainJob, applied to complete (s)", time.monotonic() - began)
    world.tell(f"trainjob/{name} is complete")
    version = _version(client, job)
    world.tell(f"{MODEL} version {version['name']} is registered")
    service = client.wait("inferenceservices", SERVICE, "Ready", namespace, IMAGES_S)
    world.report.figure("main job: applied to served (s)", time.monotonic() - began)
    path = urlsplit(service["status"]["url"]).path.rstrip("/")
    world.tell(f"served at {service['status']['url']}; asked at {world.door.url}{path}")
    answers = predict.predict_all(client, path, SERVICE, test)
    world.report.figure("main job: accuracy of the predictions", answers.accuracy)
    world.report.figure("main job: slowest prediction request (s)", max(answers.latencies_s))
    if answers.accuracy < GOAL:
        raise JobFailure(f"accuracy {answers.accuracy:.4f} is below {GOAL}")
    return f"accuracy {answers.accuracy:.4f} over {len(test.labels)} scans, version {version['name']}"


def _version(client: Client, job: dict[str, Any], timeout_s: float = 120) -> dict[str, Any]:
    """The version whose lineage names the job."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        for version in insist_versions(client, MODEL):
            if job["metadata"]["uid"] in json.dumps(version):
                return version
        time.sleep(0.5)
    raise JobFailure(f"no version of {MODEL} names job {job['metadata']['name']} within {timeout_s:.0f} s")
