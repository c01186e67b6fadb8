"""What `millstream describe` shows: identity, conditions, spec and the events about one object."""

from __future__ import annotations

from typing import Any

import yaml
from rich.console import Group, RenderableType
from rich.text import Text

from millstream.cli.show import plain_table
from millstream.client import Client, conditions_of


def describe_object(client: Client, kind: str, name: str, namespace: str) -> RenderableType:
    """Everything a person needs to see why an object is as it is."""
    obj = client.get(kind, name, namespace)
    parts: list[RenderableType] = [_heading(obj)]
    if conditions := conditions_of(obj):
        rows = [[c["type"], c["status"], c.get("reason", ""), c.get("message", "")] for c in conditions.values()]
        parts += [Text("\nConditions", style="bold"), plain_table(["TYPE", "STATUS", "REASON", "MESSAGE"], rows)]
    rest = {key: obj[key] for key in ("spec", "data", "status") if key in obj}
    parts.append(Text("\n" + yaml.safe_dump(rest, sort_keys=False).rstrip()))
    if events := _events(client, obj, namespace):
        parts += [Text("\nEvents", style="bold"), plain_table(["LAST SEEN", "TYPE", "REASON", "MESSAGE"], events)]
    return Group(*parts)


def _heading(obj: dict[str, Any]) -> Text:
    meta = obj["metadata"]
    lines = [f"{obj['kind']} {meta.get('namespace', '')}/{meta['name']}   (generation {meta.get('generation', '-')})"]
    lines += [f"Created     {meta.get('creationTimestamp', '')}"]
    for title in ("labels", "annotations"):
        lines += [f"{title.capitalize():<12}{key}={value}" for key, value in (meta.get(title) or {}).items()]
    return Text("\n".join(lines))


def _events(client: Client, obj: dict[str, Any], namespace: str) -> list[list[str]]:
    meta = obj["metadata"]
    about = f"involvedObject.uid={meta['uid']},involvedObject.kind={obj['kind']}"
    path = client.resource("events").path(meta.get("namespace") or namespace)
    items = client.request("GET", path, params={"fieldSelector": about}).json()["items"]
    items.sort(key=lambda event: event.get("lastTimestamp") or "")
    return [[e.get("lastTimestamp") or "", e.get("type", ""), e.get("reason", ""), e.get("message", "")] for e in items]
