"""The `scale` subresource (autoscaling/v1): a small face over two numbers of an object; pure."""

from __future__ import annotations

from typing import Any

from libs.base import BadRequest, Cause, Invalid, UnsupportedMediaType
from libs.resources import patches
from libs.resources.kinds import Kind, Object, Scale


def scale_of(kind: Kind, obj: Object) -> Object:
    """The Scale object of an object."""
    scale = _scale(kind)
    metadata = {k: v for k, v in obj["metadata"].items() if k in ("name", "namespace", "uid", "resourceVersion")}
    metadata["creationTimestamp"] = obj["metadata"].get("creationTimestamp")
    status = {"replicas": _at(obj, scale.status_path), "selector": scale.selector(obj)}
    spec = {"replicas": _at(obj, scale.spec_path)}
    return {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status}


def patched(scale: Object, change: Any, content_type: str) -> Any:
    """A Scale after a merge, strategic or JSON patch."""
    if content_type == patches.JSON_PATCH:
        return patches.json_patch(scale, change)
    if content_type in (patches.MERGE_PATCH, patches.STRATEGIC_PATCH):
        return patches.merge_patch(scale, change)
    raise UnsupportedMediaType(f"cannot patch a scale with {content_type!r}: use {patches.MERGE_PATCH}")


def change_of(kind: Kind, scale: Any) -> Object:
    """The merge patch of the object that a Scale asks for; raises Invalid for anything but a whole number from 0 on."""
    spec = scale.get("spec") if isinstance(scale, dict) else None
    if not isinstance(spec, dict):
        raise BadRequest('a Scale must be an object with a spec, such as {"spec": {"replicas": 2}}')
    replicas = spec.get("replicas", 0)
    if not isinstance(replicas, int) or isinstance(replicas, bool) or replicas < 0:
        raise Invalid(causes=[Cause("spec.replicas", f"Invalid value: {replicas!r}: must be a whole number from 0 on")])
    change: Any = replicas
    for step in reversed(_scale(kind).spec_path.split(".")):
        change = {step: change}
    version = (scale.get("metadata") or {}).get("resourceVersion")
    return {**change, **({"metadata": {"resourceVersion": version}} if version else {})}


def _scale(kind: Kind) -> Scale:
    assert kind.scale is not None, f"{kind.plural} has no scale subresource"
    return kind.scale


def _at(obj: Any, path: str) -> int:
    for step in path.split("."):
        obj = obj.get(step) if isinstance(obj, dict) else None
    return obj if isinstance(obj, int) else 0
