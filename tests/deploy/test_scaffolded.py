"""A service made by the scaffold is deployable as it is: its manifests build in every overlay and validate."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from millstream.dev.scaffold import new_service

from tests.deploy import schemas
from tests.deploy.builds import ROOT, Object, build
from tests.deploy.pods import matches, pods, references
from tests.deploy.podsecurity import violations
from tests.deploy.traffic import OUTSIDE, Network, of

NAME = "billing"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the generator reads and writes, with one service more; nothing else is touched by hand."""
    root = tmp_path_factory.mktemp("scaffolded")
    shutil.copy(ROOT / "pyproject.toml", root)
    shutil.copytree(ROOT / "deploy", root / "deploy")
    for manifest in (ROOT / "services").glob("*/service.yaml"):
        (root / "services" / manifest.parent.name).mkdir(parents=True)
        shutil.copy(manifest, root / "services" / manifest.parent.name)
    new_service(root, NAME)
    return root


@pytest.fixture(scope="module", params=["laptop", "dev", "production"])
def objects(request: pytest.FixtureRequest, root: Path) -> list[Object]:
    return build(root / "deploy/overlays" / request.param)


def test_it_is_deployed_and_every_kubernetes_takes_it(objects: list[Object]) -> None:
    mine = [obj for obj in objects if obj["metadata"]["name"] == NAME]
    assert {"Deployment", "Service", "ServiceAccount"} <= {obj["kind"] for obj in mine}
    faults = [fault for obj in mine for version in schemas.VERSIONS if (fault := schemas.fault(obj, version))]
    assert faults == []


def test_its_pods_are_restricted_selected_and_have_what_they_need(objects: list[Object]) -> None:
    [pod] = [pod for pod in pods(objects) if pod.name == NAME]
    assert violations(pod.spec) == []
    [service] = [obj for obj in objects if obj["kind"] == "Service" and obj["metadata"]["name"] == NAME]
    assert matches({"matchLabels": service["spec"]["selector"]}, pod.labels)
    needs = {(kind, name) for kind, name, optional in references(pod) if not optional}
    assert ("ServiceAccount", NAME) in needs and ("Secret", f"millstream-{NAME}") in needs


def test_in_production_it_has_two_replicas_a_budget_a_store_and_ways_to_it(root: Path) -> None:
    objects = build(root / "deploy/overlays/production")
    mine = {obj["kind"]: obj for obj in objects if obj["metadata"]["name"] == NAME}
    assert mine["Deployment"]["spec"]["replicas"] == 2 and "PodDisruptionBudget" in mine
    by_name = {pod.name: pod for pod in pods(objects)}
    keys = {(each["key"]) for each in _secret_keys(by_name[NAME].spec) if each["name"] == "millstream-postgres"}
    assert keys == {NAME}
    network = Network(objects)
    assert network.allows(of(by_name["gateway"]), of(by_name[NAME]), 8080)
    assert network.allows(of(by_name[NAME]), OUTSIDE, 5432)
    assert not network.allows(of(by_name[NAME]), of(by_name["nats"]), 4222)  # it needs no bus yet


def _secret_keys(spec: Object) -> list[Object]:
    variables = [each for c in [*spec["initContainers"], *spec["containers"]] for each in c["env"]]
    return [each["valueFrom"]["secretKeyRef"] for each in variables if "secretKeyRef" in each.get("valueFrom", {})]
