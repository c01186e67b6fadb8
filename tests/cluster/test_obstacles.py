"""Why pods do not run, read from what kubelets, schedulers and admission of Kubernetes 1.28 and later really say."""

from datetime import UTC, datetime
from typing import Any

import pytest

from libs.base.errors import BadRequest, Forbidden, Internal, Invalid
from libs.cluster.obstacles import Obstacle, disruption, event_obstacle, pod_obstacle, refusal, steady

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
BACK_OFF = 'Back-off pulling image "team/train:1"'


def pod(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "a-0", "namespace": "team"}, "spec": {"nodeName": "n1"}, "status": status}


def waiting(reason: str, message: str = "", part: str = "containerStatuses") -> dict[str, Any]:
    state = {"name": "node", "state": {"waiting": {"reason": reason, "message": message}}}
    return pod(phase="Pending", **{part: [state]})


def unscheduled(reason: str, message: str) -> dict[str, Any]:
    condition = {"type": "PodScheduled", "status": "False", "reason": reason, "message": message}
    return pod(phase="Pending", conditions=[condition])


@pytest.mark.parametrize(
    ("seen", "reason", "told"),
    [
        pytest.param(
            waiting("ErrImagePull", "not found"), "ImagePullBackOff", "node: not found; check", id="pull failed"
        ),
        pytest.param(waiting("ImagePullBackOff", BACK_OFF), "ImagePullBackOff", BACK_OFF, id="pull to be tried again"),
        pytest.param(
            waiting("CreateContainerConfigError", 'secret "keys" not found'),
            "CreateContainerConfigError", 'node: secret "keys" not found', id="a secret is missing",
        ),
        pytest.param(
            waiting("CreateContainerError", "no command specified", "initContainerStatuses"),
            "CreateContainerError", "no command specified", id="an init container cannot be made",
        ),
        pytest.param(
            unscheduled("Unschedulable", "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."),
            "Unschedulable", "3 Insufficient nvidia.com/gpu", id="no node has room",
        ),
        pytest.param(
            unscheduled("Unschedulable", "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims."),
            "Unschedulable", "unbound immediate PersistentVolumeClaims", id="a claim is not bound",
        ),
        pytest.param(unscheduled("SchedulingGated", ""), "SchedulingGated", "no node fits", id="held by a gate"),
        pytest.param(pod(phase="Unknown"), "NodeLost", "node n1 does not answer", id="nobody knows"),
    ],
)  # fmt: skip
def test_a_pod_says_what_is_in_its_way(seen: dict[str, Any], reason: str, told: str) -> None:
    found = pod_obstacle(seen, NOW)
    assert found is not None and found.reason == reason and not found.hopeless
    assert told in found.message


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param(pod(phase="Pending"), id="new"),
        pytest.param(waiting("ContainerCreating"), id="on its way"),
        pytest.param(waiting("PodInitializing"), id="initialising"),
        pytest.param(pod(phase="Running", containerStatuses=[{"name": "node", "state": {"running": {}}}]), id="runs"),
    ],
)
def test_a_pod_on_its_way_has_nothing_in_it(seen: dict[str, Any]) -> None:
    assert pod_obstacle(seen, NOW) is None


def test_an_image_without_a_valid_name_is_hopeless() -> None:
    found = pod_obstacle(waiting("InvalidImageName", "couldn't parse image name"), NOW)
    assert found == Obstacle("InvalidImageName", "container node: couldn't parse image name", hopeless=True)


def test_a_pod_that_should_have_ended_long_ago_is_on_a_lost_node() -> None:
    leaving = pod(phase="Running")
    leaving["metadata"]["deletionTimestamp"] = "2026-11-22T09:59:30Z"
    assert pod_obstacle(leaving, NOW) is None, "it may still be ending"
    leaving["metadata"]["deletionTimestamp"] = "2026-11-22T09:58:00Z"
    found = pod_obstacle(leaving, NOW)
    assert found is not None and found.reason == "NodeLost"
    assert "kubectl delete pod a-0 -n team --force" in found.message


def event(reason: str, message: str, at: str, type: str = "Warning") -> dict[str, Any]:
    return {"metadata": {}, "type": type, "reason": reason, "message": message, "lastTimestamp": at}


def test_the_newest_warning_tells_of_volumes_and_of_pods_that_cannot_be_made() -> None:
    mount = event("FailedMount", 'MountVolume.SetUp failed for volume "data"', "2026-11-22T09:00:00Z")
    quota = event(
        "FailedCreate", 'Error creating: pods "a-0" is forbidden: exceeded quota: team, requested: cpu=4, used: cpu=8, '
        "limited: cpu=8", "2026-11-22T09:30:00Z",
    )  # fmt: skip
    other = event("Pulled", "Container image present", "2026-11-22T09:59:00Z", type="Normal")
    found = event_obstacle([mount, quota, other])
    assert found is not None and found.reason == "QuotaExceeded" and "raised" in found.message
    assert event_obstacle([mount, other]) == Obstacle("FailedMount", 'MountVolume.SetUp failed for volume "data"')
    assert event_obstacle([other]) is None
    series = {**mount, "lastTimestamp": None, "series": {"lastObservedTime": "2026-11-22T09:45:00.000000Z"}}
    assert (event_obstacle([quota, series]) or quota).reason == "FailedMount"


@pytest.mark.parametrize(
    ("error", "reason", "told"),
    [
        pytest.param(
            Forbidden('jobs.batch "a" is forbidden: exceeded quota: team, requested: count/jobs.batch=1'),
            "QuotaExceeded", "when others free quota", id="quota of objects",
        ),
        pytest.param(
            Forbidden('pods "a" is forbidden: failed quota: team: must specify limits.cpu for: main'),
            "QuotaExceeded", "give the namespace a LimitRange", id="quota wants an amount",
        ),
        pytest.param(
            Forbidden('pods "a" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true'),
            "PodSecurityViolation", "waiting does not help", id="pod security",
        ),
        pytest.param(
            BadRequest('admission webhook "images.example.org" denied the request: only signed images'),
            "AdmissionDenied", "only signed images; waiting does not help", id="a webhook with a code of its own",
        ),
        pytest.param(
            Invalid("jobs \"a\" is invalid: ValidatingAdmissionPolicy 'limits' with binding 'x' denied request: no"),
            "AdmissionDenied", "denied request", id="a policy",
        ),
        pytest.param(
            Forbidden('jobs.batch "a" is forbidden: unable to create new content in namespace team because it is being '
                      "terminated"),
            "NamespaceTerminating", "going away", id="the namespace ends",
        ),
        pytest.param(
            Forbidden('pods "a" is forbidden: maximum memory usage per Container is 1Gi, but limit is 2Gi'),
            "QuotaExceeded", "change the workload", id="a LimitRange",
        ),
        pytest.param(
            Internal('Internal error occurred: failed calling webhook "mutate.example.org": context deadline exceeded'),
            "AdmissionUnavailable", "who runs the webhook", id="a webhook that does not answer",
        ),
        pytest.param(
            Forbidden('User "system:serviceaccount:m:trainer" cannot create resource "jobs"'),
            "Forbidden", "must grant this", id="the platform has no leave",
        ),
        pytest.param(
            Internal("failed to create typed patch object: .spec.podFailurePolicy: field not declared in schema"),
            "ClusterError", "podFailurePolicy", id="an API server that fails over what we sent",
        ),
    ],
)  # fmt: skip
def test_a_refused_write_says_who_can_change_that(error: Any, reason: str, told: str) -> None:
    found = refusal(error)
    assert found is not None and found.reason == reason and told in found.message


def test_an_invalid_object_is_refused_for_itself() -> None:
    assert refusal(Invalid("spec.completions: must be greater than 0")) is None


def test_what_the_kubelet_says_by_turns_is_one_steady_reason() -> None:
    pull = pod_obstacle(waiting("ErrImagePull", "team/train:1: not found"), NOW)
    wait = pod_obstacle(waiting("ImagePullBackOff", BACK_OFF), NOW)
    assert pull is not None and wait is not None
    before = {"reason": pull.reason, "message": pull.message}
    assert steady(before, wait) == pull, "the cause stays"
    assert steady(None, wait) == wait
    newer = pod_obstacle(waiting("ImagePullBackOff", BACK_OFF + ": ErrImagePull: not found"), NOW)
    assert newer is not None and steady(before, newer) == newer


def test_a_disruption_is_not_the_programs_own_end() -> None:
    condition = {
        "type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
        "message": "Eviction API: evicting",
        "lastTransitionTime": "2026-11-22T09:00:00Z",
    }  # fmt: skip
    taken = pod(phase="Running", conditions=[condition])
    assert disruption(taken) == ("EvictionByEvictionAPI", "Eviction API: evicting", "2026-11-22T09:00:00Z")
    assert disruption(pod(phase="Running", conditions=[{**condition, "status": "False"}])) is None
    full = pod(phase="Failed", reason="Evicted", message="The node was low on resource: memory.")
    full["metadata"]["deletionTimestamp"] = "2026-11-22T09:10:00Z"
    assert disruption(full) == ("Evicted", "The node was low on resource: memory.", "2026-11-22T09:10:00Z")
    assert disruption(pod(phase="Failed")) is None
