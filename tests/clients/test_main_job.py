"""The main job by `kubectl apply` of the sample manifest: trained, registered, served, and it predicts."""

from __future__ import annotations

from pathlib import Path

import pytest
from millstream.client import Client as Sdk
from millstream.demo import data
from millstream.demo.predict import predict_all

from tests.clients.conftest import Client
from tests.platform import until

SAMPLE = Path(__file__).resolve().parents[2] / "deploy" / "samples" / "digits.yaml"
NAME = "digits-from-kubectl"


@pytest.mark.timeout(300)
def test_the_sample_manifest_ends_in_right_predictions(kubectl: Client) -> None:
    env = kubectl.platform.env
    s3 = env["AWS_ENDPOINT_URL"], env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"]
    data.upload(*s3)
    assert "created" in kubectl.call("kubectl", "apply", "-f", str(SAMPLE))
    kubectl.call("kubectl", "wait", "--for=condition=Complete", f"trainjob/{NAME}", "--timeout=180s", timeout_s=200)
    with Sdk.from_home(kubectl.platform.home) as client:
        until(lambda: client.find("inferenceservices", NAME) is not None, 30, "serving has heard of the model")
        ready = client.wait("inferenceservices", NAME, "Ready", timeout_s=120)
        answers = predict_all(client, ready["status"]["url"], NAME, data.download(*s3, data.TEST))
        client.delete("inferenceservices", NAME)
        client.delete("trainjobs", NAME)
    assert answers.accuracy >= 0.95
