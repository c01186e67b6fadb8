"""Who is asking the node, and what they may do: the gateway's word, the home's token, or a service account."""

import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from libs.base.errors import Unauthorized
from libs.resources.kinds import Kind
from libs.service.identity import User
from libs.service.manifest import Manifest
from libs.service.roles import READ, Rule, allow, rules
from services.node.api.tokens import AccountTokens, user_of

PLATFORM = "millstream-system"
MASTERS, LOCAL = "system:masters", "millstream:local"
ACCOUNT_OF_PLATFORM = f"system:serviceaccount:{PLATFORM}:"
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


class Access:
    """Decides by group and account; the rules of the platform's own accounts come from their services' manifests.

    The home's people may do everything. Whoever shows no credential but sits on this machine (the gateway's local
    user) may be a user's pod: it may do everything but reach into the platform, whose Secrets stay closed to it.
    """

    def __init__(self, manifests: Sequence[Manifest]) -> None:
        self._rules: Mapping[str, list[Rule]] = {ACCOUNT_OF_PLATFORM + each.name: rules(each) for each in manifests}

    async def __call__(self, user: Any, verb: str, kind: Kind, namespace: str, name: str, part: str = "") -> bool:
        groups = getattr(user, "groups", ())
        if MASTERS in groups:
            return True
        secret = kind.group == "" and kind.plural == "secrets"
        if LOCAL in groups:
            return (
                not _within_platform(kind, namespace, name)
                if verb not in READ
                else not (secret and namespace in ("", PLATFORM))
            )
        granted = self._rules.get(getattr(user, "name", ""), [])
        return allow(granted, verb, kind.group, kind.plural) and not (secret and namespace == PLATFORM)


def _within_platform(kind: Kind, namespace: str, name: str) -> bool:
    """Whether a change of this would change the platform: a namespace's own, or everything of a kind at once."""
    if kind.namespaced:
        return namespace in ("", PLATFORM)
    return kind.plural != "namespaces" or name in ("", PLATFORM)
