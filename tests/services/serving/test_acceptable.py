"""Every object that serving makes is one that Kubernetes 1.28 and the newest accept, however strict the namespace."""

import dataclasses

import pytest
from jsonschema import validate

from services.node.domain.route_schema import route_schema
from services.serving.domain.predictor import KnownVersion, predictor
from services.serving.domain.workloads import SCRATCH, Surroundings, workloads
from tests.services.acceptable import accept, pod_spec, unrestricted
from tests.services.serving.test_rollout import isvc

KEYS = (("AWS_ENDPOINT_URL", "http://s3"), ("AWS_SECRET_ACCESS_KEY", "hidden"))
AROUND = Surroundings("http://edge", "millstream-system", storage_env=KEYS)
KNOWN = KnownVersion("digits", "3", 3, "s3://b/digits", "onnx")
LIMITS = {"limits": {"cpu": "500m", "memory": "1Gi"}, "requests": {"cpu": 0.5}}


def case(name="iris", outer=None, known=None, **model):
    made = isvc(name, **model)
    made["metadata"] |= {"uid": "0b6f6f7e-0000-4000-8000-000000000001", "generation": 1}
    made["spec"]["predictor"] |= outer or {}
    return made, predictor(made["spec"], known)


CASES = {
    "from the object store": case(),
    "from a claim": case(storageUri="pvc://models/iris"),
    "a registered version": case(known=KNOWN, storageUri="model-registry://digits"),
    "limits and variables": case(resources=LIMITS, env=[{"name": "TMPDIR", "value": "/scratch/own"}]),
    "an account, labels and a timeout": case(
        outer={"serviceAccountName": "reader", "timeout": 60, "labels": {"team": "a"}, "minReplicas": 3}
    ),
    "the longest name": case("a" * 53),
}


@pytest.mark.parametrize("which", CASES)
@pytest.mark.parametrize("has_routes", [True, False], ids=["with routes", "without"])
def test_a_cluster_takes_all_that_a_predictor_needs(which, has_routes):
    made, wanted = CASES[which]
    objects = workloads(made, wanted, dataclasses.replace(AROUND, has_routes=has_routes))
    deployment, service, *routes = objects
    accept(deployment)
    accept(service)
    assert len(routes) == int(has_routes)
    for route in routes:
        validate(route, route_schema())


@pytest.mark.parametrize("which", CASES)
def test_a_predictor_is_restricted_and_writes_to_its_own_volume_alone(which):
    made, wanted = CASES[which]
    spec = pod_spec(workloads(made, wanted, AROUND)[0])
    assert unrestricted(spec) == []
    (container,) = spec["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    writable = {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
    assert writable == {SCRATCH}
    (tmp,) = [entry["value"] for entry in container["env"] if entry["name"] == "TMPDIR"]
    assert tmp.startswith(SCRATCH)


def test_a_predictor_gets_no_key_to_the_api():
    for made, wanted in CASES.values():
        assert pod_spec(workloads(made, wanted, AROUND)[0])["automountServiceAccountToken"] is False


def test_no_predictor_reports_home():
    for made, wanted in CASES.values():
        (container,) = pod_spec(workloads(made, wanted, AROUND)[0])["containers"]
        assert {"name": "ORT_DISABLE_TELEMETRY", "value": "1"} in container["env"]
