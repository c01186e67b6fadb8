"""The overlay as this cluster can take it: images renamed, kinds that it does not serve left out with a sentence."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.cluster_suite.kubectl import Kubectl, Object

Served = Callable[[str, str], bool]
"""(apiVersion, kind) -> whether the cluster serves it."""

LOSS = {
    "APIService": "kubectl and the SDKs cannot see TrainJobs at the cluster's own API server, only at the gateway",
    "HTTPRoute": "the Gateway API brings no requests in: use a port-forward, an Ingress or a LoadBalancer",
    "Ingress": "no Ingress brings requests in",
    "NetworkPolicy": "every pod of the cluster can reach the engines and services",
    "PodDisruptionBudget": "a drained node may end all replicas of a service at once",
    "HorizontalPodAutoscaler": "replicas stay as many as the overlay says",
    "Certificate": "cert-manager makes no certificates: the bootstrap job must",
    "Issuer": "cert-manager makes no certificates: the bootstrap job must",
    "ServiceMonitor": "Prometheus does not find the services by itself",
    "PodMonitor": "Prometheus does not find the pods by itself",
    "PrometheusRule": "nobody raises the platform's alerts",
    "Role": "service accounts get no rights from it: the cluster must not ask for any",
    "RoleBinding": "service accounts get no rights from it: the cluster must not ask for any",
    "ClusterRole": "service accounts get no rights from it: the cluster must not ask for any",
    "ClusterRoleBinding": "service accounts get no rights from it: the cluster must not ask for any",
    "CronJob": "nothing that should happen regularly does, such as the renewal of certificates",
}


@dataclass(frozen=True)
class Rendered:
    """What to apply, and what was left out: "Kind (group): what is lost"."""

    documents: tuple[Object, ...]
    left_out: tuple[str, ...]


def render(kubectl: Kubectl, overlay: Path, prefix: str, tag: str, mirror: str = "") -> list[Object]:
    """`kubectl kustomize` of the overlay; images `millstream/<x>` become `<prefix><x>:<tag>`, without a tag given the
    overlay's own; others `<mirror><name>:<their tag>`. Raises KubectlError."""
    documents = parsed(kubectl.run("kustomize", str(overlay)))
    mine = {name for name in names(documents) if name.startswith("millstream/")}
    renamed = {name: prefix + name.removeprefix("millstream/") for name in sorted(mine) if prefix}
    renamed |= {name: mirror + name.rpartition("/")[2] for name in sorted(names(documents) - mine) if mirror}
    if not renamed:
        return documents
    with tempfile.TemporaryDirectory(prefix="millstream-suite-") as folder:
        kustomization = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": [os.path.relpath(overlay, Path(folder).resolve())],
            "images": [_rename(old, new, tag if old in mine else "") for old, new in renamed.items()],
        }
        (Path(folder) / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
        return with_settings(parsed(kubectl.run("kustomize", folder)), prefix, tag)


def parsed(text: str) -> list[Object]:
    return [document for document in yaml.safe_load_all(text) if document]


def names(documents: Iterable[Object]) -> set[str]:
    """The images of the manifests without their tags."""
    found = set()
    for image in images(documents):
        head, colon, tag = image.rpartition(":")
        found.add(head if colon and "/" not in tag else image)
    return found


def images(tree: Any) -> set[str]:
    """Every container's image anywhere in `tree`."""
    if isinstance(tree, dict):
        here = {tree["image"]} if isinstance(tree.get("image"), str) and "name" in tree else set()
        return here.union(*map(images, tree.values())) if tree else here
    if isinstance(tree, list | tuple):
        return set().union(*map(images, tree)) if tree else set()
    return set()


def _rename(old: str, new: str, tag: str) -> dict[str, str]:
    return {"name": old, "newName": new} | ({"newTag": tag} if tag else {})


def with_settings(documents: list[Object], prefix: str, tag: str) -> list[Object]:
    """The services make workloads whose images are not in the manifests: they are told the same prefix and tag."""
    for document in documents:
        if document["kind"] == "ConfigMap" and document["metadata"]["name"] == "millstream-config":
            data = document.setdefault("data", {})
            data["MILLSTREAM_WORKLOAD_IMAGE_PREFIX"] = prefix
            if tag:  # else they have that of the overlay, as the services do
                data["MILLSTREAM_WORKLOAD_IMAGE_TAG"] = tag
    return documents


def servable(documents: Sequence[Object], served: Served) -> Rendered:
    """Splits off what the cluster does not serve."""
    kept, missing = [], {}
    for document in documents:
        version, kind = document["apiVersion"], document["kind"]
        if served(version, kind):
            kept.append(document)
        else:
            missing.setdefault((kind, version), []).append(document["metadata"]["name"])
    left_out = tuple(
        f"{kind} ({version}; {', '.join(sorted(set(names)))}): {LOSS.get(kind, 'what it would do is not done')}"
        for (kind, version), names in sorted(missing.items())
    )
    return Rendered(tuple(kept), left_out)
