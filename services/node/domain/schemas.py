"""OpenAPI schemas of the built-in kinds, kept beside this module as data; pure but for reading that file."""

import json
from functools import cache
from pathlib import Path
from typing import Any

Schema = dict[str, Any]


@cache
def _all() -> Schema:
    found: Schema = json.loads((Path(__file__).parent / "schemas.json").read_text())
    return found


def schema(kind: str) -> Schema:
    """The schema of a built-in kind, with the definitions that it refers to under `$defs`."""
    known = _all()
    name = known["kinds"][kind]
    return {**known["definitions"][name], "$defs": _reachable(known["definitions"], name)}


def _reachable(definitions: Schema, name: str) -> Schema:
    found: Schema = {}
    waiting = [*_references(definitions[name])]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found[one] = definitions[one]
            waiting += _references(definitions[one])
    return found


def _references(node: Any) -> list[str]:
    if isinstance(node, list):
        return [ref for item in node for ref in _references(item)]
    if not isinstance(node, dict):
        return []
    own = [str(node["$ref"]).rpartition("/")[2]] if isinstance(node.get("$ref"), str) else []
    return own + [ref for value in node.values() for ref in _references(value)]
