"""Who is asking the node, and what they may do: the gateway's word, the home's token, or a service account."""

import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from libs.base.errors import Unauthorized
from libs.resources.kinds import Kind, Right
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


@dataclass(frozen=True)
class Wish:
    """What somebody wants to do; empty `namespace` and `name` mean all of them."""

    verb: str
    group: str
    plural: str
    namespace: str = ""
    name: str = ""

    @classmethod
    def of(cls, attributes: Mapping[str, Any]) -> "Wish":
        """From the resourceAttributes of a review."""
        words = ("verb", "group", "resource", "namespace", "name")
        return cls(*(str(attributes.get(word) or "") for word in words))


class Access:
    """Decides by group and account; the rules of the platform's own accounts come from their services' manifests.

    The home's people may do everything. Whoever shows no credential but sits on this machine (the gateway's local
    user) may be a user's pod: it may do everything but reach into the platform, whose Secrets stay closed to it.
    `own` are the node's kinds; what is of others' is the platform's only inside its namespace.
    """

    def __init__(self, manifests: Sequence[Manifest], own: Sequence[Kind] = ()) -> None:
        self._rules: Mapping[str, list[Rule]] = {ACCOUNT_OF_PLATFORM + each.name: rules(each) for each in manifests}
        self._scopes = {(kind.group, kind.plural): kind.namespaced for kind in own}

    async def __call__(
        self, user: Any, verb: str, kind: Kind | Right, namespace: str, name: str, part: str = ""
    ) -> bool:
        return self._decide(user, Wish(verb, kind.group, kind.plural, namespace, name), kind.namespaced)

    def allows(self, user: Any, wish: Wish) -> bool:
        """The same for a kind that may be another's, as a review asks."""
        namespaced = self._scopes.get((wish.group, wish.plural))
        if namespaced is None and LOCAL in getattr(user, "groups", ()):
            return wish.namespace != PLATFORM or wish.verb in READ
        return self._decide(user, wish, bool(namespaced))

    def _decide(self, user: Any, wish: Wish, namespaced: bool) -> bool:
        groups = getattr(user, "groups", ())
        if MASTERS in groups:
            return True
        secret = wish.group == "" and wish.plural == "secrets"
        if LOCAL in groups:
            return (
                not _within_platform(wish, namespaced)
                if wish.verb not in READ
                else not (secret and wish.namespace in ("", PLATFORM))
            )
        if is_platform(user) and wish == TRUST:
            return True
        granted = self._rules.get(getattr(user, "name", ""), [])
        return allow(granted, wish.verb, wish.group, wish.plural) and not (secret and wish.namespace == PLATFORM)


TRUST = Wish("get", "", "configmaps", "kube-system", "extension-apiserver-authentication")
"""What every service of the platform may read, as the Role extension-apiserver-authentication-reader lets it."""


def is_platform(user: Any) -> bool:
    """Whether it is a service of the platform, or the home's owner."""
    return MASTERS in getattr(user, "groups", ()) or getattr(user, "name", "").startswith(ACCOUNT_OF_PLATFORM)


def _within_platform(wish: Wish, namespaced: bool) -> bool:
    """Whether a change of this would change the platform: a namespace's own, or everything of a kind at once."""
    if namespaced:
        return wish.namespace in ("", PLATFORM)
    return wish.plural != "namespaces" or wish.name in ("", PLATFORM)
