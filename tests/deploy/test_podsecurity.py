"""The check of the Pod Security Standard itself: each thing that `restricted` forbids is found."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest

from tests.deploy.builds import Object
from tests.deploy.podsecurity import violations

GOOD: Object = {
    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    "containers": [
        {"name": "c", "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}}
    ],
    "volumes": [{"name": "tmp", "emptyDir": {}}],
}


def _own(**words: object) -> Callable[[Object], object]:
    return lambda spec: spec["containers"][0]["securityContext"].update(words)


def test_a_pod_that_keeps_to_it_passes() -> None:
    assert violations(GOOD) == []


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda spec: spec.update(hostNetwork=True), "hostNetwork"),
        (lambda spec: spec["volumes"].append({"name": "h", "hostPath": {"path": "/"}}), "hostPath"),
        (lambda spec: spec["securityContext"].update(sysctls=[{"name": "kernel.msgmax", "value": "1"}]), "sysctls"),
        (lambda spec: spec["securityContext"].update(runAsNonRoot=False), "runAsNonRoot"),
        (lambda spec: spec["securityContext"].update(runAsUser=0), "runAsUser"),
        (lambda spec: spec["securityContext"].pop("seccompProfile"), "seccompProfile"),
        (lambda spec: spec["containers"][0].update(ports=[{"containerPort": 80, "hostPort": 80}]), "hostPort"),
        (_own(privileged=True), "privileged"),
        (_own(allowPrivilegeEscalation=True), "allowPrivilegeEscalation"),
        (_own(capabilities={"drop": ["NET_RAW"]}), "drop ALL"),
        (_own(capabilities={"drop": ["ALL"], "add": ["SYS_ADMIN"]}), "SYS_ADMIN"),
        (_own(procMount="Unmasked"), "procMount"),
        (lambda spec: spec.update(initContainers=[{"name": "i"}]), "container i"),
    ],
)
def test_a_pod_that_does_not_is_told_why(spoil: Callable[[Object], object], words: str) -> None:
    spec = copy.deepcopy(GOOD)
    spoil(spec)
    assert any(words in each for each in violations(spec)), violations(spec)
