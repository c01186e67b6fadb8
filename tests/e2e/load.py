"""Callers that never try again: each request is sent once, and what was not answered well is written down.

They know the platform's address and token alone, so they load a laptop and a cluster alike.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from typing import Any

import httpx

from tests.e2e.flow import small_job

RUNTIMES = "/apis/trainer.kubeflow.org/v1alpha1/namespaces/{}/trainingruntimes"
JOBS = "/apis/trainer.kubeflow.org/v1alpha1/namespaces/{}/trainjobs"
SERVICES = "/apis/serving.kserve.io/v1beta1/namespaces/{}/inferenceservices"
MODELS = "/api/model_registry/v1/registered_models"
COUNT = "millstream.dev/count"
MERGE = {"Content-Type": "application/merge-patch+json"}


def service(name: str, uri: str) -> dict[str, Any]:
    """An InferenceService of a scikit-learn model."""
    model = {"modelFormat": {"name": "sklearn"}, "storageUri": uri}
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": name},
        "spec": {"predictor": {"model": model}},
    }


def runtime(name: str) -> dict[str, Any]:
    """A TrainingRuntime of a namespace, which nothing runs."""
    container = {"name": "node", "image": "python:3.11", "command": ["true"]}
    labels = {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}
    job = {"template": {"metadata": {"labels": labels}, "spec": {"template": {"spec": {"containers": [container]}}}}}
    return {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainingRuntime",
        "metadata": {"name": name, "labels": {"trainer.kubeflow.org/framework": "python"}},
        "spec": {"mlPolicy": {"numNodes": 1}, "template": {"spec": {"replicatedJobs": [{"name": "node", **job}]}}},
    }


@dataclass(frozen=True)
class Door:
    """Where the platform is, who asks, and in which namespace."""

    url: str
    token: str
    namespace: str = "default"

    def client(self, timeout_s: float = 30) -> httpx.Client:
        """One caller with connections of its own, kept between requests."""
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=timeout_s, trust_env=False)


class Load(threading.Thread):
    """Sends one request after the other until `done`; `wrong` holds every one that failed, in words."""

    pause_s = 0.05

    def __init__(self, door: Door) -> None:
        super().__init__(daemon=True)
        self.door = door
        self.sent = 0
        self.wrong: list[str] = []
        self.done = threading.Event()

    def run(self) -> None:
        with self.door.client() as http:
            while not self.done.wait(self.pause_s):
                self.sent += 1
                try:
                    self.step(http, self.sent)
                except (httpx.HTTPError, ValueError, KeyError) as error:
                    self.wrong.append(f"{self.name} {self.sent}: {error!r}")

    def step(self, http: httpx.Client, number: int) -> None:
        raise NotImplementedError

    def ask(self, http: httpx.Client, method: str, path: str, expect: int, **more: Any) -> httpx.Response:
        """One request; anything but the expected code is wrong."""
        answer = http.request(method, path, **more)
        if answer.status_code != expect:
            self.wrong.append(f"{self.name} {self.sent}: {method} {path} -> {answer.status_code} {answer.text[:200]}")
        return answer


class Jobs(Load):
    """Creates small jobs: a POST that was lost, or done twice, would show in their number."""

    pause_s = 0.8

    def __init__(self, door: Door, model: str) -> None:
        super().__init__(door)
        self.name, self.model = "jobs", model
        self.uids: dict[str, str] = {}

    def step(self, http: httpx.Client, number: int) -> None:
        job = small_job(f"{self.model}-{number:03d}", self.model, 0.1, self.door.namespace)
        answer = self.ask(http, "POST", JOBS.format(self.door.namespace), 201, json=job)
        meta = answer.json()["metadata"]
        self.uids[meta["name"]] = meta["uid"]


class Registrations(Load):
    """Records models, each name once, and reads one back now and then."""

    pause_s = 0.1

    def __init__(self, door: Door, prefix: str) -> None:
        super().__init__(door)
        self.name, self.prefix = "registrations", prefix
        self.names: list[str] = []

    def step(self, http: httpx.Client, number: int) -> None:
        name = f"{self.prefix}-{number}"
        made = self.ask(http, "POST", MODELS, 201, json={"name": name}).json()
        self.names.append(name)
        read = self.ask(http, "GET", f"{MODELS}/{made['id']}", 200).json()
        if read.get("name") != name:
            self.wrong.append(f"{name} reads as {read}")


class Changes(Load):
    """Counts up in an annotation of one object, one write for each number."""

    def __init__(self, door: Door, path: str, manifest: dict[str, Any]) -> None:
        super().__init__(door)
        self.path, self.manifest = path.format(door.namespace), manifest
        self.name = f"changes of {path.rpartition('/')[2]}"
        self.object_path = f"{self.path}/{manifest['metadata']['name']}"
        self.version = ""
        self.written: list[int] = []

    def create(self) -> None:
        """Makes the object before the load begins."""
        with self.door.client() as http:
            made = self.ask(http, "POST", self.path, 201, json=self.manifest).json()
        self.version = made["metadata"]["resourceVersion"]

    def step(self, http: httpx.Client, number: int) -> None:
        change = {"metadata": {"annotations": {COUNT: str(number)}}}
        stored = self.ask(http, "PATCH", self.object_path, 200, json=change, headers=MERGE).json()
        self.written.append(number)
        if stored["metadata"]["annotations"][COUNT] != str(number):
            self.wrong.append(f"{self.name}: wrote {number}, reads {stored['metadata']['annotations']}")


class Watch(threading.Thread):
    """Follows one object from a version on, and goes on where a watch ended: it must see every number once."""

    def __init__(self, changes: Changes) -> None:
        super().__init__(daemon=True)
        self.changes = changes
        self.seen: list[int] = []
        self.watches = 0
        self.wrong: list[str] = []
        self.done = threading.Event()
        self._version = changes.version

    def run(self) -> None:
        with self.changes.door.client(timeout_s=10) as http:
            while not self.done.is_set():
                self.watches += 1
                try:
                    self._follow(http)
                except httpx.ReadTimeout:
                    continue  # nothing changed for a while
                except httpx.HTTPError as error:
                    self.wrong.append(f"watch {self.watches} of {self.changes.name}: {error!r}")
                self.done.wait(0.05)

    def _follow(self, http: httpx.Client) -> None:
        name = self.changes.manifest["metadata"]["name"]
        params = {"watch": "true", "resourceVersion": self._version, "fieldSelector": f"metadata.name={name}"}
        with http.stream("GET", self.changes.path, params=params) as answer:
            if answer.status_code != 200:
                answer.read()
                self.wrong.append(f"watch {self.watches}: {answer.status_code} {answer.text[:200]}")
                return
            for line in answer.iter_lines():
                self._take(json.loads(line))
                if self.done.is_set():
                    return

    def _take(self, event: dict[str, Any]) -> None:
        if event["type"] == "ERROR":
            self.wrong.append(f"watch {self.watches}: {event['object']}")
            return
        meta = event["object"]["metadata"]
        self._version = meta["resourceVersion"]
        number = int((meta.get("annotations") or {}).get(COUNT, 0))
        if number and (not self.seen or number != self.seen[-1]):  # a status may change between two numbers
            self.seen.append(number)


class Predictions(Load):
    """Asks for predictions over one kept connection."""

    pause_s = 0.02

    def __init__(self, door: Door, path: str, rows: list[list[float]], expected: list[int]) -> None:
        super().__init__(door)
        self.name, self.path, self.rows, self.expected = "predictions", path, rows, expected

    def step(self, http: httpx.Client, number: int) -> None:
        answer = self.ask(http, "POST", self.path, 200, json={"instances": self.rows})
        if answer.json()["predictions"] != self.expected:
            self.wrong.append(f"prediction {number}: {answer.text[:200]}")
