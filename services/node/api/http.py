"""The node's ASGI app: probes, limits, identity and the kinds' routes; it must not know how pods run."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.requests import Request

from libs.base.errors import BadRequest
from libs.resources import Resources, Subresource, bodies, routes
from libs.service.asgi import ASGIApp
from libs.service.identity import IdentityMiddleware, User, Verifier
from libs.service.limits import BodyLimit, Drain
from libs.service.probes import Check, Probes
from services.node.api.access import Access
from services.node.api.logs import PodLogs
from services.node.api.reviews import Reviews
from services.node.api.tokens import AccountTokens
from services.node.domain.protobuf import MESSAGES
from services.node.reconcile.kinds import ACCOUNT, KINDS, POD

BODY_BYTES = 8 * 1024 * 1024
Ask = Callable[[Mapping[str, str]], Awaitable[User | None]]


def build(
    resources: Resources,
    logs: PodLogs,
    tokens: AccountTokens,
    verifier: Verifier,
    ask: Ask,
    access: Access,
    needed: Mapping[str, Check],
) -> tuple[ASGIApp, Drain]:
    """The app and what ends its streams."""
    extra = (
        Subresource(POD, "log", ("GET",), logs.answer),
        Subresource(ACCOUNT, "token", ("POST",), _token_maker(tokens), returns="TokenRequest"),
    )
    api = routes(resources, KINDS, extra_subresources=extra)
    api.routes[:0] = Reviews(ask, access).routes()
    inner = IdentityMiddleware(api, verifier, also=(ask,))
    drain = Drain(BodyLimit(inner, BODY_BYTES))
    return Probes(drain, needed, {}), drain


def _token_maker(tokens: AccountTokens) -> Callable[[Request, dict[str, Any]], Awaitable[dict[str, Any]]]:
    async def make(request: Request, account: dict[str, Any]) -> dict[str, Any]:
        content_type = bodies.media_type(request.headers.get("content-type"))
        asked = bodies.decode(await request.body(), content_type, messages=MESSAGES)
        spec = (asked.get("spec") if isinstance(asked, dict) else None) or {}
        seconds = spec.get("expirationSeconds") or 3600
        if not isinstance(seconds, int) or not 600 <= seconds <= 1 << 32:
            raise BadRequest("spec.expirationSeconds: must be a whole number of at least 600")
        token = tokens.sign(account, seconds, audiences=spec.get("audiences") or None)
        status = {"token": token, "expirationTimestamp": tokens.expiry(seconds)}
        return {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "metadata": {},
            "spec": spec,
            "status": status,
        }

    return make
