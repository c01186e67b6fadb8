"""Answers that need no framework: plain ASGI replies and header reading for middlewares; knows no route."""

import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from libs.base.errors import ApiError

__all__ = [
    "ASGIApp",
    "Message",
    "Receive",
    "Scope",
    "Send",
    "header",
    "headers_of",
    "is_stream",
    "send_error",
    "send_json",
]

Pairs = Iterable[tuple[bytes, bytes]]


def headers_of(scope: Scope) -> dict[str, str]:
    """The request's headers, names in lower case; of a repeated name the first is kept."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        found.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))
    return found


def header(scope: Scope, name: bytes) -> str | None:
    """The only value of `name` (lower case); None when it is absent or given twice, so nobody can append one."""
    values = [value for key, value in scope["headers"] if key == name]
    return values[0].decode("latin-1") if len(values) == 1 else None


def is_stream(scope: Scope) -> bool:
    """Whether the answer lasts until somebody leaves: `watch` or `follow` is set to true, in the API's ways."""
    query = scope["query_string"]
    if b"watch" not in query and b"follow" not in query:
        return False
    asked = parse_qs(query.decode("latin-1"))
    return any(asked.get(name, ["0"])[-1].lower() in ("1", "true") for name in ("watch", "follow"))


async def send_json(
    send: Send, code: int, body: Mapping[str, Any] | bytes, *, headers: Pairs = (), media: str = "application/json"
) -> None:
    """One whole answer; `body` is JSON already when it is bytes."""
    data = body if isinstance(body, bytes) else json.dumps(body, separators=(",", ":")).encode()
    head = [(b"content-type", media.encode()), (b"content-length", str(len(data)).encode()), *headers]
    await send({"type": "http.response.start", "status": code, "headers": head})
    await send({"type": "http.response.body", "body": data})


async def send_error(send: Send, error: ApiError, *, headers: Pairs = ()) -> None:
    """A Kubernetes `Status` answer for `error`."""
    await send_json(send, error.code, error.status(), headers=headers)
