"""Lists of the built-in kinds that merge by key (k8s.io/api's patchMergeKey), and the same told in their schemas; pure.

kubectl computes a strategic patch from what the schema says and the server applies it: both must read one table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MERGE_KEYS: dict[str, str] = {
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "env": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "imagePullSecrets": "name",
    "hostAliases": "ip",
    "secrets": "name",
    "conditions": "type",
    "topologySpreadConstraints": "topologyKey",
    "resourceClaims": "name",
    "podIPs": "ip",
    "hostIPs": "ip",
}
PORTS = ("containerPort", "port")
# Of these only the named fields stay when one changes: a volume that becomes another sort loses what it was.
_RETAIN = ("volumes", "resourceClaims", "strategy")

Schema = dict[str, Any]


def marked(definitions: Mapping[str, Schema]) -> dict[str, Schema]:
    """The same schemas with `x-kubernetes-patch-strategy` and `-merge-key` on the lists that merge."""
    return {name: _marked(schema, definitions) for name, schema in definitions.items()}


def _marked(schema: Schema, definitions: Mapping[str, Schema]) -> Schema:
    told = dict(schema)
    if isinstance(items := schema.get("items"), dict):
        told["items"] = _marked(items, definitions)
    if isinstance(fields := schema.get("properties"), dict):
        told["properties"] = {
            name: {**_marked(inner, definitions), **_markers(name, inner, definitions)}
            for name, inner in fields.items()
        }
    return told


def _markers(name: str, schema: Schema, definitions: Mapping[str, Schema]) -> Schema:
    retain = ["retainKeys"] if name in _RETAIN else []
    if schema.get("type") != "array":
        return {"x-kubernetes-patch-strategy": "retainKeys"} if retain and "$ref" not in schema else {}
    item = _resolved(schema.get("items") or {}, definitions).get("properties") or {}
    keys = PORTS if name == "ports" else tuple(filter(None, (MERGE_KEYS.get(name),)))
    key = next((key for key in keys if key in item), None)
    if key is None:
        return {}
    return {
        "x-kubernetes-patch-strategy": ",".join(["merge", *retain]),
        "x-kubernetes-patch-merge-key": key,
    }


def _resolved(schema: Schema, definitions: Mapping[str, Schema]) -> Schema:
    if "$ref" in schema:
        return definitions.get(schema["$ref"].rpartition("/")[2], {})
    return schema
