"""What may be stored: each refusal names the field and says what to do."""

from copy import deepcopy
from typing import Any

import pytest

from services.trainer.domain.job_rules import defaulted, job_causes
from services.trainer.domain.runtime_rules import runtime_causes
from services.trainer.plugins.mpi import Mpi
from services.trainer.plugins.torch import Torch
from tests.services.trainer.builders import RUNTIME, job, runtime

POLICIES = (Torch(), Mpi())
NODE = "spec.template.spec.replicatedJobs[0].template.spec.template.spec.containers[0]"


def _without(obj: dict[str, Any], *path: Any) -> dict[str, Any]:
    out = deepcopy(obj)
    place = out
    for step in path[:-1]:
        place = place[step]
    del place[path[-1]]
    return out


def _fields(causes: list) -> list[str]:
    return [cause.field for cause in causes]


JOBS = ("spec", "template", "spec", "replicatedJobs", 0)


@pytest.mark.parametrize(
    ("broken", "field"),
    [
        (_without(RUNTIME, "metadata", "labels"), "metadata.labels[trainer.kubeflow.org/framework]"),
        (_without(RUNTIME, "spec", "mlPolicy"), "spec.mlPolicy"),
        (
            _without(RUNTIME, *JOBS, "template", "metadata"),
            "spec.template.spec.replicatedJobs[*].template.metadata.labels[trainer.kubeflow.org/trainjob-ancestor-step]",
        ),
        (runtime(name="main"), "spec.template.spec.replicatedJobs[0].template.spec.template.spec.containers"),
        (runtime(image=None), f"{NODE}.image"),
        (runtime(image=""), f"{NODE}.image"),
        (runtime(resources={"limits": {"memory": "1Gi"}}), f"{NODE}.resources.limits"),
        (runtime(resources={"limits": {"cpu": "lots"}}), f"{NODE}.resources.limits.cpu"),
        (runtime(env=[{"name": 3}]), "spec"),
    ],
    ids=["no framework", "no policy", "no step label", "no node", "no image", "empty image", "no device", "bad", "odd"],
)
def test_a_runtime_that_would_break_the_list_for_all_is_refused(broken: dict, field: str):
    assert _fields(runtime_causes(broken, POLICIES)) == [field]


def test_the_smallest_runtime_that_the_sdk_accepts_is_accepted():
    assert runtime_causes(RUNTIME, POLICIES) == []
    assert runtime_causes(runtime(resources={"limits": {"cpu": 1.0, "memory": "1Gi"}}), POLICIES) == []


def test_a_policy_without_a_plugin_is_refused_by_name():
    broken = deepcopy(RUNTIME)
    broken["spec"]["mlPolicy"] = {"mxnet": {}}
    assert runtime_causes(broken, POLICIES)[0].field == "spec.mlPolicy.mxnet"


def test_defaults_complete_the_runtime_reference_and_drop_auto():
    stored = defaulted(job(spec={"runtimeRef": {"apiGroup": None}, "trainer": {"numProcPerNode": "auto"}}))
    assert stored["spec"]["runtimeRef"]["apiGroup"] == "trainer.kubeflow.org"
    assert "numProcPerNode" not in stored["spec"]["trainer"]
    assert defaulted(stored) == stored


def test_a_request_above_its_limit_is_refused():
    asked = {"limits": {"cpu": 1.0}, "requests": {"cpu": "1500m"}}
    causes = job_causes(job(spec={"trainer": {"resourcesPerNode": asked}}), None)
    assert _fields(causes) == ["spec.trainer.resourcesPerNode.requests.cpu"]
    assert causes[0].message == "1500m must not exceed the limit of 1.0"


def test_amounts_of_what_can_be_no_resource_are_refused_without_repeating_all_of_it():
    asked = {"limits": {"x" * 10_000: "1", "nvidia.com/mig-1g.5gb": 1}, "requests": {"two words": "1"}}
    causes = job_causes(job(spec={"trainer": {"resourcesPerNode": asked}}), None)
    assert _fields(causes) == [f"spec.trainer.resourcesPerNode.{sort}" for sort in ("limits", "requests")]
    assert all("names no resource" in cause.message and len(cause.message) < 150 for cause in causes)


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("gs://bucket/x", "cannot be fetched; write one of s3://bucket/path, pvc://claim/path, http://host/path"),
        ("cache://schema/table", "cannot be fetched"),
        ("tatsu-lab/alpaca", "cannot be fetched"),
        ("s3:///path", "names nothing; write s3://bucket/path"),
        ("hf://alpaca", "names nothing; write hf://organisation/name"),
        ("pvc://Claim/x", "must name a PersistentVolumeClaim"),
        ("pvc://claim/a/../../b", "must name a PersistentVolumeClaim and a path inside of it"),
        ("https://host/x#sha256=12", "has a sha256 that is not 64 hexadecimal digits"),
    ],
)
def test_a_dataset_that_cannot_be_fetched_is_refused_with_what_to_do(uri: str, told: str):
    [cause] = job_causes(job(spec={"initializer": {"dataset": {"storageUri": uri}}}), None)
    assert cause.field == "spec.initializer.dataset.storageUri"
    assert cause.message.startswith(f"{uri!r} {told}")


@pytest.mark.parametrize(
    "uri", ["s3://b/d", "pvc://claim", "http://h/a.zip", f"https://h/a#sha256={'a' * 64}", "hf://org/name@main/data"]
)
def test_every_source_that_pods_can_fetch_may_be_written(uri: str):
    assert job_causes(job(spec={"initializer": {"model": {"storageUri": uri}}}), None) == []


def test_a_patch_that_clients_could_not_read_is_refused():
    patch = {"manager": "me", "trainingRuntimeSpec": {"template": {"spec": {"replicatedJobs": [{"template": {}}]}}}}
    assert _fields(job_causes(job(spec={"runtimePatches": [patch]}), None)) == [
        "spec.runtimePatches[0].trainingRuntimeSpec"
    ]


def test_the_rank_of_a_node_is_not_for_the_user_to_set():
    causes = job_causes(job(spec={"trainer": {"env": [{"name": "PET_NNODES", "value": "9"}]}}), None)
    assert _fields(causes) == ["spec.trainer.env[0].name"]


def test_serving_without_registering_is_refused():
    causes = job_causes(job(metadata={"annotations": {"millstream.dev/serve-as": "digits"}}), None)
    assert _fields(causes) == ["metadata.annotations[millstream.dev/model-name]"]


@pytest.mark.parametrize("name", ["Digits", "serve_as", "-a", "a" * 54, "a b", "digits\n"])
def test_serving_under_a_name_that_no_service_can_have_is_refused(name: str):
    notes = {"millstream.dev/model-name": "m", "millstream.dev/serve-as": name}
    assert _fields(job_causes(job(metadata={"annotations": notes}), None)) == [
        "metadata.annotations[millstream.dev/serve-as]"
    ]


def test_a_name_too_long_for_a_host_name_is_refused():
    assert _fields(job_causes(job(metadata={"name": "a" * 51}), None)) == ["metadata.name"]


def test_a_running_job_may_be_suspended_and_given_another_deadline_but_not_changed():
    old = job(status={"admission": {"state": "Admitted"}})
    assert job_causes(job(spec={"suspend": True, "activeDeadlineSeconds": 9}), old) == []
    causes = job_causes(job(spec={"trainer": {"numNodes": 3}}), old)
    assert [(c.field, c.reason) for c in causes] == [("spec.trainer", "FieldValueForbidden")]
    assert "immutable while the job is not suspended" in causes[0].message


def test_patches_may_change_while_a_job_is_suspended():
    old = job(spec={"suspend": True})
    assert job_causes(job(spec={"suspend": True, "runtimePatches": [{"manager": "queue"}]}), old) == []


def test_a_job_that_is_over_changes_no_more():
    over = [{"type": "Complete", "status": "True", "reason": "x", "lastTransitionTime": "2026-11-22T10:00:00Z"}]
    causes = job_causes(job(spec={"suspend": True}), job(status={"conditions": over}))
    assert [(c.field, "is over" in c.message) for c in causes] == [("spec.suspend", True)]


def _mpi(*names: str) -> dict[str, Any]:
    """A runtime for MPI with replicated jobs of these names; the first one trains."""
    (one,) = deepcopy(RUNTIME)["spec"]["template"]["spec"]["replicatedJobs"]
    made = [{**deepcopy(one), "name": name} for name in names]
    for job_ in made[1:]:
        del job_["template"]["metadata"]
    policy = {"numNodes": 2, "mpi": {"runLauncherAsNode": True}}
    return {**RUNTIME, "spec": {"mlPolicy": policy, "template": {"spec": {"replicatedJobs": made}}}}


def test_a_launcher_may_lead_its_nodes_where_there_is_one_to_start():
    assert runtime_causes(_mpi("launcher", "node"), POLICIES) == []
    assert runtime_causes(_mpi("launcher", "node", "dataset-initializer"), POLICIES) == []
    torch = _mpi("launcher", "node")
    torch["spec"]["mlPolicy"] = {"torch": {}}
    assert _fields(runtime_causes(torch, POLICIES)) == ["spec.template.spec.replicatedJobs[0].name"]


@pytest.mark.parametrize(
    ("names", "field"),
    [
        (("launcher",), "spec.template.spec.replicatedJobs"),
        (("launcher", "node", "workers"), "spec.template.spec.replicatedJobs[2].name"),
        (("launcher", "node", "node"), "spec.template.spec.replicatedJobs[2].name"),
    ],
    ids=["nobody to start", "unknown", "twice"],
)
def test_replicated_jobs_are_known_by_their_names(names: tuple[str, ...], field: str):
    assert _fields(runtime_causes(_mpi(*names), POLICIES)) == [field]


def test_a_runtime_names_one_framework():
    both = deepcopy(RUNTIME)
    both["spec"]["mlPolicy"] = {"torch": {}, "mpi": {}}
    (cause,) = runtime_causes(both, POLICIES)
    assert cause.field == "spec.mlPolicy" and "mpi and torch exclude each other" in cause.message
