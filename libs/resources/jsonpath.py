"""The part of JSONPath that printer columns use: `.status.conditions[?(@.type=="Ready")].status`, `[0]`,
`[-1:]`; pure.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

Step = Callable[[Any], Any]
_TOKEN = re.compile(
    r"""\.(?P<field>(?:[A-Za-z0-9_/-]|\\.)+)"""
    r"""|\[\?\(@\.(?P<key>[A-Za-z0-9_.]+)\s*==\s*(?P<quote>["'])(?P<value>.*?)(?P=quote)\)\]"""
    r"""|\[(?P<index>-?\d+):?\]|\[(?P<quote2>["'])(?P<name>.*?)(?P=quote2)\]"""
)


@lru_cache(maxsize=512)
def compiled(path: str) -> Callable[[Any], Any]:
    """A function that finds the value at `path`, or None; raises ValueError for a path that it cannot read."""
    text, steps, at = path.strip().strip("{}").removeprefix("$"), [], 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if not found:
            raise ValueError(f"cannot read the JSONPath {path!r} from {text[at:]!r} on")
        steps.append(_step(found))
        at = found.end()
    return lambda obj: _follow(obj, steps)


def _follow(obj: Any, steps: list[Step]) -> Any:
    for step in steps:
        obj = step(obj)
        if obj is None:
            return None
    return obj


def _step(found: re.Match[str]) -> Step:
    if found["field"] or found["name"]:
        name = re.sub(r"\\(.)", r"\1", found["field"]) if found["field"] else found["name"]
        return lambda obj: obj.get(name) if isinstance(obj, dict) else None
    if found["index"]:
        index = int(found["index"])
        return lambda obj: obj[index] if isinstance(obj, list) and -len(obj) <= index < len(obj) else None
    key, value = found["key"], found["value"]
    return lambda obj: _first(obj, key, value)


def _first(items: Any, key: str, value: str) -> Any:
    if not isinstance(items, list):
        return None
    return next((i for i in items if isinstance(i, dict) and str(i.get(key)) == value), None)
