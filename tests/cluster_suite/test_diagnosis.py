"""What the suite says about pods and workloads that are not ready, from statuses as real clusters write them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cluster_suite import diagnosis

PENDING = {
    "type": "Ready",
    "status": "False",
    "reason": "ContainersNotReady",
    "message": "containers with unready status",
}


def pod(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "trainer-1"}, "status": {"phase": "Pending", "conditions": [PENDING], **status}}


def waiting(reason: str, message: str = "", **more: Any) -> dict[str, Any]:
    state = {"waiting": {"reason": reason, "message": message}}
    return pod(containerStatuses=[{"name": "trainer", "image": "r/x:1", "ready": False, "state": state, **more}])


STATUSES = {
    "the image cannot be pulled": (
        waiting("ImagePullBackOff", 'Back-off pulling image "r/x:1"'),
        ["container trainer: the image r/x:1 cannot be pulled (ImagePullBackOff)", "make images PUSH=1"],
    ),
    "no node has room": (
        pod(
            conditions=[
                {
                    "type": "PodScheduled",
                    "status": "False",
                    "reason": "Unschedulable",
                    "message": "0/3 nodes are available: 3 Insufficient cpu.",
                }
            ]
        ),
        ["pod trainer-1 fits on no node: 0/3 nodes are available: 3 Insufficient cpu.", "lower the requests"],
    ),
    "its volume is not there": (
        pod(
            conditions=[
                {
                    "type": "PodScheduled",
                    "status": "False",
                    "message": "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.",
                }
            ]
        ),
        ["unbound immediate PersistentVolumeClaims", "kubectl get pvc"],
    ),
    "it crashes": (
        waiting(
            "CrashLoopBackOff",
            "back-off 40s",
            restartCount=4,
            lastState={"terminated": {"exitCode": 1, "reason": "Error"}},
        ),
        ["ended with 1 (Error), 4 restarts", "| cannot start: MILLSTREAM_NATS_URL is not set"],
    ),
    "it runs out of memory": (
        waiting("CrashLoopBackOff", lastState={"terminated": {"exitCode": 137, "reason": "OOMKilled"}}),
        ["ended with 137 (OOMKilled)", "its memory limit is too low"],
    ),
    "its Secret is missing": (
        waiting("CreateContainerConfigError", 'secret "millstream-trainer" not found'),
        ['secret "millstream-trainer" not found', "is job/bootstrap complete?"],
    ),
    "an init container failed": (
        pod(
            initContainerStatuses=[
                {
                    "name": "migrate",
                    "image": "r/x:1",
                    "ready": False,
                    "restartCount": 1,
                    "state": {"terminated": {"exitCode": 1, "reason": "Error"}},
                }
            ],
            containerStatuses=[
                {"name": "trainer", "ready": False, "state": {"waiting": {"reason": "PodInitializing"}}},
            ],
        ),
        ["container migrate: ended with 1 (Error)"],
    ),
    "it was evicted": (
        pod(phase="Failed", reason="Evicted", message="The node was low on resource: memory."),
        ["pod trainer-1 was ended: Evicted: The node was low on resource: memory."],
    ),
    "it runs and does not get ready": (
        pod(phase="Running", containerStatuses=[{"name": "trainer", "ready": False, "state": {"running": {}}}]),
        ["container trainer runs but is not ready", "| cannot start"],
    ),
}


@pytest.mark.parametrize("case", STATUSES)
def test_a_pod_that_is_not_ready_is_explained(case: str) -> None:
    status, expected = STATUSES[case]
    told = "\n".join(diagnosis.of_pod(status, (), lambda *_: ["cannot start: MILLSTREAM_NATS_URL is not set"]))
    for words in expected:
        assert words in told, told


def test_a_pod_that_waits_for_a_mount_is_explained_by_its_events() -> None:
    event = {"type": "Warning", "reason": "FailedMount", "message": 'configmap "millstream-config" not found'}
    told = diagnosis.of_pod(waiting("ContainerCreating"), [event])
    assert any('FailedMount: configmap "millstream-config" not found' in line for line in told), told


@pytest.mark.parametrize("status", [{"phase": "Succeeded"}, {"conditions": [{"type": "Ready", "status": "True"}]}])
def test_nothing_is_said_of_what_is_well(status: dict[str, Any]) -> None:
    assert diagnosis.of_pod(pod(**status)) == []


def deployment(*conditions: dict[str, str]) -> dict[str, Any]:
    return {"kind": "Deployment", "metadata": {"name": "trainer"}, "status": {"conditions": list(conditions)}}


REFUSED = {
    "Pod Security": (
        'pods "trainer-x" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false',
        "Pod Security refuses them",
    ),
    "a quota": ('pods "trainer-x" is forbidden: exceeded quota: team', "the namespace's quota is used up"),
    "a webhook": ('admission webhook "policy.example" denied the request: no', "an admission webhook refuses them"),
}


@pytest.mark.parametrize("who", REFUSED)
def test_who_keeps_a_deployment_from_making_pods_is_named(who: str) -> None:
    message, words = REFUSED[who]
    failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}
    [told] = diagnosis.of_workload(deployment(failure), ())
    assert words in told and message in told
    event = {"type": "Warning", "reason": "FailedCreate", "message": message}
    [told] = diagnosis.of_workload({"kind": "StatefulSet", "metadata": {"name": "nats"}}, (), [event])
    assert words in told


def test_a_job_that_failed_says_why_and_a_workload_with_pods_is_left_to_them() -> None:
    failed = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "too often"}
    [told] = diagnosis.of_workload(
        {"kind": "Job", "metadata": {"name": "bootstrap"}, "status": {"conditions": [failed]}}, ()
    )
    assert told == "Job bootstrap failed: BackoffLimitExceeded: too often"
    assert diagnosis.of_workload(deployment(), [pod()]) == []


def test_a_claim_without_a_class_is_explained_where_there_is_no_default() -> None:
    claim = {"metadata": {"name": "data-nats-0"}, "spec": {}, "status": {"phase": "Pending"}}
    assert "no default StorageClass" in diagnosis.of_claim(claim, None)[0]
    assert "class standard" in diagnosis.of_claim(claim, "standard")[0]
    assert diagnosis.of_claim({**claim, "status": {"phase": "Bound"}}, None) == []
