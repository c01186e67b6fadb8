"""What a service may do to a cluster, generated from its manifest as the rules of a ClusterRole; knows no service."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from libs.service.manifest import Manifest, ServedKind

Rule = dict[str, Any]
READ = ("get", "list", "watch")
WRITE = ("create", "update", "patch", "delete", "deletecollection")
CLOSED = {("", "secrets")}
"""Kinds that nobody may list or watch: who makes one knows its name."""
MADE_ONCE = {("", "namespaces")}
"""Kinds that a service may make and then leaves alone: all that others keep would go with one that is deleted."""
LOGS = {("", "pods"): "pods/log"}


def rules(manifest: Manifest) -> list[Rule]:
    """PolicyRules, one a kind: everything for what it `creates`, reading (and logs) for what it `reads`, and besides to
    change what it `patches`."""
    parts = ((manifest.creates, WRITE), (manifest.reads, ()), (manifest.patches, ("patch",)))
    return [_rule(ServedKind.parse(word), writes) for words, writes in parts for word in words]


def _rule(kind: ServedKind, writes: Sequence[str]) -> Rule:
    key = (kind.group, kind.plural)
    writes = [verb for verb in writes if verb == "create"] if key in MADE_ONCE else writes
    resources = [kind.plural, *([LOGS[key]] if key in LOGS else [])]
    verbs = ["get", *(verb for verb in writes if verb != "deletecollection")] if key in CLOSED else [*READ, *writes]
    return {"apiGroups": [kind.group], "resources": resources, "verbs": verbs}


def allow(granted: Sequence[Rule], verb: str, group: str, plural: str) -> bool:
    """Whether one of the rules permits it."""
    return any(group in rule["apiGroups"] and plural in rule["resources"] and verb in rule["verbs"] for rule in granted)


def role_objects(manifest: Manifest, namespace: str) -> list[dict[str, Any]]:
    """The ClusterRole and its binding to the service's account in `namespace`; none for who asks for nothing."""
    if not (granted := rules(manifest)):
        return []
    name, rbac = f"millstream-{manifest.name}", "rbac.authorization.k8s.io"
    head = {"apiVersion": f"{rbac}/v1", "metadata": {"name": name}}
    account = {"kind": "ServiceAccount", "name": manifest.name, "namespace": namespace}
    role = {"apiGroup": rbac, "kind": "ClusterRole", "name": name}
    return [
        {**head, "kind": "ClusterRole", "rules": granted},
        {**head, "kind": "ClusterRoleBinding", "roleRef": role, "subjects": [account]},
    ]
