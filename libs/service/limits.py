"""Ends requests in good order: refuses bodies beyond a size, and lets streams go when the service stops."""

from __future__ import annotations

import asyncio

from libs.base.errors import TooLarge
from libs.service.asgi import ASGIApp, Message, Receive, Scope, Send, header, send_error


class BodyLimit:
    """413 for a body beyond `most` bytes, whether it says its length or not."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app, self._most = app, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        said = header(scope, b"content-length") or "0"
        if said.isdigit() and int(said) > self._most:
            return await send_error(send, self._error())
        limited = _Limited(receive, send, self._most, self._error())
        try:
            await self._app(scope, limited.receive, limited.send)
        except TooLarge as error:
            if error is not limited.error:
                raise
        await limited.finish()

    def _error(self) -> TooLarge:
        return TooLarge(f"the request body is larger than {self._most} bytes")


class _Limited:
    """One request's receive and send. What an app says after its body was refused (a framework's 400) is not sent."""

    def __init__(self, receive: Receive, send: Send, most: int, error: TooLarge) -> None:
        self._receive, self._send, self._left, self.error = receive, send, most, error
        self._started = False

    async def receive(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise self.error
        return message

    async def send(self, message: Message) -> None:
        if self._left >= 0 or self._started:
            self._started = True
            await self._send(message)

    async def finish(self) -> None:
        if self._left < 0 and not self._started:
            await send_error(self._send, self.error)


class Drain:
    """Once `begin` was called, open streams (watches, logs) see their client leave; short requests finish."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._stopping = asyncio.Event()

    def begin(self) -> None:
        self._stopping.set()

    @property
    def begun(self) -> bool:
        return self._stopping.is_set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        ending = _Ending(receive, send, self._stopping)
        await self._app(scope, ending.receive, ending.send)
        await ending.finish()


class _Ending:
    """One request's receive and send, with the end of the service made visible as the client's leave."""

    def __init__(self, receive: Receive, send: Send, stopping: asyncio.Event) -> None:
        self._receive, self._send, self._stopping = receive, send, stopping
        self._body_read = self._open = False

    async def receive(self) -> Message:
        if not self._body_read:
            message = await self._receive()
            self._body_read = not message.get("more_body", False)
            return message
        return await self._first(self._receive())

    async def _first(self, receiving: object) -> Message:
        incoming = asyncio.ensure_future(receiving)  # type: ignore[call-overload]
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({incoming, stopping}, return_when=asyncio.FIRST_COMPLETED)
            return incoming.result() if incoming.done() else {"type": "http.disconnect"}
        finally:
            incoming.cancel()
            stopping.cancel()

    async def send(self, message: Message) -> None:
        self._open = message["type"] == "http.response.start" or bool(message.get("more_body"))
        await self._send(message)

    async def finish(self) -> None:
        """Ends the answer that a stream has left open, so that its client sees a whole one."""
        if self._open and self._stopping.is_set():
            await self._send({"type": "http.response.body", "body": b""})
