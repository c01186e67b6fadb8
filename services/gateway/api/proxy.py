"""Passes one request on and its answer back, byte by byte; when either side leaves, so does the other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

from libs.base.errors import ApiError, Unavailable
from libs.service.asgi import Message, Receive, Scope, Send, header, send_error
from libs.service.identity import User
from services.gateway.domain.headers import inbound, outbound
from services.gateway.domain.table import Target
from services.gateway.ports import Answer, Pairs, Upstreams

log = logging.getLogger(__name__)

HELD_BODY_BYTES = 65536
"""A body up to this size is read before it is sent, so that the request can be sent again."""


class Exchange:
    """One request under way between a caller and a service."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._body_done = asyncio.Event()
        self._body_error: ApiError | None = None

    async def run(self, upstreams: Upstreams, target: Target, user: User | None) -> None:
        """Raises ApiError only while nothing was answered yet."""
        passing = asyncio.ensure_future(self._pass(upstreams, target, user))
        leaving = asyncio.ensure_future(self._left())
        try:
            await asyncio.wait({passing, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if passing.done():
                passing.result()
        finally:
            for task in (passing, leaving):
                task.cancel()
            await asyncio.gather(passing, leaving, return_exceptions=True)

    async def _pass(self, upstreams: Upstreams, target: Target, user: User | None) -> None:
        method, body = self._scope["method"], await self._body()
        headers = inbound(self._scope["headers"], keep_authorization=target.self_authenticated)
        headers += forwarded(self._scope)
        if not isinstance(body, bytes | None) and (length := header(self._scope, b"content-length")):
            headers.append((b"Content-Length", length.encode()))
        on_wire = wire_target(self._scope, target)
        try:
            async with upstreams.ask(target.service, method, on_wire, headers, body, user) as answer:
                await self._answer(answer)
        except ApiError as error:
            # Why the caller's body ended early says more than that the service did not get it.
            raise self._body_error or error from error

    async def _answer(self, answer: Answer) -> None:
        await self._send({"type": "http.response.start", "status": answer.status, "headers": outbound(answer.headers)})
        try:
            async for chunk in answer.chunks():
                await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
        except Exception as error:
            # The answer has begun: only a broken connection can tell the caller that it is not whole.
            raise Broken(str(error)) from error
        await self._send({"type": "http.response.body", "body": b""})

    async def _body(self) -> bytes | AsyncIterator[bytes] | None:
        first = await self._receive()
        data: bytes = first.get("body", b"")
        if not first.get("more_body"):
            self._body_done.set()
            return data or None
        length = header(self._scope, b"content-length") or ""
        if length.isdigit() and int(length) <= HELD_BODY_BYTES:
            return data + b"".join([chunk async for chunk in self._rest()])
        return self._chunks(data)

    async def _chunks(self, first: bytes) -> AsyncIterator[bytes]:
        yield first
        async for chunk in self._rest():
            yield chunk

    async def _rest(self) -> AsyncIterator[bytes]:
        more = True
        while more:
            message = await self._next()
            yield message.get("body", b"")
            more = message.get("more_body", False)
        self._body_done.set()

    async def _next(self) -> Message:
        try:
            message = await self._receive()
        except ApiError as error:
            self._body_error = error
            raise
        if message["type"] == "http.disconnect":
            raise Unavailable("the caller left before its body was whole")
        return message

    async def _left(self) -> None:
        """Returns when the caller has left."""
        await self._body_done.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass


class Broken(Exception):
    """An answer that cannot be finished."""


def forwarded(scope: Scope) -> list[tuple[bytes, bytes]]:
    """What the service may know of the way the request came."""
    client, host = scope.get("client"), header(scope, b"host")
    told = [(b"X-Forwarded-Proto", str(scope.get("scheme", "http")).encode())]
    if client:
        told.append((b"X-Forwarded-For", str(client[0]).encode()))
    if host:
        told.append((b"X-Forwarded-Host", host.encode("latin-1")))
    return told


def wire_target(scope: Scope, target: Target) -> str:
    """Path and query as bytes came in, unless routing has rewritten the path."""
    from urllib.parse import quote

    same = target.path == scope["path"]
    path = scope["raw_path"].decode("ascii", "replace") if same else quote(target.path, safe="/:@!$&'()*+,;=~-._")
    query = scope["query_string"].decode("ascii", "replace")
    return f"{path}?{query}" if query else path


async def answer_error(send: Send, error: ApiError) -> None:
    """A Status; 401 tells which credential would help, 503 when to come back."""
    extra: list[tuple[bytes, bytes]] = []
    if error.code == 401:
        extra.append((b"www-authenticate", b"Bearer"))
    if error.retry_after_s is not None:
        extra.append((b"retry-after", str(error.retry_after_s).encode()))
    await send_error(send, error, headers=extra)


__all__ = ["Broken", "Exchange", "Pairs", "answer_error", "forwarded", "wire_target"]
