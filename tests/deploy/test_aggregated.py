"""APIServices and rights of the aggregated APIs: what the manifests make of them, and that kustomize takes it."""

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from millstream.dev.apiservices import api_services, backends, delegation, people, priority

from libs.service.manifest import Manifest, load_all
from libs.service.reviews import route_path
from tests.clients.readme import block

ROOT = Path(__file__).resolve().parents[2]
KUBECTL = Path(sys.executable).parent / "kubectl"
BOATS = Manifest(name="boats", owns=("boats.toys.example.org/v1", "oars.sea.example.org/v1beta1"))
TRAINS = Manifest(name="trains", owns=("trains.toys.example.org/v1", "rails.toys.example.org/v2"))
GATEWAY, PLAIN = Manifest(name="gateway"), Manifest(name="plain", routes=("/api/plain/v1",))
TOYS = (BOATS, TRAINS, GATEWAY, PLAIN)


def test_the_only_owner_of_a_group_version_answers_itself_and_the_gateway_where_there_are_more() -> None:
    assert backends(TOYS) == {
        ("toys.example.org", "v1"): "gateway",
        ("toys.example.org", "v2"): "trains",
        ("sea.example.org", "v1beta1"): "boats",
    }


def test_an_api_service_leads_to_the_tls_port_of_its_backend() -> None:
    [sea, *_] = api_services(TOYS, "ml")
    assert sea["metadata"]["name"] == "v1beta1.sea.example.org"
    assert sea["spec"]["service"] == {"name": "boats", "namespace": "ml", "port": 8443}
    assert sea["metadata"]["labels"]["app.kubernetes.io/part-of"] == "millstream"
    assert "insecureSkipTLSVerify" not in sea["spec"]


def test_versions_come_in_the_order_of_kubernetes() -> None:
    ordered = ["v12", "v2", "v1", "v2beta1", "v1beta2", "v1beta1", "v2alpha1", "v1alpha1", "strange"]
    priorities = [priority(version) for version in ordered]
    assert priorities == sorted(priorities, reverse=True)
    assert len(set(priorities)) == len(priorities)
    assert all(1 <= each < 1000 for each in priorities)


def test_who_serves_kinds_may_ask_the_cluster_and_nobody_else() -> None:
    for binding in delegation(TOYS, "ml"):
        assert [subject["name"] for subject in binding["subjects"]] == ["boats", "trains", "gateway"]
    reader = delegation(TOYS, "ml")[1]
    assert reader["metadata"]["namespace"] == "kube-system"
    assert reader["roleRef"] == {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "Role",
        "name": "extension-apiserver-authentication-reader",
    }


def test_people_with_the_clusters_own_roles_reach_every_kind_and_viewers_change_none() -> None:
    view, edit = people(TOYS)
    for role in (view, edit):
        *kinds, paths = role["rules"]
        named = {(rule["apiGroups"][0], plural) for rule in kinds for plural in rule["resources"]}
        assert named == {(kind.group, kind.plural) for each in TOYS for kind in each.kinds}
        assert paths["nonResourceURLs"] == ["/millstream/api/plain/v1", "/millstream/api/plain/v1/*"]
    assert [rule["verbs"] for rule in view["rules"]] == [
        ["get", "list", "watch"],
        ["get", "list", "watch"],
        ["get", "head"],
    ]
    assert "rbac.authorization.k8s.io/aggregate-to-view" not in edit["metadata"]["labels"]


def test_what_is_everybodys_is_written_by_those_alone_who_administer_it() -> None:
    docks = Manifest(name="docks", owns=("docks.sea.example.org/v1", "ropes.sea.example.org/v1"))
    closed = docks.model_copy(update={"administered": ("docks.sea.example.org/v1",)})
    view, edit, administer = ([rule["resources"] for rule in role["rules"]] for role in people([closed]))
    assert (view, edit, administer) == ([["docks", "ropes"]], [["ropes"]], [["docks"]])
    assert not [key for key in people([closed])[2]["metadata"]["labels"] if "aggregate-to" in key]


def test_what_is_guarded_without_being_a_kind_is_read_by_viewers_and_written_by_editors() -> None:
    [view, edit] = people([Manifest(name="docks", guards={"ships.sea.example.org": ("create", "sink")})])
    told = {"apiGroups": ["sea.example.org"], "resources": ["ships"]}
    assert view["rules"] == [{**told, "verbs": ["get", "list"]}]
    assert edit["rules"] == [{**told, "verbs": ["create", "sink"]}]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The component on top of the cluster's, as an overlay of one's own would use it."""
    folder = ROOT / "deploy" / "components"
    place = tmp_path_factory.mktemp("overlay")
    words = {"components": [f"../{each}" for each in ("cluster", "aggregated-apis")]}
    (place / "kustomization.yaml").write_text(
        yaml.safe_dump({"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", **words})
    )
    for each in ("cluster", "aggregated-apis", "roles"):
        (place.parent / each).symlink_to(folder / each)
    done = subprocess.run(
        [KUBECTL, "kustomize", "--load-restrictor=LoadRestrictionsNone", place], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def test_the_component_switches_the_listener_and_the_clusters_rights_on(built: list[dict[str, Any]]) -> None:
    [config] = [
        each for each in built if each["kind"] == "ConfigMap" and each["metadata"]["name"] == "millstream-config"
    ]
    told = config["data"]
    assert (told["MILLSTREAM_TLS_PORT"], told["MILLSTREAM_AUTHORIZATION"]) == ("8443", "cluster")


def test_every_kind_of_every_service_is_registered(built: list[dict[str, Any]]) -> None:
    wanted = {
        (kind.group, kind.version) for each in load_all(ROOT / "services") if each.name != "node" for kind in each.kinds
    }
    found = {(each["spec"]["group"], each["spec"]["version"]) for each in built if each["kind"] == "APIService"}
    assert found == wanted


def test_the_rights_that_the_readme_gives_to_pipelines_are_those_that_their_components_need() -> None:
    """As kubectl would send them: models are asked for by path, so a role of a namespace cannot hold them."""
    made = {}
    for line in block("sh", "rolebinding pipelines-edit").splitlines():
        words = [*shlex.split(line)[1:], "--dry-run=client", "-o", "json"]
        obj = json.loads(subprocess.run([KUBECTL, *words], capture_output=True, check=True).stdout)
        made[obj["kind"]] = obj
    account = {"kind": "ServiceAccount", "name": "default", "namespace": "team"}
    for kind, role in (("RoleBinding", "edit"), ("ClusterRoleBinding", made["ClusterRole"]["metadata"]["name"])):
        assert made[kind]["roleRef"]["name"] == role and made[kind]["subjects"] == [account]
    assert made["RoleBinding"]["metadata"]["namespace"] == "team"
    [rule] = made["ClusterRole"]["rules"]
    [pattern] = rule["nonResourceURLs"]
    assert set(rule["verbs"]) >= {"get", "post"}
    routes = [route for each in load_all(ROOT / "services") if each.name == "registry" for route in each.routes]
    assert routes and all(route_path(route).startswith(pattern.removesuffix("*")) for route in routes)
