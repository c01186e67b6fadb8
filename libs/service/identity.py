"""Who is asking: signs and verifies the identity the gateway hands on; trusts no header its key did not sign."""

import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from libs.base.clock import Clock
from libs.base.errors import ApiError, Unauthorized
from libs.service.asgi import ASGIApp, Receive, Scope, Send, header, headers_of, send_error
from libs.service.manifest import RoutePattern
from libs.service.peers import is_tls

HEADER = "X-Millstream-Identity"
AUDIENCE = "millstream"
LIFETIME_S = 300
LEEWAY_S = 30
PROBES = frozenset({"/livez", "/readyz", "/healthz", "/metrics"})

_PUBLIC_KEY = re.compile(r"-----BEGIN PUBLIC KEY-----.+?-----END PUBLIC KEY-----", re.DOTALL)
_REMEMBERED = 4096
_REFRESH_BEFORE_S = 120

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True)
class User:
    """An authenticated caller: the name and the groups that authorisation decides by, and what else a cluster knows
    of it (`uid`, `extra`), which its authorisers may ask for.
    """

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()


ANONYMOUS = User("system:anonymous", ("system:unauthenticated",))
INSECURE = User("system:insecure", ("system:masters", "system:authenticated"))

FrontDoor = Callable[[Scope], Awaitable[User | None]]
"""Says whom a request of the TLS listener speaks for, None without any credential; raises Unauthorized."""
Authenticator = Callable[[Mapping[str, str]], Awaitable[User | None]]
"""Says whom a request's headers (lower-case names) speak for, None if it cannot tell; raises Unauthorized."""


class Signer:
    """Signs identities with an Ed25519 key (PEM); a token is reused until it is about to expire."""

    def __init__(self, private_pem: str, clock: Clock) -> None:
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        self._key: Any = load_pem_private_key(private_pem.encode(), password=None)
        self._clock = clock
        self._made: OrderedDict[User, tuple[str, float]] = OrderedDict()

    def sign(self, user: User) -> str:
        """A JWT (EdDSA) {sub, groups, aud, iat, exp} good for at most LIFETIME_S seconds; uid and extra where known."""
        now = self._clock.now().timestamp()
        token, expires = self._made.get(user, ("", 0.0))
        if now < expires - _REFRESH_BEFORE_S:
            return token
        return _remember(self._made, user, self._fresh(user, now))[0]

    def _fresh(self, user: User, now: float) -> tuple[str, float]:
        import jwt

        claims: dict[str, Any] = {"sub": user.name, "groups": list(user.groups), "aud": AUDIENCE, "iat": int(now)}
        claims |= {"uid": user.uid} if user.uid else {}
        claims |= {"extra": {key: list(values) for key, values in user.extra}} if user.extra else {}
        expires = int(now) + LIFETIME_S
        return jwt.encode({**claims, "exp": expires}, self._key, algorithm="EdDSA"), float(expires)


class Verifier:
    """Checks identities against the gateway's public keys; remembers those it has seen.

    The PEM text may hold several keys: while one follows the other, both are believed. Raises ValueError for none.
    """

    def __init__(self, public_pem: str, clock: Clock) -> None:
        from cryptography.hazmat.primitives.serialization import load_pem_public_key

        self._keys: list[Any] = [load_pem_public_key(each.encode()) for each in _PUBLIC_KEY.findall(public_pem)]
        if not self._keys:
            raise ValueError("there is no public key in PEM form")
        self._clock = clock
        self._known: OrderedDict[str, tuple[User, float]] = OrderedDict()

    def verify(self, token: str) -> User:
        """Whom `token` names; Unauthorized when it is forged, foreign, expired or not yet valid."""
        now = self._clock.now().timestamp()
        known = self._known.get(token) or self._decode(token, now)
        if now > known[1] + LEEWAY_S:
            raise Unauthorized("the identity has expired; ask through the gateway")
        return _remember(self._known, token, known)[0]

    def _decode(self, token: str, now: float) -> tuple[User, float]:
        import jwt

        checks: Any = {"verify_exp": False, "verify_iat": False, "require": ["sub", "iat", "exp"]}
        why: Exception | None = None
        for key in self._keys:
            try:
                claims = jwt.decode(token, key, algorithms=["EdDSA"], audience=AUDIENCE, options=checks)
            except jwt.PyJWTError as error:
                why = error
            else:
                return _read_claims(claims, now)
        raise Unauthorized(f"the identity is not the gateway's: {why}") from why


def _read_claims(claims: Mapping[str, Any], now: float) -> tuple[User, float]:
    try:
        issued, expires = float(claims["iat"]), float(claims["exp"])
        groups = tuple(str(group) for group in claims.get("groups") or ())
        extra = tuple((key, tuple(map(str, values))) for key, values in (claims.get("extra") or {}).items())
        user = User(str(claims["sub"]), groups, str(claims.get("uid") or ""), extra)
    except (TypeError, ValueError, AttributeError) as error:
        raise Unauthorized("the identity's claims are not readable") from error
    if issued > now + LEEWAY_S or expires - issued > LIFETIME_S:
        raise Unauthorized(f"the identity must be issued in the past and live at most {LIFETIME_S} s")
    return user, expires


def _remember(known: "OrderedDict[K, V]", key: K, value: V) -> V:
    known[key] = value
    known.move_to_end(key)
    if len(known) > _REMEMBERED:
        known.popitem(last=False)
    return value


def make_keys() -> tuple[str, str]:
    """A new Ed25519 pair as PEM texts (private, public), from the operating system's randomness as a key must be."""
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    public = key.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


class IdentityMiddleware:
    """Sets `request.state.user`, or answers 401 (503 when nobody can tell).

    `verifier` None means no key is known (tests only): everyone is INSECURE. `open_routes` check a credential of their
    own; there the user is ANONYMOUS unless an identity came along. `also` is asked when no identity header is present.
    On the TLS listener `front` alone says who asks: no header of the gateway's counts there, and nobody is INSECURE.
    """

    def __init__(
        self,
        app: ASGIApp,
        verifier: Verifier | None,
        *,
        open_routes: Sequence[RoutePattern] = (),
        open_paths: frozenset[str] = PROBES,
        also: Sequence[Authenticator] = (),
        front: FrontDoor | None = None,
    ) -> None:
        self._app, self._verifier, self._also, self._front = app, verifier, tuple(also), front
        self._open_routes, self._open_paths = tuple(open_routes), open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        try:
            user = await self._who(scope)
        except ApiError as error:
            return await _refuse(scope, send, error)
        scope.setdefault("state", {})["user"] = user
        await self._app(scope, receive, send)

    async def _who(self, scope: Scope) -> User:
        if is_tls(scope):
            return await self._who_in_front(scope)
        token = header(scope, HEADER.lower().encode())
        if token and self._verifier:
            return self._verifier.verify(token)
        for ask in self._also:
            if user := await ask(headers_of(scope)):
                return user
        if self._is_open(scope):
            return ANONYMOUS
        if self._verifier is None:
            return INSECURE
        raise Unauthorized(f"no {HEADER}: ask through the gateway")

    async def _who_in_front(self, scope: Scope) -> User:
        if self._is_open(scope):
            return ANONYMOUS
        if self._front and (user := await self._front(scope)):
            return user
        raise Unauthorized("no credential: ask through the cluster's API server")

    def _is_open(self, scope: Scope) -> bool:
        path, method = scope["path"], scope.get("method", "GET")
        return path in self._open_paths or any(route.matches(method, path) for route in self._open_routes)


async def _refuse(scope: Scope, send: Send, error: ApiError) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": error.message})
    else:
        await send_error(send, error)
