"""Strategic merge as far as pod templates need it: named lists merge by name, all else by key; never in place."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

BY_NAME = {"containers", "initContainers", "env", "volumes", "imagePullSecrets", "schedulingGates", "replicatedJobs"}
BY_MOUNT = {"volumeMounts"}
APPENDED = {"tolerations"}


def merged(base: Any, patch: Any, field: str = "") -> Any:
    """`base` with `patch` laid over it; `field` is the key under which both were found. A null says nothing, as to
    upstream's readers: it must not take away what a runtime has to have."""
    if patch is None:
        return deepcopy(base)
    if isinstance(base, dict) and isinstance(patch, dict):
        return {**deepcopy(base), **{key: merged(base.get(key), value, key) for key, value in patch.items()}}
    if isinstance(base, list) and isinstance(patch, list):
        return _lists(base, patch, field)
    return deepcopy(patch)


def _lists(base: list[Any], patch: list[Any], field: str) -> list[Any]:
    if field in APPENDED:
        return deepcopy(base) + [item for item in patch if item not in base]
    if field in BY_NAME:
        return by_key(base, patch, "name")
    return by_key(base, patch, "mountPath") if field in BY_MOUNT else deepcopy(patch)


def by_key(base: Sequence[dict[str, Any]], patch: Sequence[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    """Items with the same `key` are merged in the place of the first, new ones follow in their order."""
    out = {item.get(key): deepcopy(item) for item in base}
    for item in patch:
        known = out.get(item.get(key))
        replaces = known is None or ("value" in known or "valueFrom" in known)
        out[item.get(key)] = deepcopy(item) if replaces else merged(known, item)
    return list(out.values())
