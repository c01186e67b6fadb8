"""Datasets and models from every kind of place lie in the pods of a running platform before training begins."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
from millstream.client import Client, conditions_of

from libs.testing.files import Files, file_server
from libs.testing.hub import Hub, hub
from tests.clients.models import s3
from tests.platform import Platform, until

LIMITS = {"cpu": "500m", "memory": "256Mi"}
SHOW = "cd /workspace && find dataset model -type f 2>/dev/null | sort | while read f; do echo FILE $f $(cat $f); done"
REGISTRY = "/api/model_registry/v1"


@pytest.fixture(scope="module")
def web() -> Iterator[Files]:
    with file_server() as site:
        site.files["weights.bin"] = b"weights of the web"
        yield site


@pytest.fixture(scope="module")
def mirror() -> Iterator[Hub]:
    with hub() as made:
        made.put("dataset", "team/words", {"data/train.txt": b"words of the hub", "data/old.bin": b"left out"})
        made.put("model", "team/tiny", {"config.json": b"model of the hub"}, token="let-me-in")
        yield made


def job(name: str, command: str = SHOW, **initializer: Any) -> dict[str, Any]:
    trainer = {"command": ["bash", "-c", command], "resourcesPerNode": {"limits": LIMITS}}
    spec = {"runtimeRef": {"name": "python"}, "trainer": trainer, "initializer": initializer}
    return {"apiVersion": "trainer.kubeflow.org/v1alpha1", "kind": "TrainJob", "metadata": {"name": name}, "spec": spec}


def source(uri: str, **env: str) -> dict[str, Any]:
    return {"storageUri": uri, "env": [{"name": key, "value": value} for key, value in env.items()]}


def put_into_claim(client: Client, claim: str, text: str) -> None:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    client.apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": claim}, "spec": spec})
    container = {
        "name": "write",
        "image": "python:3.11",
        "command": ["bash", "-c", f"mkdir /into/set && echo {text} > /into/set/a.txt"],
        "volumeMounts": [{"name": "claim", "mountPath": "/into"}],
    }
    volume = {"name": "claim", "persistentVolumeClaim": {"claimName": claim}}
    template = {"spec": {"restartPolicy": "Never", "containers": [container], "volumes": [volume]}}
    made = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": f"write-{claim}"}}
    client.apply({**made, "spec": {"template": template}})
    client.wait("jobs", f"write-{claim}", "Complete", timeout_s=60)


def register(platform: Platform, client: Client, model: str, namespace: str, text: str) -> str:
    """A version of a model that lies in the platform's bucket and belongs to a namespace; its artifact's URI."""
    key = f"registered/{model}/{namespace}"
    s3(platform).put_object("millstream", f"{key}/model.txt", io.BytesIO(text.encode()), len(text))

    def post(path: str, **body: Any) -> str:
        return str(client.request("POST", f"{REGISTRY}/{path}", json=body).json()["id"])

    owner = post("registered_models", name=model)
    told = {"namespace": {"metadataType": "MetadataStringValue", "string_value": namespace}}
    version = post(f"registered_models/{owner}/versions", name="v1", customProperties=told)
    uri = f"s3://millstream/{key}/"
    post(f"model_versions/{version}/artifacts", artifactType="model-artifact", name=model, uri=uri)
    return uri


def brought(client: Client, name: str) -> set[str]:
    """What the job's pod printed of the files that it found."""
    client.wait("trainjobs", name, "Complete", timeout_s=90)
    (pod,) = client.list("pods", selector=f"jobset.sigs.k8s.io/jobset-name={name}")
    return {line.removeprefix("FILE ") for line in client.logs(pod["metadata"]["name"]) if line.startswith("FILE ")}


def told(client: Client, name: str, reason: str) -> str:
    """The message of the job's condition with that reason, once it has one."""

    def said() -> list[str]:
        found = conditions_of(client.get("trainjobs", name)).values()
        return [condition["message"] for condition in found if condition["reason"] == reason]

    until(said, 60, f"{name} says {reason}")
    return said()[0]


@pytest.mark.timeout(300)
def test_pods_get_what_claims_the_web_a_hub_and_the_registry_hold(platform: Platform, web: Files, mirror: Hub) -> None:
    with Client.from_home(platform.home) as client:
        put_into_claim(client, "words", "words of the claim")
        client.apply(job("late", model=source("model-registry://late")))
        register(platform, client, "others", "elsewhere", "not yours")
        client.apply(job("others", model=source("model-registry://others/v1")))
        hubbed = source("hf://team/tiny", HF_ENDPOINT=mirror.url, ACCESS_TOKEN="let-me-in")
        words = source("hf://team/words/data", HF_ENDPOINT=mirror.url, IGNORE_PATTERNS="*.bin")
        client.apply(job("plain", dataset=source("pvc://words/set"), model=source(f"{web.url}/weights.bin")))
        client.apply(job("hub", dataset=words, model=hubbed))
        client.apply(job("nothing", model=source("hf://team/none", HF_ENDPOINT=mirror.url)))
        assert "no model 'late'" in told(client, "late", "ModelVersionUnknown")
        uri = register(platform, client, "late", "default", "weights of the registry")
        assert brought(client, "plain") == {
            "dataset/a.txt words of the claim",
            "model/weights.bin weights of the web",
        }
        assert brought(client, "hub") == {
            "dataset/data/train.txt words of the hub",
            "model/config.json model of the hub",
        }
        assert brought(client, "late") == {"model/model.txt weights of the registry"}
        assert client.get("trainjobs", "late")["status"]["registeredModel"]["uri"] == uri
        assert "belongs to namespace elsewhere, this job to default" in told(client, "others", "ModelVersionForbidden")
        assert not client.list("pods", selector="jobset.sigs.k8s.io/jobset-name=others")
        failed = conditions_of(wait_for(client, "nothing", "Failed"))["Failed"]["message"]
        assert "hf://team/none" in failed and "private or there is none" in failed, failed


def wait_for(client: Client, name: str, condition: str) -> dict[str, Any]:
    until(lambda: condition in conditions_of(client.get("trainjobs", name)), 90, f"{name} is {condition}")
    return client.get("trainjobs", name)
