"""The expressions of `parameterExpressionSelector`: which part of a value is meant, `parseJson(string_value)["a"]`."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

KEY = re.compile(r"""\[\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|(\d+))\s*\]|\.([A-Za-z_]\w*)""")
VALUES = ("string_value", "struct_value", "list_value")
DEEPEST = 32


class SelectorError(ValueError):
    """A selector that does not parse, or that finds nothing in the value at hand."""


@dataclass(frozen=True, slots=True)
class Selector:
    """Reads its value as JSON where it is a text, then goes down by `keys`."""

    text: str
    keys: tuple[str | int, ...]

    def pick(self, value: Any) -> Any:
        """The part that is meant; SelectorError names the key that is not there."""
        for key in self.keys:
            value = _down(_parsed(value), key, self.text)
        return _parsed(value) if not self.keys else value


def parse(text: str) -> Selector:
    """Reads a selector; SelectorError names the place that it does not understand."""
    return Selector(text, _keys(text.strip(), text, 0))


def _keys(part: str, whole: str, depth: int) -> tuple[str | int, ...]:
    if depth > DEEPEST:
        raise SelectorError(f"selector {whole[:80]!r} is nested deeper than {DEEPEST} levels")
    if part in VALUES:
        return ()
    inner, rest = _call(part) if part.startswith("parseJson(") else _plain(part, whole)
    return (*_keys(inner.strip(), whole, depth + 1), *_steps(rest, whole))


def _plain(part: str, whole: str) -> tuple[str, str]:
    for value in VALUES:
        if part.startswith(value):
            return value, part[len(value) :]
    raise SelectorError(f"selector {whole!r} is not understood at {part[:20]!r}: expected parseJson(string_value)[...]")


def _call(part: str) -> tuple[str, str]:
    """`parseJson(inner)rest`: the bracket that closes is found by counting; keys in quotes may hold brackets."""
    depth, quoted, at = 0, "", len("parseJson")
    while at < len(part):
        sign = part[at]
        if quoted:
            at += sign == "\\"
            quoted = "" if sign == quoted else quoted
        elif sign in "\"'":
            quoted = sign
        elif sign in "()":
            depth += 1 if sign == "(" else -1
            if depth == 0:
                return part[len("parseJson(") : at], part[at + 1 :]
        at += 1
    raise SelectorError(f"selector {part!r} has a bracket that is not closed")


def _steps(rest: str, whole: str) -> tuple[str | int, ...]:
    keys: list[str | int] = []
    at = 0
    while at < len(rest):
        found = KEY.match(rest, at)
        if found is None:
            raise SelectorError(f"selector {whole!r} is not understood at {rest[at : at + 20]!r}")
        double, single, number, name = found.groups()
        if number is not None:
            keys.append(int(number))
        else:
            keys.append(json.loads(f'"{double}"') if double is not None else single if single is not None else name)
        at = found.end()
    return tuple(keys)


def _parsed(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise SelectorError(f"{value[:80]!r} is no JSON") from None


def _down(value: Any, key: str | int, text: str) -> Any:
    if isinstance(value, Mapping) and key in value:
        return value[key]
    if isinstance(value, Sequence) and isinstance(key, int) and key < len(value):
        return value[key]
    raise SelectorError(f"{text}: there is no {key!r} in {json.dumps(value)[:200]}")
