"""What makes the services' kinds a part of a cluster's own API, from the manifests: APIServices, and rights for them.

The component is deploy/components/aggregated-apis; `caBundle` is filled in on the cluster, by whoever makes the serving
certificates. Source: https://kubernetes.io/docs/tasks/extend-kubernetes/configure-aggregation-layer/.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import yaml

from libs.service.manifest import Manifest, ServedKind
from libs.service.reviews import route_path
from libs.service.roles import READ, WRITE

GATEWAY = "gateway"
PORT = 8443
GROUP_PRIORITY = 1000
"""Below the cluster's own groups (17000 and more), so that no name of ours ever hides one of theirs."""
RBAC = "rbac.authorization.k8s.io"
PART_OF = {"app.kubernetes.io/part-of": "millstream"}

Object = dict[str, Any]


def texts(manifests: Iterable[Manifest], namespace: str) -> dict[str, str]:
    """File name -> text, for services whose accounts are in `namespace`."""
    known = list(manifests)
    return {
        "apiservices.yaml": _text(api_services(known, namespace)),
        "rights.yaml": _text([*delegation(known, namespace), *people(known)]),
    }


def backends(manifests: Iterable[Manifest]) -> dict[tuple[str, str], str]:
    """(group, version) -> the service that answers for it: its only owner, or the gateway when several share it."""
    found: dict[tuple[str, str], str] = {}
    for manifest in manifests:
        for kind in manifest.kinds:
            owner = found.setdefault((kind.group, kind.version), manifest.name)
            if owner != manifest.name:
                found[kind.group, kind.version] = GATEWAY
    return dict(sorted(found.items()))


def api_services(manifests: Iterable[Manifest], namespace: str) -> list[Object]:
    """One for each group and version; newer versions come before older ones, stable ones before others."""
    return [
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": f"{version}.{group}", "labels": {**PART_OF, "app.kubernetes.io/name": service}},
            "spec": {
                "group": group,
                "version": version,
                "groupPriorityMinimum": GROUP_PRIORITY,
                "versionPriority": priority(version),
                "service": {"name": service, "namespace": namespace, "port": PORT},
            },
        }
        for (group, version), service in backends(manifests).items()
    ]


def priority(version: str) -> int:
    """From 1 to 999, in the order of Kubernetes: v2, v1, v1beta2, v1beta1, v1alpha1."""
    found = re.fullmatch(r"v(\d+)(?:(alpha|beta)(\d+))?", version)
    if not found:
        return 1
    stage = {"alpha": 100, "beta": 300, None: 600}[found[2]]
    return stage + min(int(found[1]), 9) * 15 + min(int(found[3] or 0), 14)


def delegation(manifests: Iterable[Manifest], namespace: str) -> list[Object]:
    """What an extension API server needs: to ask who somebody is and what they may do, and to read whom to believe."""
    names = [manifest.name for manifest in manifests if manifest.owns or manifest.name == GATEWAY]
    accounts = [{"kind": "ServiceAccount", "name": name, "namespace": namespace} for name in names]
    reader = "extension-apiserver-authentication-reader"
    return [
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "millstream-auth-delegator", "labels": PART_OF},
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "system:auth-delegator"},
            "subjects": accounts,
        },
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "millstream-auth-reader", "namespace": "kube-system", "labels": PART_OF},
            "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": reader},
            "subjects": accounts,
        },
    ]


def people(manifests: Iterable[Manifest]) -> list[Object]:
    """Rules that become a part of the cluster's own roles view, edit and admin; and millstream-administer, which is for
    those who share out what is everybody's, such as quota, and a part of no other role.

    Those for paths (the registry's API) count where a role is given cluster-wide: what is there has no namespace.
    """
    known = list(manifests)
    closed = {ServedKind.parse(word) for manifest in known for word in manifest.administered}
    of_people = [kind for manifest in known for kind in manifest.kinds if kind not in closed]
    everything = [kind for manifest in known for kind in manifest.kinds]
    return [
        _role("view", READ, ("get", "head"), everything, known, ("view", "edit", "admin")),
        _role("edit", WRITE, ("post", "put", "patch", "delete"), of_people, known, ("edit", "admin")),
        *([_role("administer", (*READ, *WRITE), (), sorted(closed), known, ())] if closed else []),
    ]


def _role(
    name: str,
    verbs: Iterable[str],
    methods: Sequence[str],
    kinds: Iterable[ServedKind],
    manifests: Sequence[Manifest],
    roles: Iterable[str],
) -> Object:
    routes = [route_path(route) for manifest in manifests for route in manifest.routes] if methods else []
    paths = [path for route in routes for path in (route, f"{route}/*")]
    plurals: dict[str, list[str]] = {}
    for kind in kinds:
        known = plurals.setdefault(kind.group, [])
        if kind.plural not in known:
            known.append(kind.plural)
    labels = {f"{RBAC}/aggregate-to-{role}": "true" for role in roles}
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": f"millstream-{name}", "labels": {**PART_OF, **labels}},
        "rules": [
            {"apiGroups": [group], "resources": resources, "verbs": list(verbs)}
            for group, resources in sorted(plurals.items())
        ]
        + (_guarded(manifests, reading=tuple(verbs) == READ) if methods else [])
        + ([{"nonResourceURLs": paths, "verbs": list(methods)}] if paths else []),
    }


def _guarded(manifests: Sequence[Manifest], *, reading: bool) -> list[Object]:
    """Rules for what services ask leave for though it is no kind of theirs."""
    told = sorted((word, verbs) for manifest in manifests for word, verbs in manifest.guards.items())
    return [
        {
            "apiGroups": [word.partition(".")[2]],
            "resources": [word.partition(".")[0]],
            "verbs": ["get", "list"] if reading else list(verbs),
        }
        for word, verbs in told
    ]


class _Plain(yaml.SafeDumper):
    """Repeats what is the same twice instead of pointing to it: people read these files."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(documents: list[Object]) -> str:
    return yaml.dump_all(documents, Dumper=_Plain, sort_keys=False, width=120)
