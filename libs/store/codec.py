"""JSON as the store writes it: compact text in both databases, so that a body is encoded once."""

from typing import Any

import orjson

from libs.base import BadRequest


def encode(value: Any) -> str:
    """Compact JSON; raises BadRequest for what JSON cannot hold (lone surrogates, integers beyond 64 bits)."""
    try:
        return orjson.dumps(value).decode()
    except TypeError as error:
        raise BadRequest(f"the object cannot be written as JSON: {error}") from None


def decode(text: str) -> dict[str, Any]:
    """A fresh value at every call: whoever asked may change it."""
    value: dict[str, Any] = orjson.loads(text)
    return value


def is_storable(*texts: str) -> bool:
    """False for names that no row can have: PostgreSQL refuses NUL, and lone surrogates are not UTF-8."""
    try:
        return b"\0" not in "".join(texts).encode()
    except UnicodeEncodeError:
        return False
