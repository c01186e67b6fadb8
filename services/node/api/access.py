"""Who is asking the node, and what they may do: the gateway's word, the home's token, or a service account."""

import hmac
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from libs.base.errors import Unauthorized
from libs.resources.kinds import Kind
from libs.service.identity import User
from services.node.api.tokens import AccountTokens, user_of

MASTERS, PLATFORM_ACCOUNTS = "system:masters", "system:serviceaccounts:millstream-system"
OWNER = User("millstream-owner", (MASTERS, "system:authenticated"))
StillThere = Callable[[dict[str, Any]], Awaitable[bool]]


def bearer(
    tokens: AccountTokens, owner_token: Callable[[], str | None], still_there: StillThere
) -> Callable[[Mapping[str, str]], Awaitable[User | None]]:
    """Reads `Authorization: Bearer`; a token of an account or pod that is gone is refused."""

    async def ask(headers: Mapping[str, str]) -> User | None:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            return None
        owner = owner_token()
        if owner and hmac.compare_digest(token.encode(), owner.encode()):
            return OWNER
        claims = tokens.read(token)
        if not await still_there(claims["kubernetes.io"]):
            raise Unauthorized("the service account or pod of this token is gone")
        return user_of(claims)

    return ask


async def authorize(user: Any, verb: str, kind: Kind, namespace: str, name: str) -> bool:
    """The platform's own accounts and the home's people may do everything, other accounts nothing."""
    groups = getattr(user, "groups", ())
    return MASTERS in groups or PLATFORM_ACCOUNTS in groups
