"""HTTP to the services: pooled, streaming both ways, signed with the user's identity; it must not judge requests."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from libs.base.clock import Clock
from libs.base.errors import Forbidden, Unavailable
from libs.service.farewell import CALLER_IDLE_S
from libs.service.identity import HEADER, Signer, User
from libs.telemetry import inject
from services.gateway.ports import Pairs

CONNECT_S = 3.0
DOCUMENT_S = 5.0
CONNECT_TRIES, CONNECT_PAUSE_S = 7, 0.15
"""A refused connection has delivered nothing; during a rolling restart the next one finds the new process."""
_RETRYABLE = frozenset(("GET", "HEAD", "OPTIONS"))
_CUT = (aiohttp.ServerDisconnectedError, aiohttp.ClientConnectionResetError, aiohttp.ClientOSError)
"""A process that ends closes its connections, before it answers or while it is being asked."""


class HttpAnswer:
    """An answer whose body is read as it comes."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.status = response.status
        self.headers: Pairs = response.raw_headers
        self._response = response

    def chunks(self) -> AsyncIterator[bytes]:
        return self._response.content.iter_any()


class HttpUpstreams:
    """Connections to all services. `url_of` gives a service's base URL; the node may want a token and impersonation."""

    def __init__(
        self,
        url_of: Callable[[str], str],
        signer: Signer,
        clock: Clock,
        *,
        node_token_file: str | None = None,
        node_ca_file: str | None = None,
    ) -> None:
        self._url_of, self._signer, self._clock = url_of, signer, clock
        self._node_token_file = node_token_file
        trust = ssl.create_default_context(cafile=node_ca_file) if node_ca_file else True
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=CALLER_IDLE_S, ttl_dns_cache=5, ssl=trust),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            cookie_jar=aiohttp.DummyCookieJar(),
            max_line_size=65536,
            max_field_size=65536,
        )

    async def close(self) -> None:
        await self._session.close()

    @asynccontextmanager
    async def ask(
        self,
        service: str,
        method: str,
        target: str,
        headers: Pairs,
        body: bytes | AsyncIterator[bytes] | None,
        user: User | None,
        *,
        tries: int = CONNECT_TRIES,
    ) -> AsyncIterator[HttpAnswer]:
        """See ports.Upstreams."""
        sent = self._headers(service, headers, user)
        url = URL(self._url_of(service) + target, encoded=True)
        response = await self._send(service, method, url, sent, body, tries)
        try:
            yield HttpAnswer(response)
        finally:
            # An unread body means that the caller left: only closing tells the service to stop streaming.
            response.release() if response.content.at_eof() else response.close()

    async def _send(
        self,
        service: str,
        method: str,
        url: URL,
        headers: CIMultiDict[str],
        body: bytes | AsyncIterator[bytes] | None,
        tries: int,
    ) -> aiohttp.ClientResponse:
        for attempt in range(1, tries + 1):
            try:
                return await self._session.request(method, url, headers=headers, data=body, allow_redirects=False)
            except (aiohttp.ClientError, OSError) as error:
                unsent = isinstance(error, aiohttp.ClientConnectorError)
                again = unsent or (method in _RETRYABLE and isinstance(error, _CUT))
                if not again or attempt == tries:
                    raise Unavailable(f"{service} does not answer: {error}", retry_after_s=1) from error
            await self._clock.sleep(CONNECT_PAUSE_S * attempt)
        raise AssertionError("unreachable")

    def _headers(self, service: str, headers: Pairs, user: User | None) -> CIMultiDict[str]:
        sent = CIMultiDict((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers)
        sent.update(inject())  # a traced request goes on under our span, not beside it
        if user is None:
            return sent
        if service == "node" and self._node_token_file:
            sent["Authorization"] = f"Bearer {Path(self._node_token_file).read_text().strip()}"
            sent["Impersonate-User"] = _unchanged(user.name)
            for group in user.groups:
                sent.add("Impersonate-Group", _unchanged(group))
        else:
            sent[HEADER] = self._signer.sign(user)
        return sent

    async def document(self, service: str, path: str, accept: str, user: User) -> dict[str, Any] | None:
        """See ports.Upstreams."""
        try:
            async with (
                asyncio.timeout(DOCUMENT_S),
                self.ask(service, "GET", path, [(b"Accept", accept.encode())], None, user, tries=2) as answer,
            ):
                data = b"".join([chunk async for chunk in answer.chunks()])
        except (TimeoutError, aiohttp.ClientError) as error:
            raise Unavailable(f"{service} does not answer: {error}") from error
        return _object(data) if answer.status == 200 else None


def _unchanged(name: str) -> str:
    """Raises Forbidden for a name that would be another one after its journey as a header: edges are trimmed there."""
    if name != name.strip() or any(ord(letter) < 0x20 or letter == "\x7f" for letter in name):
        raise Forbidden(f"the cluster cannot be told of the user or group {name!r}")
    return name


def _object(data: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(data)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
