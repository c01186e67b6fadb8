"""What `millstream up` renders: whatever the overlay refers to exists, and rendering again changes nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from millstream import keys, laptop
from millstream.errors import ClientError
from millstream.home import SYSTEM_NAMESPACE, Home, Ports

Object = dict[str, Any]
MADE_BY_NODE = {"kube-root-ca.crt"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("home"))
    home.make()
    home.keep_ports(Ports(http=18080, https=18443))
    keys.certificates(home, dt.datetime.now(dt.UTC))
    return home


@pytest.fixture(scope="module")
def objects(home: Home) -> list[Object]:
    return [obj for obj in yaml.load_all(laptop.render(home).read_text(), Loader=yaml.CSafeLoader) if obj]


def _of(objects: list[Object], kind: str) -> dict[str, Object]:
    return {obj["metadata"]["name"]: obj for obj in objects if obj["kind"] == kind}


def _refers(part: Any, *fields: str) -> Iterator[str]:
    """The names that objects of one sort are referred to by, anywhere inside `part`."""
    if isinstance(part, dict):
        for key, value in part.items():
            if key in fields and isinstance(value, dict):
                yield value.get("name") or value["secretName"]
            yield from _refers(value, *fields)
    elif isinstance(part, list):
        for entry in part:
            yield from _refers(entry, *fields)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("ConfigMap", ("configMapRef", "configMapKeyRef", "configMap")),
        ("Secret", ("secretRef", "secretKeyRef", "secret")),
    ],
)
def test_every_config_map_and_secret_referred_to_exists(
    objects: list[Object], kind: str, fields: tuple[str, ...]
) -> None:
    wanted = {*_refers(objects, *fields)} - MADE_BY_NODE
    assert wanted and wanted <= _of(objects, kind).keys()


def test_every_claim_account_and_backend_exists(objects: list[Object]) -> None:
    pods = [obj["spec"]["template"]["spec"] for obj in objects if obj["kind"] in ("Deployment", "StatefulSet")]
    claims = {
        volume["persistentVolumeClaim"]["claimName"]
        for pod in pods
        for volume in pod.get("volumes", ())
        if "persistentVolumeClaim" in volume
    }
    assert claims and claims <= _of(objects, "PersistentVolumeClaim").keys()
    accounts = {pod["serviceAccountName"] for pod in pods if "serviceAccountName" in pod}
    assert accounts <= _of(objects, "ServiceAccount").keys()
    routes = [obj["spec"]["rules"] for obj in objects if obj["kind"] == "HTTPRoute"]
    backends = {ref["name"] for rules in routes for rule in rules for ref in rule["backendRefs"]}
    assert backends and backends <= _of(objects, "Service").keys()


def test_the_namespace_comes_first_and_everything_else_is_in_it(objects: list[Object]) -> None:
    assert objects[0]["kind"] == "Namespace" and objects[0]["metadata"]["name"] == SYSTEM_NAMESPACE
    assert {obj["metadata"]["namespace"] for obj in objects[1:]} == {SYSTEM_NAMESPACE}


def test_every_service_with_a_manifest_but_the_node_is_started(objects: list[Object], home: Home) -> None:
    services = {manifest.name for manifest in laptop.manifests()} - {"node"}
    started = _of(objects, "Deployment").keys() | _of(objects, "StatefulSet").keys()
    assert services <= started and {"nats", "s3"} <= started
    assert sorted(laptop.owners(home)) == sorted(started)


def test_a_service_gets_only_the_keys_of_what_it_needs(objects: list[Object]) -> None:
    secrets = _of(objects, "Secret")
    for manifest in laptop.manifests():
        data = secrets[f"millstream-{manifest.name}"]["data"]
        assert ("MILLSTREAM_STORE_URL" in data) == ("store" in manifest.needs), manifest.name
        assert ("MILLSTREAM_NATS_URL" in data) == ("bus" in manifest.needs), manifest.name
        assert ("MILLSTREAM_IDENTITY_PRIVATE_KEY" in data) == (manifest.name == "gateway"), manifest.name
        assert ("MILLSTREAM_S3_SECRET_KEY" in data) == bool({"blobs", "cluster"} & {*manifest.needs}), manifest.name


def test_rendering_again_writes_the_same_and_other_homes_have_other_secrets(home: Home, tmp_path: Path) -> None:
    first = laptop.render(home).read_text()
    assert laptop.render(home).read_text() == first
    other = Home(tmp_path)
    other.make()
    keys.certificates(other, dt.datetime.now(dt.UTC))
    assert keys.local_token(other) not in first
    assert laptop.render(other).read_text() != first


def test_a_changed_setting_marks_the_pods_that_use_it_and_no_others(home: Home, tmp_path: Path) -> None:
    laptop.render(home)
    before = laptop.owners(home)
    assert all(before.values())
    ports = home.ports()
    home.keep_tracking({"MLFLOW_TRACKING_URI": "http://127.0.0.1:5000"})
    assert _marked_anew(home, before) == {"pipelines"}
    home.keep_tracking({})
    assert _marked_anew(home, before) == set()
    home.keep_ports(Ports(http=18081, https=ports.https))
    try:
        assert _marked_anew(home, before) == before.keys() - {"nats", "s3"}
    finally:
        home.keep_ports(ports)


def _marked_anew(home: Home, before: dict[str, str]) -> set[str]:
    laptop.render(home)
    return {name for name, mark in laptop.owners(home).items() if mark != before[name]}


def test_whom_to_tell_of_pipelines_runs_is_kept_until_it_is_told_otherwise() -> None:
    told = {"MLFLOW_TRACKING_URI": "http://a", "MLFLOW_TRACKING_TOKEN": "t"}
    kept = laptop.tracking({}, {**told, "HOME": "/root"})
    assert kept == told
    assert laptop.tracking(kept, {}) == kept
    assert laptop.tracking(kept, {"OPENLINEAGE_URL": "http://b"}) == {**kept, "OPENLINEAGE_URL": "http://b"}
    assert laptop.tracking(kept, {"MLFLOW_TRACKING_URI": "", "MLFLOW_TRACKING_TOKEN": ""}) == {}
    with pytest.raises(ClientError, match=r"MLFLOW_TRACKING_URI='sqlite:///x'.*set MLFLOW_TRACKING_URI to nothing"):
        laptop.tracking({}, {"MLFLOW_TRACKING_URI": "sqlite:///x"})


def test_what_was_rendered_is_the_owners_alone(home: Home) -> None:
    assert laptop.render(home).stat().st_mode & 0o777 == 0o600


def test_a_missing_program_is_named_with_the_remedy() -> None:
    with pytest.raises(ClientError, match=r"no-such-program .*make setup"):
        laptop.tool("no-such-program")
