"""A bearer token is believed when an issuer we were told of signed it for us, for now."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from libs.base import SystemClock
from libs.service.identity import Verifier
from tests.gateway.world import LOCAL_TOKEN, PUBLIC, World, world

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
ISSUER = {
    "issuer": "https://id.example.org",
    "audience": "millstream",
    "user_claim": "email",
    "public_key": PEM.decode(),
}


def claims(**changes: Any) -> dict[str, Any]:
    now = datetime.now(UTC)
    given = {
        "iss": "https://id.example.org",
        "aud": "millstream",
        "sub": "1",
        "email": "ada@example.org",
        "groups": ["team-a", "system:masters"],
        "exp": now + timedelta(minutes=5),
        **changes,
    }
    return {name: value for name, value in given.items() if value is not None}


def signed(**changes: Any) -> str:
    return jwt.encode(claims(**changes), KEY, algorithm="RS256")


@pytest.fixture
async def gate(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path, local_user=False, issuers=(ISSUER,)) as found:
        yield found


async def ask(gate: World, authorization: str | None) -> tuple[int, dict[str, Any], Any]:
    async with aiohttp.ClientSession(gate.url) as http:
        headers = {"Authorization": authorization} if authorization else {}
        answer = await http.get("/api/v1/pods", headers=headers)
        return answer.status, await answer.json(), answer.headers


async def test_a_signed_token_becomes_an_identity_without_groups_it_may_not_give(gate: World) -> None:
    code, told, _ = await ask(gate, f"Bearer {signed()}")
    assert code == 200
    user = Verifier(PUBLIC, SystemClock()).verify(dict(told["headers"])["x-millstream-identity"])
    assert (user.name, user.groups) == ("ada@example.org", ("team-a", "system:authenticated"))


async def test_the_local_token_is_the_local_user(gate: World) -> None:
    code, _, _ = await ask(gate, f"Bearer {LOCAL_TOKEN}")
    assert code == 200


def hs256_with_public_key() -> str:
    """The confusion attack: the public key used as a shared secret (built by hand, since PyJWT refuses to)."""
    import base64
    import hmac

    def part(value: Any) -> bytes:
        return base64.urlsafe_b64encode(json.dumps(value, default=lambda t: int(t.timestamp())).encode()).rstrip(b"=")

    body = part({"alg": "HS256", "typ": "JWT"}) + b"." + part(claims())
    tag = base64.urlsafe_b64encode(hmac.digest(PEM, body, "sha256")).rstrip(b"=")
    return (body + b"." + tag).decode()


BAD = {
    "nothing": None,
    "another scheme": "Basic YWRhOnNlY3JldA==",
    "an empty token": "Bearer ",
    "no token at all": "Bearer not-a-jwt",
    "expired": f"Bearer {signed(exp=datetime.now(UTC) - timedelta(hours=1))}",
    "not valid yet": f"Bearer {signed(nbf=datetime.now(UTC) + timedelta(hours=1))}",
    "without an expiry": f"Bearer {signed(exp=None)}",
    "for another audience": f"Bearer {signed(aud='elsewhere')}",
    "of an unknown issuer": f"Bearer {signed(iss='https://evil.example')}",
    "without the user claim": f"Bearer {signed(email=None)}",
    "naming the platform itself": f"Bearer {signed(email='system:admin')}",
    "signed by another key": f"Bearer {jwt.encode(claims(), OTHER, algorithm='RS256')}",
    "unsigned": f"Bearer {jwt.encode(claims(), None, algorithm='none')}",
    "signed with the public key": f"Bearer {hs256_with_public_key()}",
    "far too long": "Bearer " + "x" * 20_000,
}


async def test_every_bad_credential_is_a_401_status(gate: World) -> None:
    for name, authorization in BAD.items():
        code, told, headers = await ask(gate, authorization)
        assert (code, told.get("kind"), told.get("reason")) == (401, "Status", "Unauthorized"), name
        assert headers["WWW-Authenticate"] == "Bearer", name
    assert gate.node.asked == []


async def test_keys_are_read_from_a_file_and_read_again_when_they_turn(tmp_path: Path) -> None:
    from jwt.algorithms import RSAAlgorithm

    from services.gateway.adapters.tokens import BearerTokens, Unauthorized, User
    from services.gateway.domain.options import Issuer

    class Later(SystemClock):
        seconds = 100.0

        def monotonic(self) -> float:
            return self.seconds

    def publish(key: rsa.RSAPrivateKey, name: str) -> None:
        entry = {**json.loads(RSAAlgorithm.to_jwk(key.public_key())), "kid": name}
        (tmp_path / "jwks.json").write_text(json.dumps({"keys": [entry]}))

    async def no_fetch(url: str) -> str:
        raise OSError(url)

    publish(KEY, "old")
    clock = Later()
    issuer = Issuer(issuer="https://id.example.org", audience="millstream", jwks_file=str(tmp_path / "jwks.json"))
    tokens = BearerTokens([issuer], None, User("local"), no_fetch, clock)
    old = jwt.encode(claims(), KEY, algorithm="RS256", headers={"kid": "old"})
    new = jwt.encode(claims(), OTHER, algorithm="RS256", headers={"kid": "new"})
    assert (await tokens.user_of(old)).name == "1"
    publish(OTHER, "new")
    with pytest.raises(Unauthorized, match="key 'new'"):
        await tokens.user_of(new)
    clock.seconds += 11
    assert (await tokens.user_of(new)).name == "1"
