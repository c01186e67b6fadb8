"""What a build tells its services is what they understand: every word is a setting, and every value is taken."""

from __future__ import annotations

from importlib import import_module

import pytest

from libs.base.settings import Settings
from libs.service.manifest import load_all
from tests.deploy.builds import ROOT, Object
from tests.deploy.pods import pods

CLUSTERS = ["overlays/dev", "overlays/production", "all components", "production with every other component"]
every_cluster = pytest.mark.parametrize("name", CLUSTERS)
SERVICES = [manifest.name for manifest in load_all(ROOT / "services") if manifest.name != "node"]
SECRETS = {
    "MILLSTREAM_STORE_URL": "postgresql+asyncpg://u:p@host:5432/db",
    "MILLSTREAM_ISSUERS": '[{"issuer": "https://id.example.org", "audience": "m", "jwks_url": "https://id.example.org/k"}]',
}
"""Words that only Secrets hold."""


def settings_class(service: str) -> type[Settings]:
    """How the service itself reads its environment."""
    if service == "gateway":
        found: type[Settings] = import_module("services.gateway.domain.options").Options
        return found
    return import_module(f"services.{service}.app").build().settings


def config(objects: list[Object]) -> dict[str, str]:
    data = (o["data"] for o in objects if o["kind"] == "ConfigMap" and o["metadata"]["name"] == "millstream-config")
    return dict(next(data))


def environment(container: Object) -> dict[str, str]:
    """The container's own variables; those that come from a Secret get an example."""
    given = {each["name"]: each.get("value") for each in container.get("env") or []}
    return {name: value if value is not None else SECRETS.get(name, "text") for name, value in given.items()}


@every_cluster
def test_every_word_of_the_configuration_is_a_setting_of_some_service(
    name: str, built: dict[str, list[Object]]
) -> None:
    known = {f"MILLSTREAM_{field.upper()}" for each in SERVICES for field in settings_class(each).model_fields}
    variables = {
        word
        for pod in pods(built[name])
        if pod.labels.get("app.kubernetes.io/component") == "service"
        for container in pod.containers
        for word in environment(container)
    }
    assert {*config(built[name]), *variables} <= known


@every_cluster
@pytest.mark.parametrize("service", SERVICES)
def test_every_service_takes_what_it_is_told(name: str, service: str, built: dict[str, list[Object]]) -> None:
    [pod] = [pod for pod in pods(built[name]) if pod.kind == "Deployment" and pod.name == service]
    for container in pod.containers:
        found = settings_class(service).from_env({**config(built[name]), **environment(container)})
        assert found.service == service and not found.migrate and found.linger_s > 2


@pytest.mark.parametrize("name", ["overlays/dev", "overlays/production"])
def test_the_grace_of_a_pod_is_longer_than_its_service_takes_to_end(name: str, built: dict[str, list[Object]]) -> None:
    from libs.service.runner import DRAIN_S

    lingers = float(config(built[name])["MILLSTREAM_LINGER_S"])
    for pod in (pod for pod in pods(built[name]) if pod.labels.get("app.kubernetes.io/component") == "service"):
        assert lingers + DRAIN_S < pod.spec["terminationGracePeriodSeconds"], str(pod)


@pytest.mark.parametrize("name", ["overlays/dev", "overlays/production"])
def test_aggregated_apis_are_on_and_the_cluster_decides_who_may_do_what(
    name: str, built: dict[str, list[Object]]
) -> None:
    told = config(built[name])
    assert told["MILLSTREAM_TLS_PORT"] == "8443" and told["MILLSTREAM_AUTHORIZATION"] == "cluster"
    kept = (obj for obj in built[name] if obj["kind"] == "ConfigMap")
    [job] = [obj["data"] for obj in kept if obj["metadata"]["name"] == "millstream-bootstrap"]
    assert job["MILLSTREAM_BOOTSTRAP_APIS"] == "aggregated"  # else it may end before they are there to be told
    owned = {kind.group for m in load_all(ROOT / "services") if m.name != "node" for kind in m.kinds}
    assert owned <= {obj["spec"]["group"] for obj in built[name] if obj["kind"] == "APIService"}
