"""The bootstrap job's account may do what the job does, and nothing that it does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from millstream.cluster.everything import Everything, shipped
from millstream.cluster.options import Options

from libs.base import SeededIds, SystemClock
from libs.cluster import Cluster
from libs.testing.cluster import MemoryCluster, place_of
from libs.testing.cluster_wire import MemoryWire, no_trouble
from libs.testing.loop import Life

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "components" / "bootstrap"
SYSTEM = "millstream-system"
VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
Right = tuple[str, str, str, str]
"""Namespace ("" for the whole cluster), API group, resource, verb."""


class Witness(MemoryWire):
    """Writes down what is asked, as RBAC names it."""

    def __init__(self, cluster: MemoryCluster) -> None:
        super().__init__(cluster, Life("job"), no_trouble)
        self.seen: set[Right] = set()
        self.names: set[tuple[str, str]] = set()

    async def call(self, method: str, path: str, *args: Any, **more: Any) -> dict[str, Any]:
        place = place_of(path)
        verb = VERBS.get(method) or ("get" if place.name else "list")
        self.seen.add((place.namespace, place.group, place.plural, verb))
        self.names.add((place.plural, place.name))
        return await super().call(method, path, *args, **more)


async def test_every_call_is_granted_and_every_right_is_used() -> None:
    clock = SystemClock()
    wire = Witness(MemoryCluster(clock, SeededIds(1)))
    cluster = Cluster(wire, clock)
    for obj in (stateful_set("nats"), stateful_set("s3"), api_service()):
        await cluster.create(obj)
    wire.seen.clear()
    for nats in ("single", "cluster"):
        options = Options(namespace=SYSTEM, nats=nats, postgres="external")
        await Everything(cluster, shipped(), options, clock, lambda line: None).ensure()
    assert wire.seen == granted()
    assert {name for plural, name in wire.names if plural == "statefulsets"} <= {"nats", "s3", ""}


def granted() -> set[Right]:
    """What Role and ClusterRole say."""
    return {
        (namespace, group, resource, verb)
        for namespace, file in ((SYSTEM, "role.yaml"), ("", "clusterrole.yaml"))
        for role in yaml.safe_load_all((FOLDER / file).read_text())
        for rule in role.get("rules", ())
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def stateful_set(name: str) -> dict[str, Any]:
    meta = {"name": name, "namespace": SYSTEM}
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": meta, "spec": {"template": {}}}


def api_service() -> dict[str, Any]:
    meta = {"name": "v1.ours.org", "labels": {"app.kubernetes.io/part-of": "millstream"}}
    return {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": meta, "spec": {}}
