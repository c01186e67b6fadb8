"""What an HTTPRoute is told about its parents; pure."""

from datetime import datetime
from typing import Any

from services.node.domain import conditions

Object = dict[str, Any]
CONTROLLER = "millstream.dev/node"
FILTERS = ("URLRewrite", "RequestHeaderModifier", "ResponseHeaderModifier", "RequestRedirect")


def route_status(route: Object, missing: list[str], now: datetime) -> Object:
    """`missing` names the backends that do not exist."""
    spec, old = route["spec"], (route.get("status") or {}).get("parents") or []
    unknown = [
        f["type"] for rule in spec.get("rules") or [] for f in rule.get("filters") or [] if f["type"] not in FILTERS
    ]
    generation = route["metadata"].get("generation", 1)
    parents = []
    for ref in spec.get("parentRefs") or []:
        known: list[Object] = next((p.get("conditions") for p in old if p["parentRef"] == ref), [])
        accepted = ("UnsupportedValue", f"filter {unknown[0]} is not supported") if unknown else ("Accepted", "")
        resolved = ("BackendNotFound", f"not found: {', '.join(missing)}") if missing else ("ResolvedRefs", "")
        told = conditions.put(known, "Accepted", not unknown, now, reason=accepted[0], message=accepted[1])
        told = conditions.put(told, "ResolvedRefs", not missing, now, reason=resolved[0], message=resolved[1])
        told = [{"message": "", **c, "observedGeneration": generation} for c in told]
        parents.append({"parentRef": ref, "controllerName": CONTROLLER, "conditions": told})
    return {"parents": parents}
