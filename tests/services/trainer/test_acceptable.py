"""Every object that the trainer makes is one that Kubernetes 1.28 and the newest accept; pods are as tame as may be."""

from copy import deepcopy
from typing import Any

import pytest

from libs.cluster import security
from libs.resources.plan import Ensure
from services.trainer.adapters.shipped import shipped
from services.trainer.app import TrainerSettings
from services.trainer.domain import workload
from services.trainer.domain.blueprint import blueprint
from services.trainer.domain.frameworks import framework_for
from services.trainer.domain.merge import merged
from services.trainer.domain.observed import Observed
from services.trainer.plugins import FRAMEWORKS
from services.trainer.reconcile import trainjob as reconcile
from tests.services.acceptable import accept, pod_spec, unrestricted
from tests.services.trainer.builders import NOW, RUNTIME, SITE, admitted, job, pod, runtime

DOWNLOADS = {
    "dataset": {
        "storageUri": "s3://data/digits",
        "secretRef": {"name": "keys"},
        "env": [{"name": "ENDPOINT", "value": "x"}],
    },
    "model": {"storageUri": "s3://models/base"},
}
GPUS = {"resourcesPerNode": {"limits": {"cpu": 8.0, "memory": "32Gi", "nvidia.com/gpu": 2}}, "numNodes": 4}
LONG = {"name": "a" * 50}
SIDECAR = deepcopy(RUNTIME)
_SPEC = SIDECAR["spec"]["template"]["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]
_SPEC["containers"].append(
    {"name": "proxy", "image": "proxy:1", "securityContext": {"capabilities": {"add": ["NET_ADMIN"]}}}
)
_SPEC["initContainers"] = [{"name": "prepare", "image": "busybox:1", "command": ["true"]}]
_SPEC["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
_SPEC["serviceAccountName"] = "trainers"

CASES = [
    pytest.param(job(), RUNTIME, id="two nodes of torch"),
    pytest.param(
        job(spec={"trainer": {"numNodes": 1}, "activeDeadlineSeconds": 60}), RUNTIME, id="one node, a deadline"
    ),
    pytest.param(job(spec={"trainer": GPUS}), RUNTIME, id="accelerators"),
    pytest.param(job(spec={"initializer": DOWNLOADS}), RUNTIME, id="a dataset and a model to fetch"),
    pytest.param(job(metadata=LONG), RUNTIME, id="the longest name"),
    pytest.param(job(), SIDECAR, id="a sidecar, an init container, a claim and an account"),
    pytest.param(
        job(), runtime(command=["python", "x.py"], env=[{"name": "A", "value": "1"}]), id="words of the runtime"
    ),
    *[pytest.param(job(), made, id=f"shipped: {made['metadata']['name']}") for made in shipped()],
]


def _job_of(trainjob: dict[str, Any], base: dict[str, Any], **more: Any) -> dict[str, Any]:
    plan = blueprint(trainjob, base)
    return workload.child_job(trainjob, plan, framework_for(plan.policy, FRAMEWORKS), SITE, ticket=42, **more)


@pytest.mark.parametrize(("trainjob", "base"), CASES)
def test_a_cluster_takes_all_that_a_job_needs(trainjob: dict[str, Any], base: dict[str, Any]):
    accept(workload.service(trainjob))
    accept(workload.secret(trainjob, "token", SITE))
    for restricted in (False, True):
        accept(_job_of(trainjob, base, restricted=restricted))


def test_a_cluster_takes_what_a_job_changes_and_tells_on_its_way():
    child = {**_job_of(job(), RUNTIME), "status": {}}
    told = {"name": "node", "state": {"waiting": {"reason": "InvalidImageName"}}}
    hopeless = merged(pod(0, "Pending"), {"status": {"containerStatuses": [told]}})
    worlds = [
        (admitted(), Observed()),
        (admitted(spec={"suspend": True}), Observed(job=child)),
        (admitted(spec={"activeDeadlineSeconds": 5}), Observed(job=child, service=True, secret=True)),
        (admitted(), Observed(job=child, pods=(pod(0, "Running"),), service=True, secret=True)),
        (admitted(), Observed(job=child, pods=(hopeless,), service=True, secret=True)),
    ]
    made = []
    for trainjob, seen in worlds:
        plan = reconcile.plan(reconcile.World(trainjob, RUNTIME, seen, FRAMEWORKS, SITE, "token", NOW))
        made += [action.obj for action in plan.actions if isinstance(action, Ensure)]
    for obj in made:
        accept(obj)
    assert {obj["kind"] for obj in made} == {"Service", "Secret", "Job", "Event"}


@pytest.mark.parametrize(("trainjob", "base"), CASES)
def test_in_a_restricted_namespace_only_what_a_user_set_stands_against_a_pod(trainjob: Any, base: Any):
    spec = pod_spec(_job_of(trainjob, base, restricted=True))
    assert spec is not None
    assert [why for why in unrestricted(spec) if not why.startswith("proxy:")] == []


def test_elsewhere_users_may_be_root_but_get_no_privileges():
    spec = pod_spec(_job_of(job(spec={"initializer": DOWNLOADS}), SIDECAR))
    assert spec is not None
    assert unrestricted(spec, only="node") == ["node: runAsNonRoot != true"]
    assert unrestricted(spec, only="dataset-initializer") == [], "the platform's own program needs nothing"
    proxy = next(c for c in spec["containers"] if c["name"] == "proxy")
    assert proxy["securityContext"] == {"capabilities": {"add": ["NET_ADMIN"]}}, "its author knew what it needs"


def test_what_a_user_set_is_kept():
    own = {"runAsUser": 1000, "readOnlyRootFilesystem": True}
    given = security.with_defaults(
        {"securityContext": {"runAsNonRoot": False}, "containers": [{"name": "node", "securityContext": own}]},
        restricted=True,
    )
    assert given["securityContext"]["runAsNonRoot"] is False
    assert own.items() <= given["containers"][0]["securityContext"].items()


def test_users_code_gets_a_key_to_the_api_only_with_an_account_of_its_own():
    assert (pod_spec(_job_of(job(), RUNTIME)) or {})["automountServiceAccountToken"] is False
    assert "automountServiceAccountToken" not in (pod_spec(_job_of(job(), SIDECAR)) or {})


def test_with_a_registry_of_its_own_the_platforms_images_are_used():
    plain = TrainerSettings(service="trainer")
    assert plain.workload_image("initializer") == "millstream/initializer" and not plain.has_own_images
    own = TrainerSettings(service="trainer", workload_image_prefix="registry.example/ml/", workload_image_tag="3")
    assert own.has_own_images
    images = {made["metadata"]["name"]: blueprint(job(), made).node["image"] for made in shipped(own.workload_image)}
    assert images["python"] == "registry.example/ml/python:3"
    assert images["torch-distributed"] == "registry.example/ml/torch:3"
    assert all(image.startswith("registry.example/ml/") for image in images.values())
    public = {made["metadata"]["name"]: blueprint(job(), made).node["image"] for made in shipped()}
    assert public["python"] == "python:3.11" and public["torch-distributed"].startswith("pytorch/pytorch:")
