"""Who may talk to whom in production, as a cluster's network decides: what manifests need works, nothing else."""

from __future__ import annotations

import pytest

from libs.service.manifest import Manifest, load_all
from tests.deploy.builds import ROOT, Object
from tests.deploy.pods import pods
from tests.deploy.traffic import OUTSIDE, End, Network, of, stranger

SERVICES = [manifest for manifest in load_all(ROOT / "services") if manifest.name != "node"]
every_service = pytest.mark.parametrize("manifest", SERVICES, ids=[manifest.name for manifest in SERVICES])
HTTP, HTTPS, NATS, POSTGRES, S3, API, PREDICTOR = 8080, 8443, 4222, 5432, 443, 6443, 8080


class Ends:
    """The pods of one build by name, and its network."""

    def __init__(self, objects: list[Object]) -> None:
        self.network = Network(objects)
        self._pods = {pod.name: of(pod) for pod in pods(objects)}

    def __getitem__(self, name: str) -> End:
        return self._pods[name]


@pytest.fixture(scope="module")
def ends(production: list[Object]) -> Ends:
    return Ends(production)


@every_service
def test_a_service_reaches_what_its_manifest_needs_and_nothing_else(manifest: Manifest, ends: Ends) -> None:
    me, may = ends[manifest.name], ends.network.allows
    assert may(me, OUTSIDE, 53, "UDP"), "names are looked up by all"
    assert may(me, ends["nats"], NATS) == ("bus" in manifest.needs)
    assert may(me, OUTSIDE, POSTGRES) == ("store" in manifest.needs)
    door = manifest.name == "gateway"
    assert may(me, OUTSIDE, API) == (door or bool(manifest.owns) or "cluster" in manifest.needs)
    others = [other.name for other in SERVICES if other.name not in (manifest.name, "gateway")]
    assert [name for name in others if may(me, ends[name], HTTP)] == (others if door else [])


@every_service
def test_strangers_reach_the_gateway_and_who_checks_tokens_itself(manifest: Manifest, ends: Ends) -> None:
    may = ends.network.allows(stranger(), ends[manifest.name], HTTP)
    assert may == (manifest.name == "gateway" or bool(manifest.self_authenticated))


@every_service
def test_the_api_server_reaches_every_service_over_tls(manifest: Manifest, ends: Ends) -> None:
    assert ends.network.allows(OUTSIDE, ends[manifest.name], HTTPS)


@every_service
def test_prometheus_reads_every_services_figures_from_wherever_it_runs(manifest: Manifest, ends: Ends) -> None:
    prometheus = stranger("monitoring", **{"app.kubernetes.io/name": "prometheus"})
    assert ends.network.allows(prometheus, ends[manifest.name], HTTP)


def test_nobody_from_elsewhere_speaks_on_the_bus(ends: Ends) -> None:
    assert not ends.network.allows(stranger(), ends["nats"], NATS)
    assert not ends.network.allows(OUTSIDE, ends["nats"], NATS)


def test_the_brokers_servers_reach_one_another_and_the_bootstrap_job_reaches_the_api_server(
    ends: Ends,
) -> None:
    assert ends.network.allows(ends["nats"], ends["nats"], 6222)
    assert ends.network.allows(ends["bootstrap"], OUTSIDE, API)
    assert not ends.network.allows(ends["nats"], OUTSIDE, 443)


def test_the_gateway_reaches_the_pods_of_models_in_every_namespace_and_no_other(ends: Ends) -> None:
    model = stranger("team-a", **{"serving.kserve.io/inferenceservice": "digits"})
    assert ends.network.allows(ends["gateway"], model, PREDICTOR)
    assert not ends.network.allows(ends["gateway"], stranger("team-a", app="other"), PREDICTOR)
    assert not ends.network.allows(ends["registry"], model, PREDICTOR)


@pytest.fixture(scope="module")
def everything(built: dict[str, list[Object]]) -> Ends:
    return Ends(built["production with every other component"])


def test_the_backup_reaches_the_bus_and_stores_and_objects_wherever_they_are(everything: Ends) -> None:
    may = everything.network.allows
    assert may(everything["backup"], everything["nats"], NATS)
    assert may(everything["backup"], OUTSIDE, POSTGRES) and may(everything["backup"], OUTSIDE, S3)


@every_service
def test_every_service_sends_its_traces_to_the_collector_and_nobody_from_elsewhere_does(
    manifest: Manifest, everything: Ends
) -> None:
    assert everything.network.allows(everything[manifest.name], everything["otel-collector"], 4318)
    assert not everything.network.allows(stranger(), everything["otel-collector"], 4318)


@pytest.mark.parametrize("name", ["overlays/dev", "overlays/production"])
def test_whoever_sets_the_platform_up_reaches_what_it_sets_up(name: str, built: dict[str, list[Object]]) -> None:
    ends = Ends(built[name])
    assert ends.network.allows(ends["bootstrap"], OUTSIDE, API)
    if name == "overlays/dev":
        assert ends.network.allows(ends["bootstrap"], ends["postgres"], POSTGRES)
        assert ends.network.allows(ends["trainer"], ends["postgres"], POSTGRES)
        assert ends.network.allows(stranger(), ends["s3"], 9000), "workloads read data and write models"


def test_without_its_policy_a_service_would_be_cut_off(production: list[Object]) -> None:
    without = [obj for obj in production if (obj["kind"], obj["metadata"]["name"]) != ("NetworkPolicy", "trainer")]
    cut = Ends(without)
    assert not cut.network.allows(cut["trainer"], cut["nats"], NATS)
    assert not cut.network.allows(cut["gateway"], cut["trainer"], HTTP)
