"""Namespaces, claims and service accounts: the small controllers."""

from typing import Any

from libs.base.clock import Clock, rfc3339
from libs.base.errors import AlreadyExists
from libs.resources import Resources
from services.node.reconcile.kinds import ACCOUNT, CLAIM, CONTENT, KINDS, NAMESPACE, NODE, POD
from services.node.reconcile.needs import NodeFacts, VolumeStore

Object = dict[str, Any]
FIRST_NAMESPACES = ("default", "kube-system", "millstream-system", "kubeflow-system")


class Housekeeping:
    """Each method takes one object's key and may be repeated at will."""

    def __init__(self, resources: Resources, clock: Clock, volumes: VolumeStore, node: NodeFacts) -> None:
        self._resources, self._clock, self._volumes, self._node = resources, clock, volumes, node

    async def first_objects(self) -> None:
        """What every cluster has from the beginning."""
        for name in FIRST_NAMESPACES:
            await self._ensure(NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
            await self._account(name)
        node = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": self._node.name, "labels": _labels(self._node)},
        }
        await self._ensure(NODE, {**node, "spec": {}})
        known = await self._resources.get(NODE, "", self._node.name)
        await self._resources.update_status(NODE, "", self._node.name, self._node_status(known))

    async def namespace(self, name: str) -> float | None:
        """A default account for a new namespace; an end, in order, for one that is being deleted."""
        space = await self._resources.find(NAMESPACE, "", name)
        if space is None:
            return None
        if not space["metadata"].get("deletionTimestamp"):
            await self._account(name)
            return None
        await self._resources.update_status(NAMESPACE, "", name, {"phase": "Terminating"})
        left = 0
        for kind in [k for k in KINDS if k.namespaced]:
            async with self._resources.store.write() as uow:
                await self._resources.delete_collection(kind, name, uow=uow)
                left += len(await uow.list(kind.resource, namespace=name))
        if left:
            return 0.2
        await self._resources.remove_finalizer(NAMESPACE, "", name, CONTENT)
        return None

    async def claim(self, namespace: str, name: str) -> None:
        """A directory for a claim, and the claim bound to it."""
        claim = await self._resources.find(CLAIM, namespace, name)
        if claim is None or (claim.get("status") or {}).get("phase") == "Bound":
            return
        await self._volumes.put_claim(namespace, name)
        spec = claim["spec"]
        wanted = ((spec.get("resources") or {}).get("requests") or {}).get("storage", "0")
        status = {"phase": "Bound", "accessModes": spec.get("accessModes") or [], "capacity": {"storage": wanted}}
        await self._resources.update_status(CLAIM, namespace, name, status)

    async def claim_gone(self, namespace: str, name: str) -> None:
        """Deletes a deleted claim's directory, unless a new claim of that name or a pod still shows it."""
        users = (await self._resources.list(POD, namespace)).items
        shown = any(
            (v.get("persistentVolumeClaim") or {}).get("claimName") == name
            for pod in users for v in pod["spec"].get("volumes") or []
        )  # fmt: skip
        if not shown and await self._resources.find(CLAIM, namespace, name) is None:
            await self._volumes.remove_claim(namespace, name)

    async def _account(self, namespace: str) -> None:
        account = {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "default", "namespace": namespace},
        }
        await self._ensure(ACCOUNT, account)

    async def _ensure(self, kind: Any, obj: Object) -> None:
        meta = obj["metadata"]
        if await self._resources.find(kind, meta.get("namespace", ""), meta["name"]) is None:
            try:
                await self._resources.create(kind, obj)
            except AlreadyExists:
                return

    def _node_status(self, known: Object) -> Object:
        node, now = self._node, rfc3339(self._clock.now())
        size = {name: _amount(name, value) for name, value in node.allocatable.items()}
        ready = {
            "type": "Ready", "status": "True", "reason": "KubeletReady", "message": "the node is ready",
            "lastHeartbeatTime": now, "lastTransitionTime": known["metadata"]["creationTimestamp"],
        }  # fmt: skip
        info = {"kubeletVersion": "v1.34.0", "operatingSystem": "linux", "containerRuntimeVersion": "millstream://1"}
        rest = ("architecture", "bootID", "kernelVersion", "kubeProxyVersion", "machineID", "osImage", "systemUUID")
        return {
            "capacity": size,
            "allocatable": size,
            "conditions": [ready],
            "addresses": [{"type": "InternalIP", "address": node.ip}, {"type": "Hostname", "address": node.name}],
            "nodeInfo": {**dict.fromkeys(rest, ""), **info},
        }


def _labels(node: NodeFacts) -> Object:
    return {"kubernetes.io/hostname": node.name, "kubernetes.io/os": "linux"}


def _amount(name: str, value: float) -> str:
    return f"{int(value // 1024)}Ki" if name == "memory" else f"{value:g}"
