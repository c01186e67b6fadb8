"""Every overlay, every component and all of them together can be built, and a Kubernetes would take the result."""

from __future__ import annotations

import pytest

from tests.deploy import schemas
from tests.deploy.builds import Object, combinations

COMBINATIONS = list(combinations())


@pytest.mark.parametrize("name", COMBINATIONS)
def test_it_can_be_built(name: str, attempts: dict[str, list[Object] | AssertionError]) -> None:
    made = attempts[name]
    if isinstance(made, AssertionError):
        raise made
    assert made, f"{name} is empty"


@pytest.mark.parametrize("version", schemas.VERSIONS)
def test_every_object_is_valid(version: str, built: dict[str, list[Object]]) -> None:
    faults = {
        f"{obj['kind']} {obj['metadata']['name']}: {fault}"
        for objects in built.values()
        for obj in objects
        if (fault := schemas.fault(obj, version))
    }
    assert not faults, "\n".join(sorted(faults))


def test_no_combination_makes_an_object_twice(built: dict[str, list[Object]]) -> None:
    for name, objects in built.items():
        keys = [(o["apiVersion"], o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]) for o in objects]
        assert len(keys) == len(set(keys)), name


def test_the_overlays_of_the_issue_are_there() -> None:
    wanted = {"overlays/laptop", "overlays/dev", "overlays/production"}
    assert wanted <= set(COMBINATIONS)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("spec", "replicas"), "two", "spec.replicas"),
        (("spec", "template", "spec", "containers", 0, "readinessprobe"), {}, "readinessprobe"),
        (("spec", "template", "spec", "containers", 0, "ports", 0, "containerPort"), None, "containerPort"),
        (("spec", "template", "spec", "topologySpreadConstraints", 0, "topologykey"), "zone", "topologykey"),
    ],
    ids=["a word for a number", "a misspelt field", "nothing for a number", "a misspelt field deep inside"],
)
@pytest.mark.parametrize("version", [schemas.OLDEST, schemas.NEWEST])
def test_what_a_cluster_would_refuse_is_refused(
    version: str, path: tuple[str | int, ...], value: object, words: str, production: list[Object]
) -> None:
    import copy

    broken = copy.deepcopy(next(o for o in production if o["kind"] == "Deployment" and "replicas" in o["spec"]))
    place = broken
    for step in path[:-1]:
        place = place[step]  # type: ignore[index]
    place[path[-1]] = value  # type: ignore[index]
    assert words in str(schemas.fault(broken, version))


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("Gateway", {"gatewayClass": "x", "listeners": [{"name": "a", "port": 80, "protocol": "HTTP"}]}),
        ("HTTPRoute", {"parentRefs": [{"name": "edge"}], "rules": [{"backendRef": []}]}),
    ],
)
def test_a_misspelt_field_of_an_add_ons_kind_is_refused(kind: str, change: Object) -> None:
    obj = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": kind, "metadata": {"name": "x"}, "spec": change}
    assert "backendRef" in str(schemas.fault(obj, "1.31")) or "gatewayClass" in str(schemas.fault(obj, "1.31"))
