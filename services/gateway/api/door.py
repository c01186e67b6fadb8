"""Who knocks: finds the user of a request, or says 401; believes loopback peers only where the settings do."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from libs.base.errors import Unauthorized
from libs.service.asgi import Scope, header
from libs.service.identity import User
from libs.service.peers import is_tls
from services.gateway.ports import Tokens

if TYPE_CHECKING:
    from libs.service.delegation import Delegation


class Door:
    """Bearer tokens always; no credential at all is the local user's, if there is one and the caller sits here.

    A page of a foreign site that is open in the local user's browser also knocks from loopback: its Origin, or the Host
    that it was led to by its own DNS, gives it away.
    """

    def __init__(
        self, tokens: Tokens, local_user: User | None, public_url: str, front: Delegation | None = None
    ) -> None:
        self._tokens, self._local_user, self._front = tokens, local_user, front
        self._public_host = urlsplit(public_url).hostname or ""

    async def user_of(self, scope: Scope) -> User:
        """Raises Unauthorized. On the TLS listener a client certificate decides, if there is one."""
        if self._front and (user := self._front.certified(scope)):
            return user
        if any(name == b"authorization" for name, _ in scope["headers"]):
            scheme, _, token = (header(scope, b"authorization") or "").partition(" ")
            if scheme.lower() != "bearer" or not token.strip():
                raise Unauthorized("send one credential: Authorization: Bearer <token>")
            return await self._tokens.user_of(token.strip())
        if self._local_user is None or is_tls(scope) or not self._sits_here(scope):
            raise Unauthorized("no credential: send Authorization: Bearer <token>")
        return self._local_user

    def _sits_here(self, scope: Scope) -> bool:
        """The peer is on loopback, and so is everyone that an edge before us (Caddy) names."""
        peer = scope.get("client")
        told = header(scope, b"x-forwarded-for")
        hops = [hop.strip() for hop in told.split(",")] if told else []
        if peer is None or not all(_is_loopback(hop) for hop in (peer[0], *hops)):
            return False
        host, origin = header(scope, b"host") or "", header(scope, b"origin")
        forwarded_host = header(scope, b"x-forwarded-host")
        asked = [host, *([forwarded_host] if forwarded_host else [])]
        return all(map(self._is_ours, asked)) and (origin is None or self._is_ours(urlsplit(origin).netloc))

    def _is_ours(self, netloc: str) -> bool:
        host = (urlsplit(f"//{netloc}").hostname or "").lower()
        inside = host.endswith((".svc", ".svc.cluster.local", ".localhost"))
        return host in ("localhost", self._public_host, "gateway") or inside or _is_loopback(host)


def _is_loopback(text: str) -> bool:
    try:
        return ip_address(text.strip("[]")).is_loopback
    except ValueError:
        return False
