"""The first part of a graceful end: serve on while callers learn to go elsewhere; knows no route but the probe's.

Whoever routes to this process hears of its end later than the process itself, and callers keep connections open. So
after SIGTERM it turns unready and goes on answering, each answer with `Connection: close`. Only when no caller can
still hold an idle connection does it stop to listen: nobody then writes a request into one that is being closed,
which could not be sent again if it changes anything. Source: the API server's `--shutdown-delay-duration`.
"""

from __future__ import annotations

from libs.base.clock import Clock
from libs.service.asgi import ASGIApp, Message, Receive, Scope, Send, is_stream, send_json

CALLER_IDLE_S = 1.0
"""How long our own callers (the gateway, the laptop's edge) keep an idle connection; no longer, by their settings."""
SLACK_S = 0.25
LOOK_S = 0.1


class Farewell:
    """Wraps a whole service; `say` returns when the service may close its socket."""

    def __init__(self, app: ASGIApp, clock: Clock) -> None:
        self._app, self._clock = app, clock
        self._leaving = False
        self._asked_at = float("-inf")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] == "/livez":
            return await self._app(scope, receive, send)
        if scope["path"] == "/readyz":
            if self._leaving:
                return await send_json(send, 503, {"status": "unready", "checks": {"stop": "stopping"}})
            return await self._app(scope, receive, send)
        self._asked_at = self._clock.monotonic()
        # A stream is the last of its connection in any case: this process may end it in order to stop, and closes next.
        await self._app(scope, receive, self._closing(send, is_stream(scope)))

    def _closing(self, send: Send, last: bool) -> Send:
        async def closing(message: Message) -> None:
            starts = message["type"] == "http.response.start"
            if starts or not message.get("more_body"):
                self._asked_at = self._clock.monotonic()
            if starts and (last or self._leaving):
                message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
            await send(message)

        return closing

    async def say(self, longest_s: float) -> None:
        """Serves on for at most `longest_s` seconds: a quarter of it in any case, the rest while requests come.

        Open streams do not count: they end, whole, when the service is told to stop.
        """
        self._leaving = True
        began = self._clock.monotonic()
        while (past := self._clock.monotonic() - began) < longest_s:
            quiet_s = self._clock.monotonic() - self._asked_at
            if past >= longest_s / 4 and quiet_s > CALLER_IDLE_S + SLACK_S:
                return
            await self._clock.sleep(LOOK_S)
