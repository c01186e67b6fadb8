"""Whether an event is one that a trigger waits for; every line of the filter must hold."""

from collections.abc import Mapping
from typing import Any

from services.scheduler.domain.triggers.templates import look_up


def matches(source: Mapping[str, Any], event: Mapping[str, Any]) -> bool:
    """`source` is a trigger's `spec.event`, `event` a CloudEvent as JSON."""
    if source["type"] != event["type"] or source.get("source") not in (None, event["source"]):
        return False
    return all(_holds(look_up(event["data"], path), wanted) for path, wanted in (source.get("filter") or {}).items())


def _holds(found: Any, wanted: Any) -> bool:
    choices = wanted if isinstance(wanted, list) else [wanted]
    return any(found == choice and isinstance(found, bool) == isinstance(choice, bool) for choice in choices)
