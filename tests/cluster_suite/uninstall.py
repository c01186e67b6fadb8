"""Removes what the suite installed and looks for what is left."""

from __future__ import annotations

import time
from contextlib import suppress

from millstream.client import Client
from millstream.errors import ClientError

from tests.cluster_suite.kubectl import Kubectl, Object, stream
from tests.cluster_suite.options import SYSTEM
from tests.cluster_suite.world import Skipped, World

WAIT_S = 300
OWN_S = 120
OWN_KINDS = ("trainjobs", "inferenceservices", "trainingruntimes")
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
    _let_go(world)
    _delete(world, [document for document in world.applied if is_own(document, world.options.namespace)])
    _delete(world, [document for document in world.applied if not is_own(document, world.options.namespace)])
    left = leftovers(world.kubectl, world.applied)
    if left:
        raise LeftBehind("still there: " + ", ".join(left))
    world.report.figure("uninstall (s)", time.monotonic() - began)
    return "nothing is left"


def _let_go(world: World) -> None:
    """The suite's own objects through the door: where there is no aggregated API their namespace's end misses them."""
    if world.ways is None:
        return
    namespace, end = world.options.namespace, time.monotonic() + OWN_S
    with world.client() as client:
        while left := [(kind, name) for kind in OWN_KINDS for name in _names(client, kind, namespace)]:
            if time.monotonic() > end:
                raise LeftBehind(f"not gone after {OWN_S} s: " + ", ".join(f"{kind}/{name}" for kind, name in left))
            for kind, name in left:
                with suppress(ClientError):  # gone meanwhile, or going
                    client.delete(kind, name, namespace)
            time.sleep(1)


def _names(client: Client, kind: str, namespace: str) -> list[str]:
    return [str(one["metadata"]["name"]) for one in client.list(kind, namespace)]


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
