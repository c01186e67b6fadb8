"""What a cluster's API server knows of tokens and rights: TokenReview and SubjectAccessReview, remembered briefly.

Needs the ClusterRole system:auth-delegator. While the API server does not answer nobody is believed, nothing allowed.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from libs.base.clock import Clock
from libs.base.errors import ApiError, Unauthorized, Unavailable
from libs.service.identity import User
from libs.service.remembered import Remembered
from libs.service.trust import authenticated

log = logging.getLogger(__name__)

GOOD_S = 10.0
"""How long an answer counts, as in every extension API server (k8s.io/apiserver, DelegatingAuthorizationOptions)."""
ASK_S = 10.0
MAX_TOKEN_BYTES = 16_384

Create = Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]]
"""Posts a review and returns it with its status; `Cluster.create` is one."""


@dataclass(frozen=True)
class Attributes:
    """What somebody wants to do; `namespace` and `name` empty mean all of them."""

    verb: str
    group: str
    version: str
    resource: str
    subresource: str = ""
    namespace: str = ""
    name: str = ""

    def told(self) -> dict[str, str]:
        return {key: value for key, value in vars(self).items() if value}


def route_path(path: str) -> str:
    """What the cluster is asked about a route of a service's own. Bare, `/api/...` is anybody's to read: the cluster's
    ClusterRole system:discovery gives `/api/*`, `/apis/*` and `/openapi/*` to all who are authenticated.
    """
    return f"/millstream{path}"


@dataclass(frozen=True)
class Path:
    """A request to what is no object: a service's own routes. `verb` is the HTTP method in lower case."""

    verb: str
    path: str

    def told(self) -> dict[str, str]:
        return {"path": self.path, "verb": self.verb}


class Reviews:
    """Asks with the service's own account."""

    def __init__(self, create: Create, clock: Clock) -> None:
        self._create = create
        self._rights: Remembered[tuple[User, Attributes | Path], bool] = Remembered(clock, GOOD_S)
        self._users: Remembered[bytes, User | None] = Remembered(clock, GOOD_S)

    async def allows(self, user: User, wanted: Attributes | Path) -> bool:
        """Whether the cluster's authorisers let `user` do it. Raises Unavailable."""
        return await self._rights.get((user, wanted), lambda: self._ask_rights(user, wanted))

    async def user_of(self, token: str) -> User:
        """Whom a bearer token speaks for. Raises Unauthorized, or Unavailable when nobody can tell."""
        if len(token) > MAX_TOKEN_BYTES:
            raise Unauthorized("the bearer token is too long")
        user = await self._users.get(hashlib.sha256(token.encode()).digest(), lambda: self._ask_user(token))
        if user is None:
            raise Unauthorized("the bearer token is not one of this cluster's")
        return user

    async def _ask_rights(self, user: User, wanted: Attributes | Path) -> bool:
        what = "resourceAttributes" if isinstance(wanted, Attributes) else "nonResourceAttributes"
        spec: dict[str, Any] = {"user": user.name, "groups": list(user.groups), what: wanted.told()}
        spec |= {"uid": user.uid} if user.uid else {}
        spec |= {"extra": {key: list(values) for key, values in user.extra}} if user.extra else {}
        status = await self._ask("authorization.k8s.io/v1", "SubjectAccessReview", spec)
        return status.get("allowed") is True and status.get("denied") is not True

    async def _ask_user(self, token: str) -> User | None:
        status = await self._ask("authentication.k8s.io/v1", "TokenReview", {"token": token})
        told = status.get("user") or {}
        if status.get("authenticated") is not True or not told.get("username"):
            return None
        extra = tuple((key, tuple(map(str, values or ()))) for key, values in sorted((told.get("extra") or {}).items()))
        groups = tuple(map(str, told.get("groups") or ()))
        return authenticated(User(str(told["username"]), groups, str(told.get("uid") or ""), extra))

    async def _ask(self, api_version: str, kind: str, spec: Mapping[str, Any]) -> dict[str, Any]:
        review = {"apiVersion": api_version, "kind": kind, "metadata": {}, "spec": spec}
        try:
            async with asyncio.timeout(ASK_S):
                answer = await self._create(review)
        except (ApiError, TimeoutError) as error:
            log.warning("%s: %s", kind, error or "no answer")
            raise Unavailable(f"the cluster's API server cannot be asked ({kind}): {error}", retry_after_s=1) from error
        status = answer.get("status")
        return status if isinstance(status, dict) else {}
