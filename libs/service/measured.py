"""Counts and times the requests of a service by method, route and code, and makes a span of each that is traced.

It must not assume that an answer ends.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from libs import telemetry
from libs.base.clock import Clock
from libs.service.asgi import ASGIApp, Message, Receive, Scope, Send, header, is_stream

REQUESTS = telemetry.histogram(
    "http_request_seconds",
    "Time to the end of the answer; watches and followed logs, which end when someone leaves, are not in it",
    ("method", "route", "code"),
    telemetry.SHORT_S,
)
STREAMS = telemetry.gauge("http_streams", "Watches and followed logs that are open now", ("route",))
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
LEFT = "499"
"""The code of a request that was never answered, because its caller left: the word of proxies for it."""


class Measured:
    """Passes every request on and notes what became of it.

    What came with a `traceparent` is traced on, so that letters tell which request they followed from; with `trace`
    (there is a collector) every request is. Streams are not: a span ends when they do.
    """

    def __init__(self, app: ASGIApp, clock: Clock, *, trace: bool = False) -> None:
        self._app, self._clock, self._trace = app, clock, trace

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        scope.setdefault("state", {})  # one dictionary for all layers, even for one that copies the scope
        noted = _Noted(scope, send, is_stream(scope))
        began = self._clock.monotonic()
        with self._span(scope, noted) as span:
            try:
                await self._app(scope, receive, noted.send)
            finally:
                noted.end(self._clock.monotonic() - began)
                if span is not None:
                    span.update_name(f"{scope['method']} {telemetry.route_of(scope)}")
                    span.set_attributes(
                        {"http.route": telemetry.route_of(scope), "http.response.status_code": noted.code}
                    )

    def _span(self, scope: Scope, noted: _Noted) -> AbstractContextManager[Any]:
        parent = header(scope, b"traceparent")
        if noted.streams or not (parent or self._trace):
            return nullcontext()
        known = {"traceparent": parent} if parent else None
        return telemetry.span(scope["method"], known, **{"http.request.method": scope["method"]})


class _Noted:
    """One request."""

    def __init__(self, scope: Scope, send: Send, streams: bool) -> None:
        self._scope, self._send, self.streams = scope, send, streams
        self.code, self._open = LEFT, ""

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.code = str(message["status"])
            if self.streams and message["status"] == 200:
                self._open = telemetry.route_of(self._scope)
                STREAMS.labels(self._open).inc()
        await self._send(message)

    def end(self, seconds: float) -> None:
        if self._open:
            STREAMS.labels(self._open).dec()
        else:
            method = self._scope["method"] if self._scope["method"] in METHODS else telemetry.OTHER
            REQUESTS.labels(method, telemetry.route_of(self._scope), self.code).observe(seconds)
