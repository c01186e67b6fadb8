"""What kind of cluster this is, before anything is changed in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

from tests.cluster_suite.kubectl import Kubectl, Object
from tests.cluster_suite.options import SYSTEM

LAPTOP = "laptop"
MARK = "millstream.dev/cluster-suite"
OLDEST = (1, 28)
NEEDED = (
    ("create", "namespaces", ""),
    ("create", "deployments.apps", "install the services"),
    ("create", "clusterroles.rbac.authorization.k8s.io", "give the services their rights"),
    ("create", "clusterrolebindings.rbac.authorization.k8s.io", "give the services their rights"),
    ("create", "apiservices.apiregistration.k8s.io", "register the aggregated API"),
    ("get", "secrets", "read the credentials that the bootstrap job makes"),
    ("delete", "pods", "run the kill test"),
)


class Unfit(Exception):
    """The cluster cannot run the platform, or not for this user; the message says why."""


@dataclass(frozen=True)
class Facts:
    """What was found. `notes` are sentences for the report."""

    version: str
    groups: frozenset[str]
    rbac: bool
    aggregation: bool
    gateway_api: bool
    cert_manager: bool
    metrics: bool
    storage_class: str | None
    notes: tuple[str, ...] = field(default=())


def look(kubectl: Kubectl) -> Facts:
    """Raises Unfit when the cluster is unreachable, too old, or refuses what the suite must do."""
    worked, said = kubectl.tried("version", "-o", "json", timeout_s=30)
    if not worked:
        raise Unfit(f"the cluster does not answer: {said.strip()[-500:]}")
    version = kubectl.object("version")["serverVersion"]
    groups = frozenset(group["name"] for group in (kubectl.raw("/apis") or {}).get("groups") or [])
    facts = Facts(
        version=version["gitVersion"],
        groups=groups,
        rbac="rbac.authorization.k8s.io" in groups,
        aggregation="apiregistration.k8s.io" in groups,
        gateway_api="gateway.networking.k8s.io" in groups,
        cert_manager="cert-manager.io" in groups,
        metrics="metrics.k8s.io" in groups,
        storage_class=default_storage_class(kubectl.items("storageclasses.storage.k8s.io")),
    )
    _old_enough(version)
    refused = _refused(kubectl, groups)
    if refused:
        raise Unfit("this user may not " + "; nor ".join(refused) + ". Ask for cluster-admin on a cluster for tests")
    return Facts(**{**facts.__dict__, "notes": tuple(notes(facts))})


def unwelcome(version: str, overlay: str, steps: Sequence[str], system: Object | None) -> str | None:
    """Why nothing may be installed here, so that no platform in use is killed and removed for a test; else None."""
    if overlay == LAPTOP or "install" not in steps:
        return None
    if "+millstream" in version:
        return f"this kubeconfig leads to a laptop's platform ({version}), not to a cluster: set KUBECONFIG"
    labels = ((system or {}).get("metadata") or {}).get("labels") or {}
    if system is None or labels.get(MARK) == "true":
        return None
    return (
        f"the namespace {SYSTEM} is there, and not from this suite, which kills and removes what it tests: remove it,"
        " or leave install, kill and uninstall out of STEPS to use that platform as it is"
    )


def marked(document: Object) -> Object:
    """The platform's Namespace bears the suite's mark; everything else is as it was."""
    if (document["kind"], document["metadata"]["name"]) != ("Namespace", SYSTEM):
        return document
    labels = {**(document["metadata"].get("labels") or {}), MARK: "true"}
    return {**document, "metadata": {**document["metadata"], "labels": labels}}


def _old_enough(version: Object) -> None:
    digits = tuple(
        int("".join(c for c in str(version.get(part, "0")) if c.isdigit()) or 0) for part in ("major", "minor")
    )
    if digits < OLDEST:
        raise Unfit(f"Kubernetes {version['gitVersion']}: the platform needs {OLDEST[0]}.{OLDEST[1]} or later")


def _refused(kubectl: Kubectl, groups: frozenset[str]) -> list[str]:
    found = []
    for verb, resource, purpose in NEEDED:
        group = resource.partition(".")[2]
        if group and group not in groups:
            continue
        worked, said = kubectl.tried("auth", "can-i", verb, resource, "--all-namespaces", timeout_s=30)
        if not worked or not said.strip().startswith("yes"):
            found.append(f"{verb} {resource}" + (f" (to {purpose})" if purpose else ""))
    return found


def default_storage_class(classes: list[Object]) -> str | None:
    """The class that a claim without one gets."""
    mark = "storageclass.kubernetes.io/is-default-class"
    return next(
        (c["metadata"]["name"] for c in classes if (c["metadata"].get("annotations") or {}).get(mark) == "true"), None
    )


def notes(facts: Facts) -> list[str]:
    """What its absence means, for everything that is absent."""
    told = [f"Kubernetes {facts.version}, {len(facts.groups)} API groups"]
    if not facts.aggregation:
        told.append("no aggregation layer: TrainJobs are seen at the gateway, not at the cluster's own API server")
    if not facts.rbac:
        told.append("no RBAC: nobody can be refused, so that half of the API step is skipped")
    if not facts.gateway_api:
        told.append("no Gateway API: requests come in by port-forward, or through MILLSTREAM_URL")
    if not facts.cert_manager:
        told.append("no cert-manager: the bootstrap job makes the serving certificates")
    if not facts.metrics:
        told.append("no metrics API: autoscalers have nothing to go by")
    if facts.storage_class is None and "storage.k8s.io" in facts.groups:
        told.append("no default StorageClass: claims without a class stay Pending, and so do the engines' pods")
    return told


def served_by(kubectl: Kubectl):  # type: ignore[no-untyped-def]
    """(apiVersion, kind) -> whether the cluster serves it, from discovery; each group is asked once."""

    @cache
    def kinds(version: str) -> frozenset[str]:
        path = f"/api/{version}" if "/" not in version else f"/apis/{version}"
        document = kubectl.raw(path) or {}
        return frozenset(one["kind"] for one in document.get("resources") or [] if "/" not in one["name"])

    return lambda version, kind: kind in kinds(version)
