"""The shell's HTTP: identity first, limits, probes, errors as Status, and streams that end in good order."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from fastapi import APIRouter
from pydantic import BaseModel

from libs.base import Settings, SystemClock
from libs.service import identity
from libs.service.app import App, Given
from libs.service.identity import HEADER, Signer, User
from libs.service.manifest import Manifest
from libs.service.probes import Check, Probes
from libs.service.runner import listen, settings_of
from libs.service.shell import Refused, Service, serve
from tests.service.toy import toy_kind

PRIVATE, PUBLIC = identity.make_keys()
JOBS = "/apis/trainer.kubeflow.org/v1alpha1/namespaces/team/trainjobs"


class Order(BaseModel):
    count: int


def router() -> APIRouter:
    found = APIRouter()

    @found.post("/orders")
    async def order(order: Order) -> dict[str, int]:
        return {"count": order.count}

    @found.get("/broken")
    async def broken() -> None:
        raise RuntimeError("a secret detail")

    return found


def http_app() -> App:
    manifest = Manifest(name="toy", owns=("trainjobs.trainer.kubeflow.org/v1alpha1",), needs=("store",))
    return App(manifest=manifest, kinds=[toy_kind()], routers=lambda ports: [router()], max_body_bytes=100_000)


def settings(folder: Path, **more: object) -> Settings:
    given = {"service": "toy", "log_level": "critical", "identity_public_key": PUBLIC, **more}
    return Settings(store_url=f"sqlite:///{folder}/toy.db", **given)  # type: ignore[arg-type]


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    async with serve(http_app(), settings(tmp_path)) as found:
        yield found


@pytest.fixture
async def http(service: Service) -> AsyncIterator[aiohttp.ClientSession]:
    headers = {HEADER: Signer(PRIVATE, SystemClock()).sign(User("ada"))}
    async with listen(service.asgi, "127.0.0.1", 0) as url, aiohttp.ClientSession(url, headers=headers) as session:
        yield session
        service.begin_stop()


def job(name: str) -> dict[str, object]:
    return {"apiVersion": "trainer.kubeflow.org/v1alpha1", "kind": "TrainJob", "metadata": {"name": name}}


async def test_kinds_and_own_routes_are_served(http: aiohttp.ClientSession) -> None:
    assert (await http.post(JOBS, json=job("a"))).status == 201
    assert (await (await http.post("/orders", json={"count": 3})).json()) == {"count": 3}
    assert "/orders" in (await (await http.get("/openapi/toy.json")).json())["paths"]


async def test_without_identity_only_probes_answer(http: aiohttp.ClientSession) -> None:
    for path, code in {"/livez": 200, "/readyz": 200, "/metrics": 200, JOBS: 401, "/orders": 401, "/apis": 401}.items():
        assert (await http.get(path, headers={HEADER: "forged"})).status == code, path


@pytest.mark.parametrize(
    ("method", "path", "body", "code", "told"),
    [
        ("POST", "/orders", '{"count": "many"}', 422, "count"),
        ("POST", "/orders", "{", 400, "JSON"),
        ("GET", "/orders", "", 405, "GET"),
        ("GET", "/nowhere", "", 404, "/nowhere"),
        ("GET", "/broken", "", 500, "log"),
        ("POST", "/orders", "x" * 100_001, 413, "100000 bytes"),
    ],
)
async def test_every_error_is_a_status(
    http: aiohttp.ClientSession, method: str, path: str, body: str, code: int, told: str
) -> None:
    answer = await http.request(method, path, data=body, headers={"Content-Type": "application/json"})
    status = await answer.json()
    assert (answer.status, status["kind"], status["code"]) == (code, "Status", code)
    assert told in status["message"]
    assert "secret" not in status["message"]


async def test_a_body_without_length_is_limited_too(http: aiohttp.ClientSession) -> None:
    async def body() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 10_000

    assert (await http.post("/orders", data=body())).status == 413


async def test_a_stopping_service_is_not_ready_and_ends_its_watches_well(
    service: Service, http: aiohttp.ClientSession
) -> None:
    watching = await http.get(JOBS, params={"watch": "true"})
    await http.post(JOBS, json=job("a"))
    assert b'"ADDED"' in await watching.content.readline()
    began = time.monotonic()
    service.begin_stop()
    assert (await http.get("/readyz")).status == 503
    await watching.content.read()
    assert time.monotonic() - began < 3


async def test_readiness_names_what_is_wrong(service: Service, http: aiohttp.ClientSession) -> None:
    assert (await (await http.get("/readyz?strict")).json())["status"] == "ready"

    async def well() -> str:
        return "ok"

    async def away() -> str:
        raise ConnectionError("no route")

    async def ready(needed: Check, wished: Check, strict: bool) -> tuple[int, object]:
        code, body = await Probes(service.asgi, {"store": needed}, {"bus": wished}).readiness(strict=strict)
        return code, body["status"]

    assert await ready(well, away, False) == (200, "degraded")
    assert await ready(well, away, True) == (503, "degraded")
    assert await ready(away, well, False) == (503, "unready")


async def test_a_service_that_cannot_tell_who_asks_refuses_to_start(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="MILLSTREAM_IDENTITY_PUBLIC_KEY"):
        async with serve(http_app(), settings(tmp_path, identity_public_key=None)):
            raise AssertionError("it started")


def test_the_port_is_the_manifests_unless_the_environment_names_one() -> None:
    assert settings_of(http_app(), {}).port == 8080
    assert settings_of(http_app(), {"MILLSTREAM_PORT": "9"}).port == 9


async def test_a_loop_that_fails_is_started_again(tmp_path: Path) -> None:
    tries: list[int] = []
    done = asyncio.Event()

    async def flaky() -> None:
        tries.append(1)
        if len(tries) < 3:
            raise RuntimeError("not yet")
        done.set()
        await asyncio.Event().wait()

    app = http_app()
    app.background = lambda ports: [flaky]
    async with serve(app, settings(tmp_path), Given()) as service, asyncio.timeout(30):
        await done.wait()
        assert await service.tasks.check() == "ok"
