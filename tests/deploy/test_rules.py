"""What every build for a cluster keeps to, beyond what schemas ask: our own rules, one a test."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from millstream.cluster import certificates, derived, ledger
from millstream.cluster.options import Options

from libs.service.manifest import load_all
from tests.deploy.builds import ROOT, Object
from tests.deploy.pods import Pod, matches, pods, references
from tests.deploy.podsecurity import violations

CLUSTERS = ["overlays/dev", "overlays/production", "all components", "production with every other component"]
every_cluster = pytest.mark.parametrize("name", CLUSTERS)
MANIFESTS = [manifest for manifest in load_all(ROOT / "services") if manifest.name != "node"]


def _by_bootstrap(options: Options) -> set[str]:
    """The Secrets that the bootstrap job makes, as its own code says."""
    known = ledger.completed({}, MANIFESTS)
    secrets = {name for name, _ in derived.secrets(known, MANIFESTS, options)}
    return secrets | {name for name, *_ in certificates.wanted(MANIFESTS, options)}


BY_BOOTSTRAP = _by_bootstrap(Options()) | _by_bootstrap(Options(nats="cluster"))
# Secrets that no manifest holds and no job makes.
BY_THE_USER = {
    "millstream-ingress-tls": "deploy/components/ingress/kustomization.yaml",
    "millstream-oidc": "deploy/components/oidc/kustomization.yaml",
    "millstream-postgres": "deploy/components/external-postgres/kustomization.yaml",
    "millstream-s3": "deploy/components/external-s3/kustomization.yaml",
}
"""Name of the Secret -> the file that tells the user how to make it."""


def of_kind(objects: list[Object], *kinds: str) -> list[Object]:
    return [obj for obj in objects if obj["kind"] in kinds]


def find(objects: list[Object], kind: str, name: str) -> Object:
    return next(obj for obj in objects if obj["kind"] == kind and obj["metadata"]["name"] == name)


def containers(objects: list[Object]) -> Iterator[tuple[Pod, Object]]:
    return ((pod, container) for pod in pods(objects) for container in pod.containers)


@every_cluster
def test_every_image_is_of_a_version_and_of_no_registry_in_particular(
    name: str, built: dict[str, list[Object]]
) -> None:
    for pod, container in containers(built[name]):
        path, _, last = container["image"].rpartition("/")
        repository, _, tag = last.partition(":")
        assert repository and tag and tag != "latest", f"{pod}: {container['image']} names no version"
        first = path.split("/")[0]
        assert "." not in first and ":" not in first, f"{pod}: {container['image']} names the registry {first}"


@every_cluster
def test_every_container_says_what_it_takes_and_may_do_little(name: str, built: dict[str, list[Object]]) -> None:
    for pod, container in containers(built[name]):
        where, resources = f"{pod}, {container['name']}", container.get("resources") or {}
        assert {"cpu", "memory"} <= set(resources.get("requests") or {}), f"{where} requests no cpu or memory"
        assert "memory" in (resources.get("limits") or {}), f"{where} has no limit of memory"
        assert container["securityContext"]["readOnlyRootFilesystem"], f"{where} may write to its image"


@every_cluster
def test_every_pod_is_restricted(name: str, built: dict[str, list[Object]]) -> None:
    found = {str(pod): wrong for pod in pods(built[name]) if (wrong := violations(pod.spec))}
    assert not found


@every_cluster
def test_every_lasting_container_is_probed_for_start_readiness_and_life(
    name: str, built: dict[str, list[Object]]
) -> None:
    for pod in pods(built[name]):
        for container in pod.spec["containers"] if pod.lasting else []:
            missing = {"startupProbe", "readinessProbe", "livenessProbe"} - set(container)
            assert not missing, f"{pod}, {container['name']} has no {missing}"


@every_cluster
def test_every_selector_finds_a_pod(name: str, built: dict[str, list[Object]]) -> None:
    objects = built[name]
    found = pods(objects)
    for obj in of_kind(objects, "Deployment", "StatefulSet", "PodDisruptionBudget", "Service", "NetworkPolicy"):
        spec, where = obj["spec"], f"{obj['kind']} {obj['metadata']['name']}"
        selector = {"matchLabels": spec["selector"]} if obj["kind"] == "Service" else _selector(spec)
        assert any(matches(selector, pod.labels) for pod in found), f"{where} selects nothing: {selector}"


def _selector(spec: Object) -> Object:
    found: Object = spec["podSelector"] if "podSelector" in spec else spec["selector"]
    return found


@every_cluster
def test_every_owner_selects_its_own_pods_and_nobody_elses(name: str, built: dict[str, list[Object]]) -> None:
    owners = of_kind(built[name], "Deployment", "StatefulSet")
    for owner in owners:
        selected = [
            other["metadata"]["name"]
            for other in owners
            if matches(owner["spec"]["selector"], other["spec"]["template"]["metadata"]["labels"])
        ]
        assert selected == [owner["metadata"]["name"]]


@every_cluster
def test_every_port_that_a_service_leads_to_is_one_of_its_pods(name: str, built: dict[str, list[Object]]) -> None:
    found = pods(built[name])
    for service in of_kind(built[name], "Service"):
        mine = [
            pod for pod in found if matches({"matchLabels": service["spec"]["selector"]}, pod.labels) and pod.lasting
        ]
        for port in service["spec"]["ports"]:
            target = port.get("targetPort", port["port"])
            assert all(pod.port(target) for pod in mine), f"{service['metadata']['name']}: nobody listens on {target}"


@every_cluster
def test_whatever_a_pod_needs_is_made_by_something(name: str, built: dict[str, list[Object]]) -> None:
    objects = built[name]
    made = {(obj["kind"], obj["metadata"]["name"]) for obj in objects}
    made |= {("Secret", cert["spec"]["secretName"]) for cert in of_kind(objects, "Certificate")}
    made |= {("Secret", secret) for secret in (*BY_BOOTSTRAP, *BY_THE_USER)} | {("ServiceAccount", "default")}
    missing = {
        f"{pod} needs {kind} {wanted}"
        for pod in pods(objects)
        for kind, wanted, optional in references(pod)
        if not optional and (kind, wanted) not in made
    }
    assert not missing


@pytest.mark.parametrize("name", ["overlays/dev", "overlays/production"])
def test_the_bootstrap_job_is_told_of_the_engines_that_the_overlay_has(
    name: str, built: dict[str, list[Object]]
) -> None:
    """Else it would not make a Secret that they wait for."""
    told = find(built[name], "ConfigMap", "millstream-bootstrap")["data"]
    options = Options(**{key.removeprefix("MILLSTREAM_BOOTSTRAP_").lower(): value for key, value in told.items()})
    made = _by_bootstrap(options) | BY_THE_USER.keys()
    needed = {
        wanted for pod in pods(built[name]) for kind, wanted, opt in references(pod) if kind == "Secret" and not opt
    }
    assert needed <= made
    assert options.servers == find(built[name], "StatefulSet", "nats")["spec"]["replicas"]


@pytest.mark.parametrize("secret", BY_THE_USER)
def test_a_secret_that_the_user_makes_is_explained_where_it_is_used(secret: str) -> None:
    text = (ROOT / BY_THE_USER[secret]).read_text()
    assert f"# {text.partition(f'{secret}')[0].rpartition('# ')[2]}{secret}" in text, f"no comment tells of {secret}"


@every_cluster
def test_every_role_that_is_bound_exists_and_is_bound_to_an_account_that_does(
    name: str, built: dict[str, list[Object]]
) -> None:
    objects = built[name]
    made = {(obj["kind"], obj["metadata"]["name"]) for obj in objects}
    cluster_own = ("system:", "extension-apiserver-authentication-reader")
    for binding in of_kind(objects, "RoleBinding", "ClusterRoleBinding"):
        role = binding["roleRef"]
        assert (role["kind"], role["name"]) in made or role["name"].startswith(cluster_own), role
        for subject in binding["subjects"]:
            assert (subject["kind"], subject["name"]) in made and subject["namespace"] == "millstream-system", subject


@every_cluster
def test_everything_lives_in_the_namespace_of_the_platform_or_names_another(
    name: str, built: dict[str, list[Object]]
) -> None:
    cluster_wide = {"Namespace", "ClusterRole", "ClusterRoleBinding", "APIService"}
    lost = [f"{o['kind']} {o['metadata']['name']}" for o in built[name] if "namespace" not in o["metadata"]]
    assert not [each for each in lost if each.split()[0] not in cluster_wide]


@every_cluster
def test_every_door_leads_to_a_service_that_exists(name: str, built: dict[str, list[Object]]) -> None:
    ports = {
        (service["metadata"]["name"], word)
        for service in of_kind(built[name], "Service")
        for port in service["spec"]["ports"]
        for word in (port["name"], port["port"])
    }
    wanted = set()
    for route in of_kind(built[name], "HTTPRoute"):
        wanted |= {(ref["name"], ref["port"]) for rule in route["spec"]["rules"] for ref in rule["backendRefs"]}
    for ingress in of_kind(built[name], "Ingress"):
        paths = [path["backend"]["service"] for rule in ingress["spec"]["rules"] for path in rule["http"]["paths"]]
        wanted |= {(backend["name"], *backend["port"].values()) for backend in paths}
    for api in of_kind(built[name], "APIService"):
        wanted |= {(api["spec"]["service"]["name"], api["spec"]["service"]["port"])}
    assert wanted <= ports


def test_production_has_two_of_everything_or_an_autoscaler_that_sees_to_it(production: list[Object]) -> None:
    scaled = {hpa["spec"]["scaleTargetRef"]["name"]: hpa for hpa in of_kind(production, "HorizontalPodAutoscaler")}
    for deployment in of_kind(production, "Deployment"):
        name = deployment["metadata"]["name"]
        if name in scaled:
            assert "replicas" not in deployment["spec"], f"each apply would undo what {name}'s autoscaler did"
            assert scaled[name]["spec"]["minReplicas"] >= 2
        else:
            assert deployment["spec"]["replicas"] >= 2, name
    assert {"gateway"} <= scaled.keys() <= {d["metadata"]["name"] for d in of_kind(production, "Deployment")}


def test_production_keeps_one_of_everything_while_nodes_are_drained_and_spreads_them(production: list[Object]) -> None:
    budgets = of_kind(production, "PodDisruptionBudget")
    for pod in pods(production):
        if pod.lasting:
            mine = [budget for budget in budgets if matches(budget["spec"]["selector"], pod.labels)]
            assert [budget["spec"]["maxUnavailable"] for budget in mine] == [1], f"{pod}: {len(mine)} budgets"
            spread = {each["topologyKey"] for each in pod.spec["topologySpreadConstraints"]}
            assert spread == {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}, str(pod)


def test_a_rolling_update_never_takes_a_replica_away_before_another_is_ready(production: list[Object]) -> None:
    for deployment in of_kind(production, "Deployment"):
        assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_production_takes_only_restricted_pods_and_denies_what_no_policy_names(production: list[Object]) -> None:
    [namespace] = of_kind(production, "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    deny = find(production, "NetworkPolicy", "default-deny")["spec"]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_production_keeps_streams_thrice_and_speaks_to_its_broker_over_tls(production: list[Object]) -> None:
    told = find(production, "ConfigMap", "millstream-config")["data"]
    assert told["MILLSTREAM_NATS_REPLICAS"] == "3" and told["MILLSTREAM_NATS_CA_FILE"]
    assert find(production, "StatefulSet", "nats")["spec"]["replicas"] == 3


def test_production_has_stores_and_objects_of_the_users_own(production: list[Object]) -> None:
    for pod in (pod for pod in pods(production) if pod.kind == "Deployment"):
        for container in pod.containers:
            given = {each["name"]: each.get("valueFrom", {}) for each in container.get("env") or []}
            url = given.get("MILLSTREAM_STORE_URL", {}).get("secretKeyRef")
            stored = pod.labels.get("millstream.dev/store") == "true"
            assert url == ({"name": "millstream-postgres", "key": pod.name} if stored else None), str(pod)
    assert not {"postgres", "s3"} & {obj["metadata"]["name"] for obj in of_kind(production, "StatefulSet")}


def test_every_store_is_migrated_before_its_code_starts(production: list[Object]) -> None:
    told = find(production, "ConfigMap", "millstream-config")["data"]
    assert told["MILLSTREAM_MIGRATE"] == "false"
    for pod in (pod for pod in pods(production) if pod.labels.get("millstream.dev/store") == "true"):
        [migrate] = pod.spec["initContainers"]
        [main] = pod.spec["containers"]
        words = [*main["command"], "migrate"]
        assert migrate["command"][: len(words)] == words and migrate["image"] == main["image"]


def test_a_pod_holds_a_token_of_the_cluster_only_where_it_has_something_to_do_there(production: list[Object]) -> None:
    bound = {
        subject["name"]
        for obj in of_kind(production, "RoleBinding", "ClusterRoleBinding")
        for subject in obj["subjects"]
    }
    for pod in pods(production):
        held = pod.spec.get("automountServiceAccountToken", True)
        assert held == (pod.spec.get("serviceAccountName", "default") in bound), str(pod)


def test_every_store_is_backed_up(built: dict[str, list[Object]]) -> None:
    job = find(built["components/backup"], "CronJob", "backup")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    [container] = job["containers"]
    named = set(re.findall(r'--store (\S+)="\$\{(\w+):-\$(\w+)\}"', container["args"][0]))
    keys = {each["name"]: each["valueFrom"]["secretKeyRef"] for each in container["env"]}
    for name in (manifest.name for manifest in MANIFESTS if "store" in manifest.needs):
        [(outer, inner)] = [(outer, inner) for store, outer, inner in named if store == name]
        assert keys[outer] == {"name": "millstream-postgres", "key": name, "optional": True}
        assert keys[inner] == {"name": f"millstream-{name}", "key": "MILLSTREAM_STORE_URL", "optional": True}


def test_the_small_overlay_is_small_and_brings_its_engines(built: dict[str, list[Object]]) -> None:
    objects = built["overlays/dev"]
    assert {owner["metadata"]["name"] for owner in of_kind(objects, "StatefulSet")} == {"nats", "postgres", "s3"}
    assert {owner["spec"]["replicas"] for owner in of_kind(objects, "Deployment", "StatefulSet")} == {1}
    assert not of_kind(objects, "PodDisruptionBudget", "HorizontalPodAutoscaler")


def test_the_laptop_is_what_the_node_knows_and_nothing_else(built: dict[str, list[Object]]) -> None:
    from services.node.reconcile.kinds import KINDS

    assert {obj["kind"] for obj in built["overlays/laptop"]} <= {kind.kind for kind in KINDS}
    for pod in pods(built["overlays/laptop"]):
        for container in pod.spec["containers"]:
            assert not {"resources", "startupProbe", "lifecycle"} & set(container), f"{pod} would start slower"
        assert not [each for each in pod.spec.get("initContainers") or [] if each["name"] == "migrate"]
