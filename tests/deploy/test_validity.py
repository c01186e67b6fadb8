"""What an API server refuses although the schema allows it: no build holds such a thing, and the check finds each."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest

from tests.deploy.builds import Object
from tests.deploy.pods import Pod, pods
from tests.deploy.validity import of_object, of_pod


def test_every_object_of_every_build_has_names_and_labels_that_an_api_server_takes(
    built: dict[str, list[Object]],
) -> None:
    found = {
        f"{name}: {obj['kind']} {obj['metadata']['name']}: {wrong}"
        for name, objects in built.items()
        for obj in objects
        for wrong in of_object(obj)
    }
    assert not found, found


def test_every_pod_of_every_build_holds_together(built: dict[str, list[Object]]) -> None:
    found = {
        f"{name}: {pod}: {wrong}" for name, objects in built.items() for pod in pods(objects) for wrong in of_pod(pod)
    }
    assert not found, found


def test_an_api_service_is_called_after_what_it_serves(production: list[Object]) -> None:
    for obj in (obj for obj in production if obj["kind"] == "APIService"):
        assert obj["metadata"]["name"] == f"{obj['spec']['version']}.{obj['spec']['group']}"


def _main(spec: Object) -> Object:
    found: Object = spec["containers"][0]
    return found


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda spec: spec["volumes"].append({"name": "tmp", "emptyDir": {}}), "volume tmp is there 2 times"),
        (lambda spec: _main(spec)["volumeMounts"].append({"name": "x", "mountPath": "/x"}), "which is no volume"),
        (lambda spec: _main(spec)["env"].append(_main(spec)["env"][0]), "variable MILLSTREAM_SERVICE is there 2"),
        (lambda spec: _main(spec)["ports"][0].update(name="a-name-that-is-too-long"), "port 'a-name"),
        (lambda spec: _main(spec)["readinessProbe"]["httpGet"].update(port="web"), "asks port 'web'"),
        (lambda spec: _main(spec)["resources"]["requests"].update(memory="9Gi"), "requests 9Gi of memory"),
        (lambda spec: spec.update(restartPolicy="Never"), "restartPolicy Never in a Deployment"),
        (lambda spec: spec["initContainers"][0].update(name="trainer"), "container trainer is there 2 times"),
    ],
)
def test_a_pod_that_does_not_hold_together_is_told_why(
    spoil: Callable[[Object], object], words: str, production: list[Object]
) -> None:
    good = next(pod for pod in pods(production) if pod.name == "trainer")
    broken = Pod(good.kind, good.name, good.namespace, copy.deepcopy(good.template))
    spoil(broken.spec)
    assert list(of_pod(good)) == []
    assert any(words in each for each in of_pod(broken)), list(of_pod(broken))


@pytest.mark.parametrize(
    ("kind", "meta"),
    [
        ("Service", {"name": "a.b"}),
        ("ConfigMap", {"name": "Big"}),
        ("ConfigMap", {"name": "a", "labels": {"x": "two words"}}),
        ("ConfigMap", {"name": "a", "labels": {"/x": "y"}}),
        ("ConfigMap", {"name": "a", "annotations": {"a b": "y"}}),
    ],
)
def test_a_name_or_label_that_no_api_server_takes_is_found(kind: str, meta: Object) -> None:
    assert list(of_object({"apiVersion": "v1", "kind": kind, "metadata": meta}))
