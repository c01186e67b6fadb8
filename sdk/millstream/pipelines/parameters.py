"""Run parameters as a user types them, `name=value`, made what the pipeline's own definition says they are."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from millstream.errors import ClientError

TEXT = "STRING"


def parameters(given: Sequence[str], spec: Mapping[str, Any], *, partly: bool = False) -> dict[str, Any]:
    """`partly` where the others have values already. Raises ClientError naming the parameter, its value and what it
    should be."""
    defined = (((spec.get("root") or {}).get("inputDefinitions") or {}).get("parameters")) or {}
    found: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise ClientError(f"--param {text!r}: write name=value")
        if name not in defined:
            there = ", ".join(sorted(defined)) or "none"
            raise ClientError(f"--param {name}: the pipeline has no such parameter; it has {there}")
        found[name] = _value(name, value, str(defined[name].get("parameterType") or TEXT))
    missing = [
        name
        for name, one in defined.items()
        if name not in found and "defaultValue" not in one and not one.get("isOptional")
    ]
    if missing and not partly:
        raise ClientError(f"parameters without a value: {', '.join(sorted(missing))}; say `-p {missing[0]}=...`")
    return found


def _value(name: str, text: str, type: str) -> Any:
    if type == TEXT:
        return text
    try:
        value = json.loads(text.lower() if type == "BOOLEAN" else text)
    except ValueError:
        value = None
    wanted = _WANTED.get(type)
    if wanted is None:
        raise ClientError(f"--param {name}: a {type} cannot be given by hand")
    classes, words = wanted
    if not isinstance(value, classes) or (isinstance(value, bool) and bool not in classes):
        raise ClientError(f"--param {name}={text!r}: it has to be {words}")
    return value


_WANTED: Mapping[str, tuple[tuple[type, ...], str]] = {
    "NUMBER_INTEGER": ((int,), "a whole number"),
    "NUMBER_DOUBLE": ((int, float), "a number"),
    "BOOLEAN": ((bool,), "true or false"),
    "LIST": ((list,), 'a JSON list such as [1, 2] or ["a"]'),
    "STRUCT": ((dict,), 'a JSON object such as {"a": 1}'),
}
