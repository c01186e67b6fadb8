"""kubectl on the built-in kinds: applied and changed as in a cluster, and the commands that write protobuf."""

from __future__ import annotations

import json
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import Client
from tests.clients.test_kubectl import job
from tests.platform import run, until

MANIFEST = (Path(__file__).parent / "builtins.yaml").read_text()
CHANGES = [
    ('{a: "1", b: "2"}', '{a: "3"}'),
    ("hunter2", "hunter3"),
    ("port: 80,", "port: 81,"),
    ("name: web, port: 80}", "name: web, port: 81}"),
    ("value: /web}", "value: /shop}"),
    ("replicas: 1", "replicas: 2"),
    ('        - {name: FIRST, value: "1"}\n', ""),
]


def changed(manifest: str) -> str:
    for old, new in CHANGES:
        assert old in manifest, old
        manifest = manifest.replace(old, new)
    return manifest


def got(kubectl: Client, *what: str) -> Any:
    return json.loads(kubectl.call("kubectl", "get", *what, "-o", "json"))


def answers(kubectl: Client, path: str) -> bool:
    """Whether the page is there: a moment after its pods the edge has its route."""
    with suppress(OSError), urllib.request.urlopen(kubectl.platform.http + path, timeout=10) as answer:
        return int(answer.status) == 200
    return False


@pytest.mark.timeout(180)
def test_every_built_in_kind_is_applied_changed_and_deleted(kubectl: Client) -> None:
    def apply(manifest: str) -> str:
        return kubectl.call("kubectl", "apply", "-f", "-", stdin=manifest)

    assert apply(MANIFEST).count(" created") == 8
    again = apply(MANIFEST)
    for name in (
        "configmap/words",
        "service/web",
        "deployment.apps/web",
        "statefulset.apps/numbered",
        "job.batch/once",
    ):
        assert f"{name} unchanged" in again, again
    kubectl.call("kubectl", "rollout", "status", "deployment/web", "--timeout=60s")
    until(lambda: answers(kubectl, "/web/"), 30, "the page")
    apply(changed(MANIFEST))
    for workload in ("deployment/web", "statefulset/numbered"):
        kubectl.call("kubectl", "rollout", "status", workload, "--timeout=60s")
    assert got(kubectl, "configmap", "words")["data"] == {"a": "3"}
    assert got(kubectl, "service", "web")["spec"]["ports"] == [
        {"name": "http", "port": 81, "protocol": "TCP", "targetPort": 8000}
    ]
    web = got(kubectl, "deployment", "web")
    env = web["spec"]["template"]["spec"]["containers"][0]["env"]
    assert [variable["name"] for variable in env] == ["POD_IP", "SECOND"]
    assert web["status"]["readyReplicas"] == web["status"]["updatedReplicas"] == 2
    until(lambda: answers(kubectl, "/shop/"), 30, "the page at its other path")
    assert "GET / " in kubectl.call("kubectl", "logs", "deploy/web")
    kubectl.call("kubectl", "wait", "--for=condition=Complete", "job/once", "--timeout=60s")
    assert kubectl.call("kubectl", "logs", "job/once") == "done\n"
    kubectl.call("kubectl", "set", "env", "deployment/web", "THIRD=3")
    kubectl.call("kubectl", "rollout", "status", "deployment/web", "--timeout=60s")
    assert kubectl.call("kubectl", "delete", "-f", "-", stdin=MANIFEST).count(" deleted") == 8


@pytest.mark.timeout(120)
def test_the_create_commands_write_protobuf_and_are_understood(kubectl: Client) -> None:
    def create(*what: str) -> str:
        return kubectl.call("kubectl", "create", "-n", "team", *what)

    assert kubectl.call("kubectl", "create", "namespace", "team") == "namespace/team created\n"
    create("configmap", "conf", "--from-literal=a=b")
    create("secret", "generic", "key", "--from-literal=a=b")
    create("serviceaccount", "robot")
    create("service", "clusterip", "web", "--tcp=80:8000")
    create("deployment", "web", "--image=millstream/python", "--", "sleep", "1000")
    create("job", "once", "--image=millstream/python", "--", "python", "-c", "print(6 * 7)")
    assert create("token", "robot").count(".") == 2
    assert got(kubectl, "-n", "team", "secret", "key")["data"] == {"a": "Yg=="}
    kubectl.call("kubectl", "-n", "team", "scale", "deployment/web", "--replicas=2")
    kubectl.call("kubectl", "-n", "team", "rollout", "status", "deployment/web", "--timeout=60s")
    kubectl.call("kubectl", "-n", "team", "wait", "--for=condition=Complete", "job/once", "--timeout=60s")
    assert kubectl.call("kubectl", "-n", "team", "logs", "job/once") == "42\n"
    listed = kubectl.call("kubectl", "get", "all", "-n", "team")
    for kind in ("pod/web-", "service/web", "deployment.apps/web", "job.batch/once"):
        assert kind in listed
    kubectl.call("kubectl", "delete", "namespace", "team", "--timeout=60s")
    assert "NotFound" in kubectl.call("kubectl", "get", "namespace", "team", check=False)


@pytest.mark.timeout(120)
def test_a_job_is_created_replaced_patched_labelled_annotated_and_edited(kubectl: Client) -> None:
    kubectl.call("kubectl", "create", "-f", "-", stdin=job("handled"))
    assert "AlreadyExists" in kubectl.call("kubectl", "create", "-f", "-", stdin=job("handled"), check=False)
    kubectl.call("kubectl", "wait", "--for=condition=Complete", "tj/handled", "--timeout=60s")  # it changes no more
    kubectl.call("kubectl", "replace", "-f", "-", stdin=job("handled").replace("team: a", "team: b"))
    kubectl.call("kubectl", "patch", "tj", "handled", "--type=merge", "-p", '{"metadata":{"labels":{"x":"1"}}}')
    operation = '[{"op":"add","path":"/metadata/labels/y","value":"2"}]'
    kubectl.call("kubectl", "patch", "tj", "handled", "--type=json", "-p", operation)
    kubectl.call("kubectl", "label", "tj", "handled", "x=3", "--overwrite")
    kubectl.call("kubectl", "annotate", "tj", "handled", "note=hello")
    editor = {**kubectl.env, "KUBE_EDITOR": "sed -i s/hello/bye/"}
    assert "edited" in run([str(kubectl.bin / "kubectl"), "edit", "tj", "handled"], editor)
    told = got(kubectl, "tj", "handled")["metadata"]
    assert told["labels"] == {"team": "b", "x": "3", "y": "2"} and told["annotations"]["note"] == "bye"
    everywhere = kubectl.call("kubectl", "get", "trainjobs", "-A")
    assert "NAMESPACE" in everywhere and "handled" in everywhere
    assert "trainjob.trainer.kubeflow.org/handled" in kubectl.call("kubectl", "get", "all")
    kubectl.call("kubectl", "delete", "tj", "handled")


def test_over_plain_http_this_machine_is_the_local_user(kubectl: Client) -> None:
    here = ["kubectl", "--kubeconfig", "/dev/null", "--server", kubectl.platform.http]
    assert "local-user" in kubectl.call(*here, "auth", "whoami")
    kubectl.call(*here, "apply", "-f", "-", stdin=job("plain", 0))
    kubectl.call(*here, "wait", "--for=condition=Complete", "tj/plain", "--timeout=60s")
    kubectl.call(*here, "delete", "tj", "plain")
