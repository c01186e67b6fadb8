"""How an answered request is called in a metric: by the route or kind that took it, never by the object it names."""

from collections.abc import MutableMapping
from typing import Any

_KEY = "metric_route"
OTHER = "other"
"""What no route has taken: wrong paths, refused callers."""


def name_route(scope: MutableMapping[str, Any], name: str) -> None:
    """Says what takes this request (an ASGI scope). `name` must be one of a few that the code or manifests know."""
    scope.setdefault("state", {})[_KEY] = name


def route_of(scope: MutableMapping[str, Any]) -> str:
    """What `name_route` said, or the template of the framework's route."""
    named = scope.get("state", {}).get(_KEY)
    return named or getattr(scope.get("route"), "path", None) or OTHER
