"""The `filter` of KFP's lists: predicates that all must hold, as its clients write them in JSON.

The protocol is that of filter.proto (kubeflow/pipelines, backend/api/v2beta1); which keys a list knows it says itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from libs.base import milliseconds
from libs.base.clock import parse_rfc3339
from libs.base.errors import BadRequest

# 4 was never given to an operation.
OPERATIONS = {
    1: "EQUALS",
    2: "NOT_EQUALS",
    3: "GREATER_THAN",
    5: "GREATER_THAN_EQUALS",
    6: "LESS_THAN",
    7: "LESS_THAN_EQUALS",
    8: "IN",
    9: "IS_SUBSTRING",
}
ONE = ("string_value", "int_value", "long_value", "timestamp_value")
MANY = ("string_values", "int_values", "long_values")
FILTER_MAX, PREDICATES_MAX, VALUES_MAX = 65_536, 50, 1000
_INT64 = 2**63
Value = str | int


@dataclass(frozen=True)
class Predicate:
    """`key` is one of the list's; times are milliseconds since the epoch. `value` is a tuple for IN alone."""

    key: str
    operation: str
    value: Value | tuple[Value, ...]


def predicates(text: str, known: Mapping[str, type]) -> tuple[Predicate, ...]:
    """What the text asks for; `known` names the keys and whether they hold texts or numbers. Raises BadRequest."""
    if not text:
        return ()
    if len(text) > FILTER_MAX:
        raise BadRequest(f"filter: it is {len(text)} characters long, at most {FILTER_MAX} are read")
    try:
        sent = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f'filter: not JSON ({error}): send {{"predicates": [...]}}') from None
    rows = sent.get("predicates", []) if isinstance(sent, dict) else None
    if not isinstance(rows, list) or len(rows) > PREDICATES_MAX:
        raise BadRequest(f'filter: send {{"predicates": [...]}} with at most {PREDICATES_MAX} of them')
    return tuple(_predicate(row, f"filter.predicates[{at}]", known) for at, row in enumerate(rows))


def _predicate(row: Any, where: str, known: Mapping[str, type]) -> Predicate:
    if not isinstance(row, dict):
        raise BadRequest(f"{where}: {row!r} is not an object")
    fields = {_snake(name): value for name, value in row.items()}
    key, operation = str(fields.get("key")), _operation(fields.get("operation"), where)
    if key not in known:
        raise BadRequest(f"{where}.key: {key!r} is not one of {', '.join(sorted(known))}")
    names = MANY if operation == "IN" else ONE
    given = [name for name in names if fields.get(name) is not None]
    if len(given) != 1:
        raise BadRequest(f"{where}: {operation} takes exactly one of {', '.join(names)}")
    [name] = given
    value = (
        _values(fields[name], name, known[key], where) if operation == "IN" else _one(fields, name, known[key], where)
    )
    if operation == "IS_SUBSTRING" and not isinstance(value, str):
        raise BadRequest(f"{where}: IS_SUBSTRING looks into texts, and {key!r} is none")
    return Predicate(key, operation, value)


def _operation(sent: Any, where: str) -> str:
    found = OPERATIONS.get(sent) if isinstance(sent, int) else sent
    if found not in OPERATIONS.values():
        told = ", ".join(f"{name} ({number})" for number, name in OPERATIONS.items())
        raise BadRequest(f"{where}.operation: {sent!r} is not one of {told}")
    return str(found)


def _values(sent: Any, name: str, kind: type, where: str) -> Value | tuple[Value, ...]:
    values = sent.get("values") if isinstance(sent, dict) else None
    if not isinstance(values, list) or not 0 < len(values) <= VALUES_MAX:
        raise BadRequest(f'{where}.{name}: send {{"values": [...]}} with 1 to {VALUES_MAX} of them')
    singular = name.removesuffix("s")
    return tuple(_one({singular: value}, singular, kind, f"{where}.{name}[{at}]") for at, value in enumerate(values))


def _one(fields: Mapping[str, Any], name: str, kind: type, where: str) -> Value:
    value = _read(fields[name], name, where)
    if not isinstance(value, kind):
        wanted = "string_value" if kind is str else "timestamp_value, long_value or int_value"
        raise BadRequest(f"{where}.{name}: this key wants {wanted}")
    return value


def _read(sent: Any, name: str, where: str) -> Value:
    try:
        if name == "timestamp_value":
            return milliseconds(parse_rfc3339(sent))
        if name == "string_value":
            return _text(sent)
        if isinstance(sent, bool | float):
            raise ValueError("not an integer")
        number = int(sent)
    except (ValueError, TypeError, OverflowError, AttributeError) as error:
        raise BadRequest(f"{where}.{name}: {sent!r} cannot be read: {error}") from None
    if not -_INT64 <= number < _INT64:
        raise BadRequest(f"{where}.{name}: {sent!r} has more than 64 bits")
    return number


def _text(sent: Any) -> str:
    if not isinstance(sent, str):
        raise ValueError("not a text")
    if "\x00" in sent or (not sent.isascii() and any("\ud800" <= c <= "\udfff" for c in sent)):
        raise ValueError("it holds NUL or half of a character (a lone surrogate)")
    return sent


def _snake(name: Any) -> str:
    """`stringValue` as kfp.Client writes it, `string_value` as the generated clients do."""
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in str(name))
