"""Removes what the suite installed and looks for what is left."""

from __future__ import annotations

import time

from tests.cluster_suite.kubectl import Kubectl, Object, stream
from tests.cluster_suite.options import SYSTEM
from tests.cluster_suite.world import Skipped, World

WAIT_S = 300
SCOPED = "clusterroles.rbac.authorization.k8s.io,clusterrolebindings.rbac.authorization.k8s.io"


class LeftBehind(Exception):
    """Something of the platform is still there; the message names it."""


def uninstall(world: World) -> str:
    """The users' namespace first, while the platform can still let go of its objects; then the platform."""
    if world.options.keep:
        raise Skipped("KEEP=1: the platform stays as it is")
    if not world.applied:
        raise Skipped("this run has installed nothing")
    began = time.monotonic()
    _delete(world, [document for document in world.applied if is_own(document, world.options.namespace)])
    _delete(world, [document for document in world.applied if not is_own(document, world.options.namespace)])
    left = leftovers(world.kubectl, world.applied)
    if left:
        raise LeftBehind("still there: " + ", ".join(left))
    world.report.figure("uninstall (s)", time.monotonic() - began)
    return "nothing is left"


def is_own(document: Object, namespace: str) -> bool:
    return document["kind"] == "Namespace" and document["metadata"]["name"] == namespace


def _delete(world: World, documents: list[Object]) -> None:
    flags = ("--ignore-not-found", "--wait=true", f"--timeout={WAIT_S}s")
    worked, said = world.kubectl.tried("delete", *flags, "-f", "-", stdin=stream(documents), timeout_s=WAIT_S + 30)
    if not worked:
        raise LeftBehind(f"`kubectl delete` did not end: {said.strip()[-800:]}")


def leftovers(kubectl: Kubectl, applied: list[Object]) -> list[str]:
    """Namespaces, cluster-wide objects that the suite had applied, and volumes that belonged to the platform."""
    namespaces = {d["metadata"]["name"] for d in applied if d["kind"] == "Namespace"}
    left = [
        f"namespace/{n['metadata']['name']}" for n in kubectl.items("namespaces") if n["metadata"]["name"] in namespaces
    ]
    for kind in (SCOPED, "apiservices.apiregistration.k8s.io"):
        ours = {d["metadata"]["name"] for d in applied if "namespace" not in d["metadata"]}
        left += [
            f"{one['kind'].lower()}/{one['metadata']['name']}"
            for one in kubectl.items(kind)
            if one["metadata"]["name"] in ours
        ]
    for volume in kubectl.items("persistentvolumes"):
        claim = volume["spec"].get("claimRef") or {}
        if claim.get("namespace") == SYSTEM and volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete":
            left.append(f"persistentvolume/{volume['metadata']['name']}")
    return left
