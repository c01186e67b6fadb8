"""TrainJobs through the cluster's own API server, with the cluster's own users: one who may and one who may not."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

from tests.cluster_suite.kubectl import Kubectl, Object
from tests.cluster_suite.options import SYSTEM
from tests.cluster_suite.world import Skipped, World
from tests.e2e.flow import small_job

GROUPS = {"trainer.kubeflow.org": "v1alpha1", "serving.kserve.io": "v1beta1"}
WAIT_S = 90


class ApiFailure(Exception):
    """The API does not do what it should; the message says what was asked and answered."""


def api(world: World) -> str:
    """Discovery, a TrainJob's life by kubectl alone, and RBAC."""
    _served(world)
    _life(world)
    facts = world.facts
    if facts is None or not facts.rbac:
        world.report.note("the API step did not try a user without rights: this cluster has no RBAC")
        return "kubectl creates, lists, watches and deletes TrainJobs (no RBAC here)"
    _rights(world)
    return "kubectl creates, lists, watches and deletes TrainJobs; RBAC lets one account in and keeps another out"


def is_served(kubectl: Kubectl) -> bool:
    """Whether the API server of the kubeconfig answers for our groups."""
    return all(kubectl.raw(f"/apis/{group}/{version}") is not None for group, version in GROUPS.items())


def _served(world: World) -> None:
    kubectl, end = world.kubectl, time.monotonic() + WAIT_S
    while not is_served(kubectl):
        if time.monotonic() > end:
            if world.facts and not world.facts.aggregation:
                raise Skipped("the cluster has no aggregation layer; the gateway serves the same API")
            raise ApiFailure("\n".join(["the API server does not serve our groups:", *_apiservices(kubectl)]))
        time.sleep(2)


def _apiservices(kubectl: Kubectl) -> list[str]:
    """What the aggregator thinks of each of our APIServices."""
    found = []
    for one in kubectl.items("apiservices.apiregistration.k8s.io"):
        service = one["spec"].get("service") or {}
        if service.get("namespace") != SYSTEM:
            continue
        held = {c["type"]: c for c in (one.get("status") or {}).get("conditions") or []}.get("Available", {})
        told = f"{held.get('status', '?')} {held.get('reason', '')}: {held.get('message', '')}"
        found.append(f"APIService {one['metadata']['name']} -> {service.get('name')}: Available={told}")
    return found or [f"there is no APIService whose service is in {SYSTEM}: was the component left out of the overlay?"]


def _life(world: World) -> None:
    namespace, kubectl = world.options.namespace, world.kubectl
    job = small_job("suite-api", "suite-api", namespace=namespace)
    kubectl.run("apply", "--server-side", "-f", "-", stdin=json.dumps(job))
    wait = ("wait", "--for=condition=Complete", "trainjob/suite-api", "-n", namespace, "--timeout=600s")
    worked, said = kubectl.tried(*wait, timeout_s=620)
    table = kubectl.run("get", "trainjobs", "-n", namespace)
    if not worked or "suite-api" not in table:
        told = kubectl.tried("describe", "trainjob", "suite-api", "-n", namespace)[1]
        raise ApiFailure(f"the job did not complete: {said.strip()}\n{told[-1500:]}")
    kubectl.run("delete", "trainjob", "suite-api", "-n", namespace, "--timeout=60s")


def _rights(world: World) -> None:
    namespace, kubectl = world.options.namespace, world.kubectl
    kubectl.apply(accounts(namespace))
    with tempfile.TemporaryDirectory(prefix="millstream-suite-") as folder:
        may, may_not = (as_account(kubectl, namespace, name, Path(folder)) for name in ("suite-may", "suite-may-not"))
        listing = ("get", "trainjobs", "-n", namespace)
        worked, said = may.tried(*listing)
        if not worked:
            raise ApiFailure(f"the account with a Role for TrainJobs was refused: {said.strip()}")
        worked, said = may_not.tried(*listing)
        if worked or "orbidden" not in said:
            raise ApiFailure(f"the account without a Role was not refused: {said.strip()}")
        job = json.dumps(small_job("suite-refused", "suite-api", namespace=namespace))
        worked, said = may.tried("create", "--dry-run=server", "-f", "-", stdin=job)
        if worked or "orbidden" not in said:
            raise ApiFailure(f"the account that may only read was allowed to create: {said.strip()}")


def accounts(namespace: str) -> list[Object]:
    """Two service accounts; the first may read TrainJobs."""
    made: list[Object] = [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}}
        for name in ("suite-may", "suite-may-not")
    ]
    rule = {"apiGroups": ["trainer.kubeflow.org"], "resources": ["trainjobs"], "verbs": ["get", "list", "watch"]}
    rbac, meta = "rbac.authorization.k8s.io", {"name": "suite-may", "namespace": namespace}
    made.append({"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": meta, "rules": [rule]})
    subject = {"kind": "ServiceAccount", "name": "suite-may", "namespace": namespace}
    ref = {"apiGroup": rbac, "kind": "Role", "name": "suite-may"}
    made.append(
        {"apiVersion": f"{rbac}/v1", "kind": "RoleBinding", "metadata": meta, "roleRef": ref, "subjects": [subject]}
    )
    return made


def as_account(kubectl: Kubectl, namespace: str, name: str, folder: Path) -> Kubectl:
    """kubectl with the account's token and no other credential: a client certificate would win over it."""
    config = kubectl.object("config", "view", "--raw", "--minify")
    token = kubectl.run("create", "token", name, "-n", namespace).strip()
    config["users"] = [{"name": user["name"], "user": {"token": token}} for user in config["users"]]
    path = folder / name
    path.touch(mode=0o600)
    path.write_text(json.dumps(config))
    return Kubectl(kubectl.program, path)
