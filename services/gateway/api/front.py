"""The gateway's ASGI app: limits, authentication, own answers, and the way to everyone else."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from libs.base.errors import ApiError, Forbidden, Internal, MethodNotAllowed, NotFound
from libs.service.asgi import Receive, Scope, Send, send_json
from libs.service.identity import User
from libs.telemetry import name_route
from services.gateway.api.archive import Archive
from services.gateway.api.discovery import Discovery
from services.gateway.api.door import Door
from services.gateway.api.proxy import Broken, Exchange, answer_error
from services.gateway.api.reviews import CAN_I, WHOAMI, review
from services.gateway.api.serving import Serving
from services.gateway.domain.table import NODE, Table, Target
from services.gateway.ports import Upstreams

if TYPE_CHECKING:
    from libs.service.delegation import Delegation
    from libs.service.reviews import Reviews

log = logging.getLogger(__name__)

MAX_TARGET_BYTES = 16 * 1024
MAX_HEADER_BYTES = 64 * 1024
PREDICTIONS = "predictors"
OWN = "gateway"
"""How the gateway's own answers are called in its figures; the others go by their service."""
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
OPENAPI_V2 = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
NO_SCHEMAS = b"\x0a\x032.0"
"""The field `swagger` and nothing else. Of a kind that nobody serves kubectl asks here before it says so; told that
there is nothing here it would speak of that alone."""
VERSION = {
    "major": "1",
    "minor": "34",
    "gitVersion": "v1.34.0+millstream",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "2026-11-22T00:00:00Z",
    "goVersion": "",
    "compiler": "cpython",
    "platform": "linux/amd64",
}


@dataclass(frozen=True)
class Behind:
    """What the cluster's API server gets to see, as whose aggregated API the gateway stands in for several services.

    Its own groups must not come back to it, or it would ask us for them and we it.
    """

    front: Delegation
    discovery: Discovery
    """Of the services alone."""

    def is_asked(self, scope: Scope) -> bool:
        return self.front.through_front_proxy(scope)


class Front:
    """Answers what is the gateway's own and passes on the rest; every failure is a Status."""

    def __init__(
        self,
        table: Table,
        door: Door,
        discovery: Discovery,
        upstreams: Upstreams,
        *,
        behind: Behind | None = None,
        serving: Serving | None = None,
        rights: Reviews | None = None,
    ) -> None:
        self._table, self._door, self._discovery, self._upstreams = table, door, discovery, upstreams
        self._behind, self._serving, self._rights = behind, serving, rights
        self._archive = Archive(table, upstreams)
        self._reviews = () if rights else (WHOAMI, CAN_I)
        """What is answered here; where the cluster's rights count its API server answers, in the user's name."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            await self._answer(scope, receive, send)
        except ApiError as error:
            await answer_error(send, error)
        except Broken as error:
            log.info("%s %s ended early: %s", scope["method"], scope["path"], error)
            raise

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        check_size(scope)
        path = scope["path"]
        if path == "/healthz":
            return await send_json(send, 200, b"ok", media="text/plain")
        if path == "/version":
            return await send_json(send, 200, VERSION)
        if scope["method"] not in METHODS:
            raise MethodNotAllowed(f"{scope['method']} is not supported")
        if path == "/" and self._table.page and _is_browser(scope):
            return await send_json(
                send, 302, b"", media="text/html", headers=((b"location", self._table.page.encode()),)
            )
        if self._serving and self._serving.claims(path):
            return await self._predict(self._serving, scope, receive, send)
        discovery = self._behind.discovery if self._behind and self._behind.is_asked(scope) else self._discovery
        target = None if self._is_own(path) else self._table.target(scope["method"], path)
        name_route(scope, target.service if target is not None else OWN)
        if target is not None and target.service == NODE and discovery is not self._discovery:
            raise NotFound(f"nothing of the cluster's own is served to the cluster: {path}")
        if target is not None and target.self_authenticated:
            return await Exchange(scope, receive, send).run(self._upstreams, target, None)
        user = await self._door.user_of(scope)
        if target is not None:
            await self._allow(user, scope["method"], target)
            return await Exchange(scope, receive, send).run(self._archive.behind(scope, target), target, user)
        await self._own(scope, receive, send, user, discovery)

    async def _predict(self, serving: Serving, scope: Scope, receive: Receive, send: Send) -> None:
        name_route(scope, PREDICTIONS)
        user = await self._door.user_of(scope)
        inner, target = await serving.lead(scope, user)
        await Exchange(inner, receive, send).run(self._upstreams, target, None)

    async def _allow(self, user: User, method: str, target: Target) -> None:
        """Raises Forbidden. What is no kind has nobody else to ask for leave; about kinds their services ask.

        Pages that every service has (/metrics, reached as a service's proxy) are asked for as what they are.
        """
        ours = self._table.claims(target.path)
        if self._rights is None or target.service == NODE or (target.path.startswith("/apis/") and not ours):
            return
        from libs.service.reviews import Path, route_path

        path = route_path(target.path) if ours else target.path
        if not await self._rights.allows(user, Path(method.lower(), path)):
            raise Forbidden(f'forbidden: User "{user.name}" cannot {method.lower()} path "{path}"')

    def _is_own(self, path: str) -> bool:
        ours = path in self._reviews or path.startswith("/openapi/v2") or self._discovery.answers(path)
        return ours and not self._table.claims(path)

    async def _own(self, scope: Scope, receive: Receive, send: Send, user: User, discovery: Discovery) -> None:
        path, method = scope["path"], scope["method"]
        if path in self._reviews:
            if method != "POST":
                raise MethodNotAllowed(f"{method} is not supported on {path}: POST a review")
            return await send_json(send, 201, review(path, await _whole(receive), user))
        if path.startswith("/openapi/v2"):
            if method == "GET" and discovery is self._discovery and _accepts(scope, b"proto-openapi.spec.v2"):
                return await send_json(send, 200, NO_SCHEMAS, media=OPENAPI_V2)
            raise NotFound("OpenAPI v2 is not served; /openapi/v3 is")
        if method not in ("GET", "HEAD"):
            raise MethodNotAllowed(f"{method} is not supported on {path}")
        await discovery.answer(scope, send)


def _is_browser(scope: Scope) -> bool:
    """Programs get a Status at /, as they would of an API server."""
    return scope["method"] == "GET" and _accepts(scope, b"text/html")


def _accepts(scope: Scope, media: bytes) -> bool:
    return any(name == b"accept" and media in value for name, value in scope["headers"])


def check_size(scope: Scope) -> None:
    """Raises an ApiError with code 414 or 431."""
    if len(scope["raw_path"]) + len(scope["query_string"]) > MAX_TARGET_BYTES:
        raise _refused(414, "URITooLong", f"the URL is longer than {MAX_TARGET_BYTES} bytes")
    if sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEADER_BYTES:
        raise _refused(431, "RequestHeaderFieldsTooLarge", f"the headers are larger than {MAX_HEADER_BYTES} bytes")


def _refused(code: int, reason: str, message: str) -> ApiError:
    error = ApiError(message)
    error.code, error.reason = code, reason
    return error


async def _whole(receive: Receive) -> bytes:
    parts, more = [], True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Internal("the caller left")
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)
