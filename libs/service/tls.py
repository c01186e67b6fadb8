"""The second listener, over TLS, for a cluster's API server: certificates that change, clients that may show theirs.

The serving certificate and the trusted roots are read again and again; every new connection gets the newest, those that
are open keep theirs. Whom a client certificate makes its bearer is decided by request (libs.service.delegation).
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from libs.base.clock import Clock
from libs.service.asgi import ASGIApp
from libs.service.delegation import Delegation
from libs.service.peers import EXTENSION, Peer, verified_peer
from libs.service.runner import bind, listen_on

log = logging.getLogger(__name__)

KEEP_ALIVE_S = 120
"""Longer than Go keeps an idle connection (90 s), so that an API server never writes into one that we are closing."""
LOOK_S = 2.0
"""How often the files are looked at. A kubelet takes up to a minute to bring a new one."""


class Files(NamedTuple):
    """Where certificate (with its chain) and key lie, PEM."""

    certificate: str
    key: str

    def texts(self) -> tuple[bytes, bytes]:
        return Path(self.certificate).read_bytes(), Path(self.key).read_bytes()


class Contexts:
    """The newest TLS context, and a first one that leads every handshake to it."""

    def __init__(self, files: Files, front: Delegation) -> None:
        self._files, self._front = files, front
        self._built_of: Any = None
        self._complaint = ""
        self._newest: ssl.SSLContext | None = None

    async def first(self, clock: Clock, every_s: float) -> ssl.SSLContext:
        """Waits until there is a certificate: it may be made after the service has started."""
        while not await self.look() or self._newest is None:
            await clock.sleep(every_s)
        entrance = self._newest
        entrance.sni_callback = self._lead
        return entrance

    async def keep(self, clock: Clock, every_s: float) -> None:
        while True:
            await clock.sleep(every_s)
            await self.look()

    async def look(self) -> bool:
        """Takes what the files and the cluster say now; what cannot be used (half a change) leaves all as it was."""
        try:
            of = (*await asyncio.to_thread(self._files.texts), self._front.trust.bundle)
            if of != self._built_of:
                self._newest = await asyncio.to_thread(_context, self._files, of[2])
                self._built_of, self._complaint = of, ""
                log.info("serving TLS with the certificate of %s", self._files.certificate)
        except (OSError, ValueError) as error:
            if str(error) != self._complaint:
                log.warning("TLS: %s cannot be used now: %s", self._files.certificate, error)
            self._complaint = str(error)
        return self._newest is not None

    def _lead(self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        """Called for every handshake, whether it names a server or not: the certificate and the roots are swapped."""
        if self._newest is not None:
            connection.context = self._newest


def _context(files: Files, roots: str) -> ssl.SSLContext:
    """Raises OSError (also for certificates that are none, or not the key's)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(files.certificate, files.key)
    context.set_alpn_protocols(["http/1.1"])
    context.verify_mode = ssl.CERT_OPTIONAL
    if roots:
        context.load_verify_locations(cadata=roots)
    # As in Go, what the bundle holds is an anchor, also an intermediate certificate.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    # A resumed session would bring a client certificate that nobody verifies any more.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    return context


class TlsProtocol(HttpToolsProtocol):
    """uvicorn's HTTP, with the client certificate in each request's scope; uvicorn itself hides it."""

    _peer: Peer | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        try:
            self._peer = verified_peer(transport.get_extra_info("ssl_object"))
        except ValueError as error:  # a certificate that OpenSSL takes and the parser does not
            log.warning("TLS: a client certificate cannot be read: %s", error)
            transport.abort()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {EXTENSION: {"peer": self._peer}}


def secure(config: uvicorn.Config, context: ssl.SSLContext) -> None:
    """Makes a server speak TLS and tell who its clients are."""
    config.http, config.timeout_keep_alive = TlsProtocol, KEEP_ALIVE_S
    config.load()
    config.ssl = context


@asynccontextmanager
async def listen_tls(
    app: ASGIApp, host: str, port: int, files: Files, front: Delegation, clock: Clock, *, every_s: float = LOOK_S
) -> AsyncIterator[None]:
    """Serves `app` as soon as there is a certificate; until then it refuses connections. OSError for a taken port."""
    bound = bind(host, port)
    serving = asyncio.create_task(_serve(app, bound, Contexts(files, front), front, clock, every_s), name="tls")
    try:
        yield
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        bound.close()


async def _serve(
    app: ASGIApp, bound: socket.socket, contexts: Contexts, front: Delegation, clock: Clock, every_s: float
) -> None:
    try:
        await front.look()
        async with listen_on(app, bound, await contexts.first(clock, every_s)):
            await contexts.keep(clock, every_s)
    except Exception:
        log.exception("the TLS listener ended")
        raise
