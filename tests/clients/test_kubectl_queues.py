"""kubectl, unmodified, on Kueue's kinds as Kueue's documentation writes them: quotas, priorities, two tenants."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.clients.conftest import Client
from tests.door import Door

QUEUES = """
apiVersion: kueue.x-k8s.io/v1beta2
kind: ResourceFlavor
metadata:
  name: sample-flavor
---
apiVersion: kueue.x-k8s.io/v1beta2
kind: ClusterQueue
metadata:
  name: {name}
spec:
  namespaceSelector: {{}}
  preemption:
    withinClusterQueue: LowerPriority
  resourceGroups:
  - coveredResources: [cpu, memory]
    flavors:
    - name: sample-flavor
      resources:
      - name: cpu
        nominalQuota: 1
      - name: memory
        nominalQuota: 4Gi
---
apiVersion: kueue.x-k8s.io/v1beta2
kind: LocalQueue
metadata:
  namespace: {namespace}
  name: user-queue
spec:
  clusterQueue: {name}
"""
PRIORITY = """
apiVersion: kueue.x-k8s.io/v1beta2
kind: WorkloadPriorityClass
metadata:
  name: urgent
value: 10000
description: before all others
"""
JOB = """
apiVersion: trainer.kubeflow.org/v1alpha1
kind: TrainJob
metadata:
  name: {name}
  namespace: {namespace}
  labels: {{kueue.x-k8s.io/queue-name: user-queue{more}}}
spec:
  runtimeRef: {{name: python}}
  trainer:
    command: [python, -c, {program}]
    resourcesPerNode: {{requests: {{cpu: 1, memory: 256Mi}}}}
"""
PYTORCHJOB = """
apiVersion: kubeflow.org/v1
kind: PyTorchJob
metadata:
  name: maybe
  namespace: team-b
  labels: {kueue.x-k8s.io/queue-name: user-queue}
spec:
  pytorchReplicaSpecs:
    Worker:
      template:
        spec:
          containers:
          - {name: pytorch, image: "img:1", command: [python], resources: {requests: {cpu: 1, memory: 256Mi}}}
"""
SERVICE = """
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: maybe
  namespace: team-b
  labels: {kueue.x-k8s.io/queue-name: user-queue}
spec:
  predictor:
    model:
      modelFormat: {name: sklearn}
      storageUri: s3://models/iris
      resources: {requests: {cpu: 1, memory: 256Mi}}
"""
URGENT = ", kueue.x-k8s.io/priority-class: urgent"


@pytest.fixture(scope="module")
def queues(kubectl: Client) -> Iterator[Client]:
    """A queue with one core for each of two tenants, in namespaces of their own."""
    kubectl.call("kubectl", "apply", "-f", "-", stdin=PRIORITY)
    for tenant in ("team-a", "team-b"):
        kubectl.call("kubectl", "create", "namespace", tenant)
        told = kubectl.call("kubectl", "apply", "-f", "-", stdin=QUEUES.format(name=tenant, namespace=tenant))
        assert f"clusterqueue.kueue.x-k8s.io/{tenant} created" in told
    yield kubectl
    for tenant in ("team-a", "team-b"):
        kubectl.call("kubectl", "delete", "clusterqueue", tenant)
        kubectl.call("kubectl", "delete", "namespace", tenant, "--wait=false")


def _job(name: str, namespace: str, program: str = "print(1)", more: str = "") -> str:
    return JOB.format(name=name, namespace=namespace, program=json.dumps(program), more=more)


def _submit(kubectl: Client, name: str, program: str, namespace: str = "team-a", more: str = "") -> None:
    manifest = _job(name, namespace, program, more)
    kubectl.call("kubectl", "apply", "-f", "-", stdin=manifest)


def _until(holds: Callable[[], bool], timeout_s: float = 30) -> None:
    end = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.2)


def _state(kubectl: Client, job: str, namespace: str = "team-a") -> str:
    found = json.loads(kubectl.call("kubectl", "get", "trainjob", job, "-n", namespace, "-o", "json"))
    return str(((found.get("status") or {}).get("admission") or {}).get("state"))


def _wait(kubectl: Client, *jobs: str, namespace: str = "team-a") -> None:
    names = [f"trainjob/{job}" for job in jobs]
    kubectl.call("kubectl", "wait", "--for=condition=Complete", *names, "-n", namespace, "--timeout=90s")


def test_queues_show_the_columns_that_users_of_kueue_know(queues: Client) -> None:
    told = queues.call("kubectl", "get", "clusterqueues", "-o", "wide")
    assert told.split("\n")[0].split("  ")[0] == "NAME"
    assert "COHORT" in told and "STRATEGY" in told and "PENDING WORKLOADS" in told and "BestEffortFIFO" in told
    assert "CLUSTERQUEUE" in queues.call("kubectl", "get", "queues", "-n", "team-a")
    assert "10000" in queues.call("kubectl", "get", "workloadpriorityclasses")
    shipped = queues.call("kubectl", "get", "clusterqueue", "default", "-o", "jsonpath={.spec.namespaceSelector}")
    assert shipped == "{}"
    active = "jsonpath={.status.conditions[?(@.type=='Active')].reason}"
    _until(lambda: queues.call("kubectl", "get", "cq", "team-a", "-o", active) == "Ready")


def test_a_job_is_held_by_its_quota_and_another_tenants_is_not(queues: Client) -> None:
    with Door() as door:
        _submit(queues, "first", door.wait)
        _until(lambda: _state(queues, "first") == "Admitted")
        _submit(queues, "second", "print(1)")
        _submit(queues, "other", "print(1)", "team-b")
        _until(lambda: _state(queues, "second") == "Queued")
        _wait(queues, "other", namespace="team-b")
        told = queues.platform.run("explain", "job", "second", "-n", "team-a")
        assert "It waits in place 1 of 1 in queue team-a." in told
        assert "It fits when any one of these finishes: TrainJob team-a/first." in told
        assert "It does not wait" in queues.platform.run("explain", "trainjob", "first", "-n", "team-a")
        told = queues.call("kubectl", "get", "workloads", "-n", "team-a")
        assert "RESERVED IN" in told and "user-queue" in told and "True" in told
    _wait(queues, "first", "second")


def test_a_file_is_asked_about_before_it_is_submitted(queues: Client, tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(_job("maybe", "team-b"))
    assert "It would start at once: 1 node on sample-flavor." in queues.platform.run("explain", "-f", str(file))
    file.write_text(file.read_text().replace("cpu: 1,", "cpu: 7,"))
    assert "its queue can never have more than 1 cpu" in queues.platform.run("explain", "-f", str(file))
    assert "NotFound" in queues.call("kubectl", "get", "trainjob", "maybe", "-n", "team-b", check=False)


def test_files_of_other_kinds_that_queue_are_asked_about_too(queues: Client, tmp_path: Path) -> None:
    told = {"training": "1 worker on sample-flavor", "serving": "1 predictor on sample-flavor"}
    for name, manifest in {"training": PYTORCHJOB, "serving": SERVICE}.items():
        file = tmp_path / f"{name}.yaml"
        file.write_text(manifest)
        assert f"It would start at once: {told[name]}." in queues.platform.run("explain", "-f", str(file))


def test_a_job_that_is_set_aside_is_suspended_and_goes_on_when_it_is_made_active(queues: Client) -> None:
    with Door() as door:
        _submit(queues, "aside", door.wait)
        _until(lambda: "Running" in queues.call("kubectl", "get", "trainjob", "aside", "-n", "team-a"))
        [name] = [
            found["metadata"]["name"]
            for found in json.loads(queues.call("kubectl", "get", "workloads", "-n", "team-a", "-o", "json"))["items"]
            if found["metadata"]["ownerReferences"][0]["name"] == "aside"
        ]
        patch = ("kubectl", "patch", "workload", name, "-n", "team-a", "--type", "merge", "-p")
        queues.call(*patch, '{"spec": {"active": false}}')
        queues.call("kubectl", "wait", "--for=condition=Suspended", "trainjob/aside", "-n", "team-a", "--timeout=30s")
        where = "jsonpath={.spec.suspend} {.status.conditions[0].reason}"
        told = queues.call("kubectl", "get", "trainjob", "aside", "-n", "team-a", "-o", where)
        assert told == "true Deactivated"
        assert "It was set aside" in queues.platform.run("explain", "job", "aside", "-n", "team-a")
        queues.call(*patch, '{"spec": {"active": true}}')
    _wait(queues, "aside")


def test_an_urgent_job_preempts_another_which_resumes_and_completes(queues: Client) -> None:
    with Door() as door:
        _submit(queues, "patient", door.wait)
        _until(lambda: "Running" in queues.call("kubectl", "get", "trainjob", "patient", "-n", "team-a"))
        _submit(queues, "hasty", "print(1)", more=URGENT)
        _wait(queues, "hasty")
        told = queues.call("kubectl", "get", "trainjob", "patient", "-n", "team-a")
        assert "Complete" not in told, told
    _wait(queues, "patient")
    held = "jsonpath={.items[*].status.conditions[?(@.type=='Evicted')].message}"
    assert "Previously: " in queues.call("kubectl", "get", "workloads", "-n", "team-a", "-o", held)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("coveredResources: [cpu, memory]", "coveredResources: [cpu]"), "coveredResources"),
        (("nominalQuota: 4Gi", "nominalQuota: much"), "'much' is not a quantity"),
        (("withinClusterQueue: LowerPriority", "withinClusterQueue: Always"), "spec.preemption.withinClusterQueue"),
        (("namespaceSelector: {}", "namespaceSelector: {}\n  cohort: mine"), "cohort"),
    ],
)
def test_a_queue_that_makes_no_sense_is_refused_with_the_field(
    queues: Client, change: tuple[str, str], told: str
) -> None:
    manifest = QUEUES.format(name="bad", namespace="team-a").replace(*change)
    answer = queues.call("kubectl", "apply", "-f", "-", stdin=manifest, check=False)
    assert told in answer, answer
    assert "NotFound" in queues.call("kubectl", "get", "clusterqueue", "bad", check=False)
