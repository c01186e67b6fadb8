"""KServe's SDK and tritonclient create a service, ask it over REST and gRPC, and get the model's own answers."""

from __future__ import annotations

import json

import pytest

from tests.clients.conftest import Client
from tests.clients.models import store_iris

SERVICE = {
    "apiVersion": "serving.kserve.io/v1beta1",
    "kind": "InferenceService",
    "metadata": {"name": "flowers"},
}


@pytest.mark.timeout(300)
def test_kserve_creates_waits_predicts_and_deletes(kserve: Client) -> None:
    iris = store_iris(kserve.platform, "tests/kserve")
    told = kserve.program("kserve_service", name="iris", uri=iris.uri, rows=iris.rows, token=kserve.platform.token)
    assert told["ready"] and told["grpc_ready"]
    assert told["rest"] == told["v1"] == told["grpc"] == iris.expected
    assert told["patched"] == "patched"
    assert told["url"].startswith(kserve.platform.http)


@pytest.mark.timeout(300)
def test_tritonclient_infers_over_http_and_grpc(triton: Client, kubectl: Client) -> None:
    iris = store_iris(triton.platform, "tests/triton")
    model = {"modelFormat": {"name": "sklearn"}, "storageUri": iris.uri}
    kubectl.call("kubectl", "apply", "-f", "-", stdin=json.dumps(SERVICE | {"spec": {"predictor": {"model": model}}}))
    kubectl.call("kubectl", "wait", "--for=condition=Ready", "isvc/flowers", "--timeout=120s")
    status = json.loads(kubectl.call("kubectl", "get", "isvc", "flowers", "-o", "json"))["status"]
    told = triton.program(
        "triton",
        name="flowers",
        rows=iris.rows,
        url=status["url"],
        grpc_url=status["components"]["predictor"]["grpcUrl"],
        token=triton.platform.token,
    )
    kubectl.call("kubectl", "delete", "isvc", "flowers")
    for protocol in ("http", "grpc"):
        assert told[protocol] == {"live": True, "ready": True, "values": iris.expected}, protocol
