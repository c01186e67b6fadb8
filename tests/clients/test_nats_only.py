"""A program that knows only NATS and the published JSON Schema starts the main job and hears how it ends."""

from __future__ import annotations

from pathlib import Path

import pytest
from millstream.demo import data
from millstream.demo.job import train_job

from tests.clients.conftest import Client, _client
from tests.e2e.flow import small_job
from tests.platform import Platform

SCHEMA = Path(__file__).resolve().parents[2] / "contracts" / "golden" / "schemas" / "training.trainjob.apply.v1.json"


@pytest.fixture(scope="module")
def program(platform: Platform) -> Client:
    return _client("nats-only", platform)


@pytest.mark.timeout(300)
def test_the_main_job_runs_from_a_message_to_predictions(program: Client) -> None:
    env = program.platform.env
    data.upload(env["AWS_ENDPOINT_URL"], env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"])
    manifest = train_job("from-nats", serve_as="digits-from-nats")
    told = program.program(
        "nats_only",
        schema=str(SCHEMA),
        manifest=manifest,
        until=["serving.inferenceservice.ready.v1"],
        loose=True,
        timeout_s=150,
    )
    assert told["types"].count("training.trainjob.applied.v1") == 1, "said twice, done once"
    for kind in ("training.trainjob.succeeded.v1", "registry.modelversion.created.v1"):
        assert told["types"].count(kind) == 1, told["types"]
    assert told["last"]["url"].endswith("digits-from-nats")


def test_a_command_that_makes_no_sense_is_rejected_with_the_field(program: Client) -> None:
    manifest = small_job("bad")
    manifest["spec"]["trainer"]["numNodes"] = "two"
    told = program.program("nats_only", schema=str(SCHEMA), manifest=manifest, until=[], loose=False, timeout_s=30)
    assert told["types"] == ["training.trainjob.rejected.v1"]
    assert "spec.trainer.numNodes" in told["last"]["status"]["message"]
