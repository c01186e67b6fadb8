"""Judges bearer tokens: the local one and the JWTs of configured issuers; the cluster judges the others."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jwt

from libs.base.clock import Clock
from libs.base.errors import Unauthorized
from libs.service.identity import User
from services.gateway.domain.options import Issuer

LEEWAY_S = 30
KEYS_AGE_S = 600.0
"""How old a key set may grow; an unknown key id makes it read again sooner, but not before KEYS_MIN_AGE_S."""
KEYS_MIN_AGE_S = 10.0
MAX_TOKEN_BYTES = 16_384
AUTHENTICATED = "system:authenticated"

Fetch = Callable[[str], Awaitable[str]]
"""The text at a URL; raises OSError."""
Review = Callable[[str], Awaitable[User]]
"""Whom the cluster says that a token speaks for; raises Unauthorized, or Unavailable when it cannot be asked."""


class KeySet:
    """The public keys of one issuer, from a URL, a file or the configuration."""

    def __init__(self, issuer: Issuer, fetch: Fetch, clock: Clock) -> None:
        self._issuer, self._fetch, self._clock = issuer, fetch, clock
        self._keys: dict[str | None, Any] = {}
        self._read_at = float("-inf")
        self._lock = asyncio.Lock()

    async def key(self, key_id: str | None) -> Any:
        """The key that a token names, or the only one. Raises Unauthorized."""
        async with self._lock:
            age = self._clock.monotonic() - self._read_at
            if age > KEYS_AGE_S or (key_id not in self._keys and age > KEYS_MIN_AGE_S):
                await self._read()
        if key_id is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        found = self._keys.get(key_id) or self._keys.get(None)
        if found is None:
            raise Unauthorized(f"the token's key {key_id!r} is not one of {self._issuer.issuer}")
        return found

    async def _read(self) -> None:
        self._read_at = self._clock.monotonic()
        try:
            self._keys = await self._load() or self._keys
        except (OSError, ValueError, KeyError, jwt.PyJWTError) as error:
            if not self._keys:
                raise Unauthorized(f"the keys of {self._issuer.issuer} cannot be read: {error}") from error

    async def _load(self) -> dict[str | None, Any]:
        if self._issuer.public_key:
            from cryptography.hazmat.primitives.serialization import load_pem_public_key

            return {None: load_pem_public_key(self._issuer.public_key.encode())}
        if self._issuer.jwks_file:
            text = await asyncio.to_thread(Path(self._issuer.jwks_file).read_text)
        else:
            text = await self._fetch(self._issuer.jwks_url or "")
        # A symmetric key ("oct") in a public key set would let every reader of it sign.
        usable = (each for each in json.loads(text)["keys"] if each.get("kty") != "oct" and each.get("use") != "enc")
        return {each.get("kid"): jwt.PyJWK(each).key for each in usable}


class BearerTokens:
    """See ports.Tokens."""

    def __init__(
        self,
        issuers: Sequence[Issuer],
        local_token: str | None,
        local_user: User,
        fetch: Fetch,
        clock: Clock,
        review: Review | None = None,
    ) -> None:
        self._local_token, self._local_user, self._clock, self._review = local_token, local_user, clock, review
        self._issuers = {issuer.issuer: (issuer, KeySet(issuer, fetch, clock)) for issuer in issuers}

    async def user_of(self, token: str) -> User:
        if len(token) > MAX_TOKEN_BYTES:
            raise Unauthorized("the bearer token is too long")
        if self._local_token and hmac.compare_digest(token.encode(), self._local_token.encode()):
            return self._local_user
        if self._review and self._issuer_of(token) is None:
            return await self._review(token)
        try:
            return await self._user_of_jwt(token)
        except jwt.PyJWTError as error:
            raise Unauthorized(f"the bearer token is not valid: {error}") from error

    def _issuer_of(self, token: str) -> str | None:
        """The configured issuer that an unverified token names, if any."""
        try:
            name = jwt.decode(token, options={"verify_signature": False}).get("iss")
        except jwt.PyJWTError:
            return None
        return name if isinstance(name, str) and name in self._issuers else None

    async def _user_of_jwt(self, token: str) -> User:
        issuer_name = jwt.decode(token, options={"verify_signature": False}).get("iss")
        known = self._issuers.get(issuer_name) if isinstance(issuer_name, str) else None
        if known is None:
            raise Unauthorized("the bearer token is from no issuer that is trusted here")
        issuer, keys = known
        key = await keys.key(jwt.get_unverified_header(token).get("kid"))
        checks: Any = {"verify_exp": False, "verify_nbf": False, "verify_iat": False, "require": ["exp", "iss", "aud"]}
        claims = jwt.decode(
            token,
            key,
            algorithms=list(issuer.algorithms),
            audience=issuer.audience,
            issuer=issuer.issuer,
            options=checks,
        )
        self._check_times(claims)
        return user_from(claims, issuer)

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        """By our clock rather than the library's."""
        now = self._clock.now().timestamp()
        try:
            expires, begins = float(claims["exp"]), float(claims.get("nbf", 0))
        except (TypeError, ValueError) as error:
            raise Unauthorized("the bearer token's times are not numbers") from error
        if now > expires + LEEWAY_S:
            raise Unauthorized("the bearer token has expired")
        if now < begins - LEEWAY_S:
            raise Unauthorized("the bearer token is not valid yet")


def user_from(claims: Mapping[str, Any], issuer: Issuer) -> User:
    """Name and groups by the issuer's claims; groups that only the platform itself may give are dropped."""
    name = claims.get(issuer.user_claim)
    if not isinstance(name, str) or not name:
        raise Unauthorized(f"the bearer token has no claim {issuer.user_claim!r}")
    told = claims.get(issuer.groups_claim) or ()
    groups = [told] if isinstance(told, str) else [str(each) for each in told] if isinstance(told, list) else []
    kept = tuple(group for group in groups if not group.startswith("system:"))
    prefixed = issuer.user_prefix + name
    if prefixed.startswith("system:"):
        raise Unauthorized("the bearer token names a user of the platform itself")
    return User(prefixed, (*kept, AUTHENTICATED))
