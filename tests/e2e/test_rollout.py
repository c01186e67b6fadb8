"""A new model replaces the old one under load: no request fails, and afterwards the new model answers."""

from __future__ import annotations

import threading

import httpx
import pytest
from millstream.client import Client

from tests.clients.models import Iris, store_iris
from tests.platform import Platform, until

NAME = "rolling"


def service(uri: str) -> dict[str, object]:
    model = {"modelFormat": {"name": "sklearn"}, "storageUri": uri}
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": NAME},
        "spec": {"predictor": {"model": model}},
    }


class Load(threading.Thread):
    """Asks for predictions without pause over one kept connection, as clients do; collects what is not right."""

    def __init__(self, url: str, token: str, iris: Iris) -> None:
        super().__init__(daemon=True)
        self.url, self.token, self.iris = url, token, iris
        self.count, self.wrong = 0, []
        self.done = threading.Event()

    def run(self) -> None:
        with httpx.Client(headers={"Authorization": f"Bearer {self.token}"}, timeout=20, trust_env=False) as http:
            while not self.done.is_set():
                self.count += 1
                try:
                    answer = http.post(f"{self.url}/v1/models/{NAME}:predict", json={"instances": self.iris.rows})
                    if answer.status_code != 200 or answer.json()["predictions"] != self.iris.expected:
                        self.wrong.append(f"{answer.status_code} {answer.text[:200]}")
                except httpx.HTTPError as error:
                    self.wrong.append(repr(error))


@pytest.mark.timeout(240)
def test_a_new_model_replaces_the_old_one_without_a_failed_request(platform: Platform) -> None:
    first, second = store_iris(platform, "tests/roll/1"), store_iris(platform, "tests/roll/2")
    with Client.from_home(platform.home) as client:
        client.apply(service(first.uri))
        before = client.wait("inferenceservices", NAME, "Ready")
        loads = [Load(before["status"]["url"], platform.token, first) for _ in range(3)]
        for load in loads:
            load.start()
        client.apply(service(second.uri))
        until(lambda: _revision(client) != _revision_of(before), 120, "the new revision is ready")
        until(lambda: len(_pods(client)) == 1, 60, "the old pod is gone")
        for load in loads:
            load.done.set()
        for load in loads:
            load.join()
        client.delete("inferenceservices", NAME)
    assert sum(load.count for load in loads) > 100
    assert [wrong for load in loads for wrong in load.wrong] == []


def _revision_of(service: dict[str, object]) -> object:
    return service["status"]["components"]["predictor"].get("latestReadyRevision")  # type: ignore[index]


def _revision(client: Client) -> object:
    return _revision_of(client.get("inferenceservices", NAME))


def _pods(client: Client) -> list[dict[str, object]]:
    return [pod for pod in client.list("pods") if pod["metadata"]["name"].startswith(f"{NAME}-predictor")]
