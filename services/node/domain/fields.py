"""The downward API: what a pod may learn of itself; pure. Source: Kubernetes docs, "Downward API"."""

import math
import re
from collections.abc import Mapping
from typing import Any

from services.node.domain.quantity import quantity

Object = dict[str, Any]
_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['(.+)'\]")

_PATHS = {
    "metadata.name": ("metadata", "name"), "metadata.namespace": ("metadata", "namespace"),
    "metadata.uid": ("metadata", "uid"), "spec.nodeName": ("spec", "nodeName"),
    "spec.serviceAccountName": ("spec", "serviceAccountName"), "status.podIP": ("status", "podIP"),
    "status.hostIP": ("status", "hostIP"),
}  # fmt: skip


def known_field(path: str) -> bool:
    """Whether a `fieldRef.fieldPath` can be answered."""
    plain = {*_PATHS, "status.podIPs", "status.hostIPs", "metadata.labels", "metadata.annotations"}
    return path in plain or bool(_SUBSCRIPT.fullmatch(path))


def pod_field(pod: Object, path: str) -> str:
    """The field at `path` as text; all labels or annotations as `key="value"` lines."""
    if found := _SUBSCRIPT.fullmatch(path):
        return str((pod["metadata"].get(found.group(1)) or {}).get(found.group(2), ""))
    if path in ("metadata.labels", "metadata.annotations"):
        pairs = (pod["metadata"].get(path.split(".")[1]) or {}).items()
        return "\n".join(f'{key}="{_escaped(value)}"' for key, value in sorted(pairs))
    path = {"status.podIPs": "status.podIP", "status.hostIPs": "status.hostIP"}.get(path, path)
    if path not in _PATHS:
        return ""
    part, key = _PATHS[path]
    return str((pod.get(part) or {}).get(key) or "")


def resource_field(pod: Object, container: Object, ref: Object, allocatable: Mapping[str, float]) -> str:
    """`limits.cpu` and the like of a container, in units of `divisor`, rounded up; no limit means the node's size."""
    name = ref.get("containerName")
    spec = pod.get("spec") or {}
    everyone = [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]
    owner = next((c for c in everyone if c.get("name") == name), container) if name else container
    section, _, resource = str(ref.get("resource", "")).partition(".")
    resources = owner.get("resources") or {}
    amount = (resources.get(section) or {}).get(resource)
    if amount is None and section == "limits":
        amount = allocatable.get(resource, 0)
    divisor = quantity(ref.get("divisor") or 1) or 1.0
    return str(math.ceil(quantity(amount or 0) / divisor - 1e-9))


def _escaped(value: Any) -> str:
    return str(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
