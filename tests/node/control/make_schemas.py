"""Writes `services/node/domain/schemas.json` from the official client's models: run after an upgrade of it.

python -m tests.node.control.make_schemas
"""

import json
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parents[3] / "services" / "node" / "domain" / "schemas.json"
KINDS = {
    "Namespace": "V1Namespace", "Node": "V1Node", "Pod": "V1Pod", "Service": "V1Service", "ConfigMap": "V1ConfigMap",
    "Secret": "V1Secret", "PersistentVolumeClaim": "V1PersistentVolumeClaim", "ServiceAccount": "V1ServiceAccount",
    "Event": "CoreV1Event", "Job": "V1Job", "Deployment": "V1Deployment", "StatefulSet": "V1StatefulSet",
}  # fmt: skip
INT_OR_STRING = {"targetPort", "maxSurge", "maxUnavailable", "port"}
QUANTITIES = {"limits", "requests", "capacity", "allocatable", "sizeLimit", "divisor", "allocatedResources"}


def main() -> None:
    from kubernetes.aio.client import models

    definitions: dict[str, Any] = {}
    for name in KINDS.values():
        raw = getattr(models, name).model_json_schema(by_alias=True)
        for found, schema in {**raw.pop("$defs", {}), name: raw}.items():
            definitions[found] = compact(schema, found)
    meta = definitions["V1ObjectMeta"]
    meta["properties"].pop("managedFields", None)
    TARGET.write_text(
        json.dumps({"kinds": KINDS, "definitions": definitions}, separators=(",", ":"), sort_keys=True) + "\n"
    )


def compact(schema: dict[str, Any], owner: str) -> dict[str, Any]:
    """First sentences instead of essays, and no titles, defaults of nothing or closed objects."""
    out: dict[str, Any] = {"type": "object", "properties": {}}
    if required := [name for name in schema.get("required") or [] if name not in ("metadata", "status")]:
        out["required"] = required
    for name, prop in (schema.get("properties") or {}).items():
        out["properties"][name] = field(name, prop, owner)
    if not out["properties"]:
        out["x-kubernetes-preserve-unknown-fields"] = True
    return out


def field(name: str, prop: dict[str, Any], owner: str) -> dict[str, Any]:
    text = prop.get("description", "").split(". ")[0].split("\n")[0].strip()
    told = {"description": text} if text else {}
    if name in QUANTITIES:
        return told | (
            {"type": "object", "additionalProperties": {}} if "additionalProperties" in json.dumps(prop) else {}
        )
    if name in INT_OR_STRING and (
        owner not in ("V1ContainerPort", "V1ServicePort", "DiscoveryV1EndpointPort") or name == "targetPort"
    ):
        return told | {"x-kubernetes-int-or-string": True}
    return told | types(prop)


def types(prop: dict[str, Any]) -> dict[str, Any]:
    if "anyOf" in prop:
        rest = [types(p) for p in prop["anyOf"] if p != {"type": "null"}]
        one = rest[0] if len(rest) == 1 else {"anyOf": rest}
        return {"allOf": [one], "nullable": True} if "$ref" in one else {**one, "nullable": True}
    kept = {k: v for k, v in prop.items() if k in ("type", "format", "enum", "$ref")}
    if "items" in prop:
        kept["items"] = types(prop["items"])
    if isinstance(prop.get("additionalProperties"), dict):
        kept["additionalProperties"] = types(prop["additionalProperties"])
    return kept


if __name__ == "__main__":
    main()
