"""An identity is what the gateway's key signed, for a short time, and nothing else."""

import time
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from libs.base import Unauthorized
from libs.service import identity
from libs.service.identity import HEADER, IdentityMiddleware, Signer, User, Verifier
from libs.service.manifest import RoutePattern

ADA = User("ada", ("team-a", "system:authenticated"))
PRIVATE, PUBLIC = identity.make_keys()


class Hands:
    """A clock moved by hand."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 22, 10, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()

    async def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


def test_the_verifier_reads_what_the_signer_wrote() -> None:
    clock = Hands()
    assert Verifier(PUBLIC, clock).verify(Signer(PRIVATE, clock).sign(ADA)) == ADA


def test_an_identity_expires_even_when_it_is_remembered() -> None:
    clock = Hands()
    verifier, token = Verifier(PUBLIC, clock), Signer(PRIVATE, clock).sign(ADA)
    assert verifier.verify(token) == ADA
    clock.time += timedelta(seconds=identity.LIFETIME_S + identity.LEEWAY_S + 1)
    with pytest.raises(Unauthorized, match="expired"):
        verifier.verify(token)


def test_while_one_key_follows_the_other_both_are_believed_and_afterwards_only_the_new_one() -> None:
    clock, (next_private, next_public) = Hands(), identity.make_keys()
    before, after = Signer(PRIVATE, clock).sign(ADA), Signer(next_private, clock).sign(ADA)
    for announced in (PUBLIC + next_public, next_public + PUBLIC):
        verifier = Verifier(announced, clock)
        assert verifier.verify(before) == verifier.verify(after) == ADA
    with pytest.raises(Unauthorized, match="not the gateway's"):
        Verifier(PUBLIC, clock).verify(after)
    with pytest.raises(Unauthorized, match="not the gateway's"):
        Verifier(next_public, clock).verify(before)


def test_a_text_without_a_public_key_is_refused_at_the_start() -> None:
    for text in ("", "not a key", PRIVATE):
        with pytest.raises(ValueError, match="no public key"):
            Verifier(text, Hands())


def test_a_signer_reuses_a_token_only_while_it_is_good_for_long() -> None:
    clock = Hands()
    signer = Signer(PRIVATE, clock)
    first = signer.sign(ADA)
    assert signer.sign(ADA) == first
    clock.time += timedelta(seconds=200)
    assert signer.sign(ADA) != first


def claims(**changes: object) -> dict[str, object]:
    now = int(Hands().now().timestamp())
    return {"sub": "ada", "groups": [], "aud": "millstream", "iat": now, "exp": now + 300, **changes}


FORGERIES = {
    "another key": jwt.encode(claims(), identity.make_keys()[0], algorithm="EdDSA"),
    "no signature": jwt.encode(claims(), None, algorithm="none"),
    "the public key used as a shared secret": jwt.encode(claims(), "x" * 32, algorithm="HS256"),
    "another audience": jwt.encode(claims(aud="elsewhere"), PRIVATE, algorithm="EdDSA"),
    "no expiry": jwt.encode({k: v for k, v in claims().items() if k != "exp"}, PRIVATE, algorithm="EdDSA"),
    "a life too long": jwt.encode(claims(exp=int(time.time()) + 10**9), PRIVATE, algorithm="EdDSA"),
    "issued in the future": jwt.encode(
        claims(iat=int(Hands().now().timestamp()) + 3600, exp=int(Hands().now().timestamp()) + 3700),
        PRIVATE,
        algorithm="EdDSA",
    ),
    "not a token": "abc.def",
}


@pytest.mark.parametrize("token", FORGERIES.values(), ids=FORGERIES.keys())
def test_a_forged_identity_is_refused(token: str) -> None:
    with pytest.raises(Unauthorized):
        Verifier(PUBLIC, Hands()).verify(token)


def client(verifier: Verifier | None, *open_routes: str) -> TestClient:
    async def who(request: Request) -> JSONResponse:
        return JSONResponse({"name": request.state.user.name, "groups": request.state.user.groups})

    app = Starlette(routes=[Route("/{rest:path}", who, methods=["GET", "POST"])])
    routes = [RoutePattern(text) for text in open_routes]
    return TestClient(IdentityMiddleware(app, verifier, open_routes=routes))


def test_a_request_without_identity_gets_a_401_status() -> None:
    answer = client(Verifier(PUBLIC, Hands())).get("/apis")
    assert answer.status_code == 401
    assert answer.json()["kind"] == "Status"
    assert answer.json()["reason"] == "Unauthorized"


def test_a_request_with_two_identities_gets_a_401() -> None:
    token = Signer(PRIVATE, Hands()).sign(ADA)
    answer = client(Verifier(PUBLIC, Hands())).get("/apis", headers=[(HEADER, token), (HEADER, token)])
    assert answer.status_code == 401


def test_the_handler_sees_the_user() -> None:
    token = Signer(PRIVATE, Hands()).sign(ADA)
    answer = client(Verifier(PUBLIC, Hands())).get("/apis", headers={HEADER: token})
    assert answer.json() == {"name": "ada", "groups": ["team-a", "system:authenticated"]}


def test_probes_and_self_authenticated_routes_need_none() -> None:
    asking = client(Verifier(PUBLIC, Hands()), "POST /jobs/{name}/progress")
    assert asking.get("/readyz").status_code == 200
    assert asking.post("/jobs/digits/progress").json()["name"] == "system:anonymous"
    assert asking.get("/jobs/digits/progress").status_code == 401


def test_a_forged_identity_is_refused_on_open_routes_too() -> None:
    answer = client(Verifier(PUBLIC, Hands()), "/open").get("/open", headers={HEADER: FORGERIES["another key"]})
    assert answer.status_code == 401
