"""Workloads that cannot run on a real node, and one that is taken away from it: what users see, and how it goes on."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from textwrap import indent
from typing import Any

import pytest
from millstream.client import Client, conditions_of

from libs.base.clock import rfc3339
from tests.door import Door
from tests.e2e.flow import small_job
from tests.platform import Platform, free_ports, until

GANG = """
import os, socket, sys, time
name, port = os.environ["MILLSTREAM_JOB_NAME"], {port}
if os.environ["JOB_COMPLETION_INDEX"] == "1":
    with socket.create_server((socket.gethostbyname(socket.gethostname()), port)) as server:
        peer, _ = server.accept()
{wait}
        peer.sendall(b"done")
else:
    for _ in range(600):
        try:
            peer = socket.create_connection((f"{{name}}-node-0-1.{{name}}", port))
            break
        except OSError:
            time.sleep(0.1)
    sys.exit(0 if peer.recv(10) == b"done" else 1)
"""
"""Two ranks of which the first ends with an error when the second is gone, as those of a distributed training do. Once
they have found one another they go on when the test lets them."""


@pytest.fixture(scope="module")
def client(platform: Platform) -> Iterator[Client]:
    with Client(platform.http) as client:
        yield client


def waits_with(client: Client, kind: str, name: str, condition: str, reason: str, word: str) -> None:
    def told() -> bool:
        found = conditions_of(client.get(kind, name)).get(condition) or {}
        return (found.get("status"), found.get("reason")) == ("False", reason) and word in found["message"]

    until(told, 30, f"{name} says {reason} and {word!r}")


def over(client: Client, name: str, how: str) -> None:
    until(lambda: (conditions_of(client.get("trainjobs", name)).get(how) or {}).get("status") == "True", 60, how)


@pytest.mark.timeout(120)
def test_a_job_without_a_command_says_so_instead_of_waiting_in_silence(client: Client) -> None:
    job = small_job("mute")
    del job["spec"]["trainer"]["command"]
    client.apply(job)
    waits_with(client, "trainjobs", "mute", "PodsReady", "CreateContainerConfigError", "set command or args")
    client.delete("trainjobs", "mute")
    until(lambda: client.find("trainjobs", "mute") is None, 30, "it can be deleted all the same")


@pytest.mark.timeout(120)
def test_a_job_goes_on_when_what_it_waits_for_is_there(client: Client) -> None:
    job = small_job("patient")
    source = {"secretKeyRef": {"name": "late", "key": "word"}}
    job["spec"]["trainer"]["env"] = [{"name": "WORD", "valueFrom": source}]
    client.apply(job)
    waits_with(client, "trainjobs", "patient", "PodsReady", "CreateContainerConfigError", 'secret "late" not found')
    told = [each["reason"] for each in client.list("events") if each["involvedObject"]["name"] == "patient"]
    assert told.count("CreateContainerConfigError") == 1
    client.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "late"}, "stringData": {"word": "now"}})
    over(client, "patient", "Complete")
    assert list(conditions_of(client.get("trainjobs", "patient"))) == ["Complete"]


@pytest.mark.timeout(120)
def test_a_predictor_says_that_its_claim_is_not_there(client: Client) -> None:
    model = {"modelFormat": {"name": "sklearn"}, "storageUri": "pvc://nowhere/model"}
    isvc = {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": {"name": "claimless"}}
    client.apply({**isvc, "spec": {"predictor": {"model": model}}})
    word = 'persistentvolumeclaim "nowhere" not found'
    waits_with(client, "inferenceservices", "claimless", "PredictorReady", "CreateContainerConfigError", word)
    client.delete("inferenceservices", "claimless")


@pytest.mark.timeout(120)
def test_only_where_the_namespace_says_so_a_job_may_not_be_root(client: Client) -> None:
    strict = {"name": "strict", "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}
    client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": strict})
    for space, refused in (("strict", True), ("default", None)):
        client.apply(small_job("tame", seconds=0.1, namespace=space), space)
        until(lambda space=space: pods_of(client, "tame", space), 30, "a pod")
        spec = pods_of(client, "tame", space)[0]["spec"]
        assert spec["securityContext"].get("runAsNonRoot") is refused
        assert spec["containers"][0]["securityContext"]["allowPrivilegeEscalation"] is False
        assert spec["automountServiceAccountToken"] is False


@pytest.mark.timeout(180)
def test_a_job_begins_again_as_a_whole_when_one_of_its_nodes_is_taken_away(client: Client) -> None:
    job = small_job("gang")
    (port,) = free_ports(1)
    with Door() as door:
        program = GANG.format(port=port, wait=indent(door.wait, " " * 8))
        job["spec"]["trainer"] |= {"numNodes": 2, "command": ["python", "-c", program]}
        client.apply(job)
        until(lambda: len(running(client, "gang")) == 2, 60, "two pods run")
        door.knocked()
        time.sleep(1.1)  # within the second in which a pod was made nobody can tell what failed first
        first = {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in running(client, "gang")}
        evict(client, next(name for name in first if "-0-1-" in name))
        until(lambda: client.get("trainjobs", "gang")["status"].get("restarts") == 1, 60, "it begins again")
    over(client, "gang", "Complete")
    status = client.get("trainjobs", "gang")["status"]
    assert status["restarts"] == 1 and status["startedAt"]
    assert set(first.values()).isdisjoint({pod["metadata"]["uid"] for pod in pods_of(client, "gang")})
    notes = {each["reason"]: each for each in client.list("events") if each["involvedObject"]["name"] == "gang"}
    assert "node-1 was taken away (EvictionByEvictionAPI" in notes["Restarting"]["message"]


def evict(client: Client, pod: str) -> None:
    """As the eviction API does it: the mark on the pod, then its deletion."""
    mark = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI", "message": "by a drain"}
    path = f"/api/v1/namespaces/default/pods/{pod}"
    known = client.get("pods", pod)["status"]["conditions"]
    stamped = {**mark, "lastTransitionTime": rfc3339(datetime.now(UTC))}
    body = json.dumps({"status": {"conditions": [*known, stamped]}})
    client.request("PATCH", f"{path}/status", content=body, headers={"Content-Type": "application/merge-patch+json"})
    client.delete("pods", pod)


def pods_of(client: Client, job: str, namespace: str = "default") -> list[dict[str, Any]]:
    return client.list("pods", namespace, f"jobset.sigs.k8s.io/jobset-name={job}")


def running(client: Client, job: str) -> list[dict[str, Any]]:
    return [pod for pod in pods_of(client, job) if pod["status"]["phase"] == "Running"]
