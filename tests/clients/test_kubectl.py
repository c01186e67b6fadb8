"""kubectl, unmodified: every command the README names, on kinds of the platform and on built-ins."""

from __future__ import annotations

import json
import subprocess
import time

import pytest

from tests.clients.conftest import Client

JOB = """
apiVersion: trainer.kubeflow.org/v1alpha1
kind: TrainJob
metadata:
  name: {name}
  labels: {{team: a}}
spec:
  runtimeRef: {{name: python}}
  trainer:
    numNodes: 1
    command: [python, -c, {code}]
"""
HELLO = "\"import time; print('one', flush=True); time.sleep({s}); print('two', flush=True)\""


def job(name: str, seconds: float = 0.5) -> str:
    return JOB.format(name=name, code=HELLO.format(s=seconds))


def test_api_resources_lists_every_group(kubectl: Client) -> None:
    told = kubectl.call("kubectl", "api-resources")
    for kind in ("TrainJob", "ClusterTrainingRuntime", "InferenceService", "Pod", "Job", "Deployment", "HTTPRoute"):
        assert kind in told, told


def test_a_job_is_applied_waited_for_described_and_deleted(kubectl: Client) -> None:
    assert "created" in kubectl.call("kubectl", "apply", "-f", "-", stdin=job("walk"))
    assert "unchanged" in kubectl.call("kubectl", "apply", "-f", "-", stdin=job("walk"))
    assert "met" in kubectl.call("kubectl", "wait", "--for=condition=Complete", "trainjob/walk", "--timeout=60s")
    assert "Complete" in kubectl.call("kubectl", "get", "trainjobs")
    described = kubectl.call("kubectl", "describe", "trainjob", "walk")
    assert "Complete" in described and "Events:" in described
    assert "deleted" in kubectl.call("kubectl", "delete", "trainjob", "walk")
    assert "NotFound" in kubectl.call("kubectl", "get", "trainjob", "walk", check=False)


def test_server_side_apply_keeps_what_others_own(kubectl: Client) -> None:
    kubectl.call("kubectl", "apply", "--server-side", "-f", "-", stdin=job("mine"))
    kubectl.call("kubectl", "label", "trainjob", "mine", "colour=red")
    kubectl.call("kubectl", "apply", "--server-side", "-f", "-", stdin=job("mine"))
    labels = json.loads(kubectl.call("kubectl", "get", "trainjob", "mine", "-o", "json"))["metadata"]["labels"]
    assert labels["colour"] == "red" and labels["team"] == "a"
    kubectl.call("kubectl", "delete", "trainjob", "mine")


def test_diff_shows_what_apply_would_change_and_changes_nothing(kubectl: Client) -> None:
    kubectl.call("kubectl", "apply", "-f", "-", stdin=job("before"))
    changed = job("before").replace("team: a", "team: b")
    shown = kubectl.call("kubectl", "diff", "-f", "-", stdin=changed, check=False)
    assert "-    team: a" in shown and "+    team: b" in shown, shown
    assert kubectl.call("kubectl", "get", "trainjob", "before", "-o", "jsonpath={.metadata.labels.team}") == "a"
    kubectl.call("kubectl", "delete", "trainjob", "before")


def test_explain_knows_the_fields(kubectl: Client) -> None:
    assert "runtimeRef" in kubectl.call("kubectl", "explain", "trainjob.spec")
    assert "storageUri" in kubectl.call("kubectl", "explain", "inferenceservice.spec.predictor.model")
    assert "containers" in kubectl.call("kubectl", "explain", "pod.spec")


@pytest.mark.timeout(120)
def test_get_w_shows_each_change_and_logs_f_follows(kubectl: Client) -> None:
    watch = subprocess.Popen(
        [str(kubectl.bin / "kubectl"), "get", "trainjobs", "-w"], env=kubectl.env, stdout=subprocess.PIPE, text=True
    )
    try:
        time.sleep(1)
        kubectl.call("kubectl", "apply", "-f", "-", stdin=job("seen", 3))
        pod = _pod_of(kubectl, "seen")
        followed = kubectl.call("kubectl", "logs", "-f", pod, timeout_s=60)
        assert followed.split() == ["one", "two"]
        kubectl.call("kubectl", "wait", "--for=condition=Complete", "trainjob/seen", "--timeout=60s")
        kubectl.call("kubectl", "delete", "trainjob", "seen")
        time.sleep(0.5)
    finally:
        watch.terminate()
    assert watch.stdout is not None
    lines = [line for line in watch.stdout.read().splitlines() if line.startswith("seen")]
    assert len(lines) >= 2 and any("Complete" in line for line in lines), lines


def _pod_of(kubectl: Client, name: str) -> str:
    end = time.monotonic() + 30
    select = f"jobset.sigs.k8s.io/jobset-name={name}"
    while time.monotonic() < end:
        pods = json.loads(kubectl.call("kubectl", "get", "pods", "-l", select, "-o", "json"))["items"]
        if pods and pods[0]["status"].get("phase") != "Pending":
            return str(pods[0]["metadata"]["name"])
        time.sleep(0.2)
    raise AssertionError(f"no pod of {name} runs")


def test_a_wrong_field_is_refused_with_its_path(kubectl: Client) -> None:
    told = kubectl.call("kubectl", "apply", "-f", "-", stdin=job("typo").replace("numNodes", "numNode"), check=False)
    assert "spec.trainer.numNode" in told and "unknown field" in told, told


def test_built_ins_are_applied_changed_and_deleted(kubectl: Client) -> None:
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "words"}, "data": {"a": "1", "b": "2"}}
    kubectl.call("kubectl", "apply", "-f", "-", stdin=json.dumps(config))
    kubectl.call("kubectl", "apply", "-f", "-", stdin=json.dumps(config | {"data": {"a": "3"}}))
    told = json.loads(kubectl.call("kubectl", "get", "configmap", "words", "-o", "json"))
    assert told["data"] == {"a": "3"}
    kubectl.call("kubectl", "delete", "configmap", "words")
