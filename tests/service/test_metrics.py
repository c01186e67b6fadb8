"""A service's figures: true when they are read, told apart by few words, and never the reason why a service fails."""

import asyncio
import math
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest

from libs.base import SystemClock
from libs.service.app import Given
from libs.service.identity import HEADER, Signer, User, make_keys
from libs.service.measures import certificate_measure
from libs.service.probes import Probes
from libs.service.runner import listen
from libs.service.shell import serve
from libs.testing.bus_server import NatsServer
from tests.aggregated import Authority
from tests.service.test_http import http_app
from tests.service.toy import HASTY, created, letter, settings, toy_app

PRIVATE, PUBLIC = make_keys()
CREATED = "training.trainjob.created.v1"
LINE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")
KINDS = "/apis/trainer.kubeflow.org/v1alpha1"


class Figures:
    """A page of metrics, read as Prometheus does."""

    def __init__(self, text: str) -> None:
        found = (LINE.match(line) for line in text.splitlines() if not line.startswith("#"))
        self.series = {(m[1], m[2] or ""): float(m[3]) for m in found if m}

    def of(self, name: str, **labels: str) -> float:
        """The sum of all series of that name with these labels; 0 without any."""
        wanted = {f'{key}="{value}"' for key, value in labels.items()}
        return sum(v for (n, told), v in self.series.items() if n == name and wanted <= set(told.split(",")))


async def read(http: aiohttp.ClientSession) -> Figures:
    return Figures(await (await http.get("/metrics")).text())


async def until(http: aiohttp.ClientSession, holds: Callable[[Figures], bool]) -> Figures:
    for _ in range(600):
        if holds(figures := await read(http)):
            return figures
        await asyncio.sleep(0.05)
    raise AssertionError("the figures never said so")


@pytest.fixture
async def http(tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    headers = {HEADER: Signer(PRIVATE, SystemClock()).sign(User("ada"))}
    async with (
        serve(http_app(), settings(tmp_path, insecure=False, identity_public_key=PUBLIC)) as toy,
        listen(toy.asgi, "127.0.0.1", 0) as url,
        aiohttp.ClientSession(url, headers=headers) as session,
    ):
        yield session
        toy.begin_stop()


def jobs(namespace: str, name: str = "") -> str:
    return f"{KINDS}/namespaces/{namespace}/trainjobs" + (f"/{name}" if name else "")


def job(name: str) -> dict[str, object]:
    return {"apiVersion": "trainer.kubeflow.org/v1alpha1", "kind": "TrainJob", "metadata": {"name": name}}


async def test_requests_are_told_apart_by_method_kind_and_code(http: aiohttp.ClientSession) -> None:
    before = await read(http)
    await http.post(jobs("team"), json=job("a"))
    await http.get(jobs("team", "a"))
    await http.get(jobs("team", "gone"))
    await http.post("/orders", json={"count": 1})
    after = await read(http)

    def more(**labels: str) -> float:
        name = "millstream_http_request_seconds_count"
        return after.of(name, **labels) - before.of(name, **labels)

    kind = "trainjobs.trainer.kubeflow.org"
    assert more(method="POST", route=kind, code="201") == 1
    assert more(method="GET", route=kind, code="200") == 1
    assert more(method="GET", route=kind, code="404") == 1
    assert more(method="POST", route="/orders", code="200") == 1
    assert after.of("millstream_store_commit_seconds_count") > before.of("millstream_store_commit_seconds_count")


async def test_many_objects_namespaces_and_wrong_paths_add_no_series(http: aiohttp.ClientSession) -> None:
    async def visit(mark: str, count: int) -> None:
        for number in range(count):
            await http.post(jobs(f"{mark}-{number}"), json=job(f"job-{number}"))
            await http.get(jobs(f"{mark}-{number}", f"job-{number}"))
            await http.get(jobs(f"{mark}-{number}", "not-there"))
            await http.get(f"/{mark}/{number}")
            await http.request(f"X{number}", "/orders")

    await visit("first", 1)
    before = set((await read(http)).series)
    await visit("more", 40)
    assert set((await read(http)).series) == before


async def test_an_open_watch_is_counted_and_not_timed(http: aiohttp.ClientSession) -> None:
    kind = "trainjobs.trainer.kubeflow.org"
    before = await read(http)
    async with http.get(jobs("team"), params={"watch": "true"}) as watch:
        assert watch.status == 200
        await until(http, lambda f: f.of("millstream_http_streams", route=kind) == 1)
    after = await until(http, lambda f: f.of("millstream_http_streams", route=kind) == 0)
    name = "millstream_http_request_seconds_count"
    assert after.of(name, route=kind) == before.of(name, route=kind)


async def test_what_is_not_said_shows_with_its_age_until_the_broker_is_there(nats: NatsServer, tmp_path: Path) -> None:
    nats.kill()
    async with (
        serve(toy_app(), settings(tmp_path, nats.url), Given(tuning=HASTY)) as toy,
        listen(toy.asgi, "127.0.0.1", 0) as url,
        aiohttp.ClientSession(url) as http,
    ):
        async with toy.ports.store.write() as uow:
            for name in ("a", "b"):
                uow.say(letter(created(name), f"id-{name}").to_dict(), f"millstream.{CREATED}.team")
        waiting = await until(http, lambda f: f.of("millstream_outbox_oldest_unsaid_seconds") > 0.1)
        assert waiting.of("millstream_outbox_unsaid_letters") == 2
        assert waiting.of("millstream_check_ok", check="bus") == 0
        assert waiting.of("millstream_check_ok", check="store") == 1
        assert waiting.of("millstream_bus_connected") == 0
        assert math.isnan(waiting.of("millstream_bus_pending_messages"))
        await nats.start()
        said = await until(http, lambda f: f.of("millstream_outbox_unsaid_letters") == 0)
        assert said.of("millstream_outbox_oldest_unsaid_seconds") == 0
        heard = await until(http, lambda f: f.of("millstream_letters_total", type=CREATED, outcome="handled") >= 2)
        assert heard.of("millstream_letter_age_seconds_count", type=CREATED) >= 2
        well = await until(http, lambda f: f.of("millstream_bus_connected") == 1)
        assert well.of("millstream_bus_stream_messages") >= 2
        assert well.of("millstream_bus_stream_replicas_missing") == 0


async def test_dead_letters_show_by_the_sort_of_reason_and_as_long_as_they_are_kept(
    nats: NatsServer, tmp_path: Path
) -> None:
    async with (
        serve(toy_app(), settings(tmp_path, nats.url), Given(tuning=HASTY)) as toy,
        listen(toy.asgi, "127.0.0.1", 0) as url,
        aiohttp.ClientSession(url) as http,
    ):
        await until(http, lambda f: f.of("millstream_check_ok", check="bus") == 1)
        bus = toy.ports.bus
        assert bus is not None
        before = await read(http)
        await bus.publish(f"millstream.{CREATED}.team", b"no letter", headers={}, msg_id="1")
        dead = await until(http, lambda f: f.of("millstream_dead_letters_kept") == 1)
        name = "millstream_dead_letters_total"
        assert dead.of(name, reason="malformed") - before.of(name, reason="malformed") == 1
        await bus.discard((await bus.dead_letters())[0].seq)
        await until(http, lambda f: f.of("millstream_dead_letters_kept") == 0)


async def test_the_end_of_the_certificate_shows_while_it_can_be_read(tmp_path: Path) -> None:
    certificate, _ = Authority("millstream").issue("toy", ends=timedelta(days=30)).write(tmp_path)
    given = settings(tmp_path, tls_port=8443, tls_cert_file=certificate)
    probes = Probes(_nothing, {}, {}, certificate_measure(given))
    name = "millstream_tls_certificate_expiry_timestamp_seconds"
    async with listen(probes, "127.0.0.1", 0) as url, aiohttp.ClientSession(url) as http:
        assert 29 * 86400 < (await read(http)).of(name) - time.time() < 31 * 86400
        await asyncio.to_thread(Path(certificate).write_text, "garbage")
        assert math.isnan((await read(http)).of(name))


async def test_a_look_that_fails_or_hangs_costs_its_own_figures_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hangs() -> None:
        await asyncio.sleep(60)

    async def fails() -> None:
        raise RuntimeError("the database is away")

    async def well() -> str:
        return "ok"

    monkeypatch.setattr("libs.service.measures.MEASURE_TIMEOUT_S", 0.2)
    looks: dict[str, Callable[[], Awaitable[None]]] = {"hangs": hangs, "fails": fails}
    probes = Probes(_nothing, {"here": well}, {}, looks)
    async with listen(probes, "127.0.0.1", 0) as url, aiohttp.ClientSession(url) as http:
        figures = await read(http)
    assert figures.of("millstream_measure_failures_total", part="hangs") == 1
    assert figures.of("millstream_measure_failures_total", part="fails") == 1
    assert figures.of("millstream_check_ok", check="here") == 1


async def _nothing(scope: object, receive: object, send: object) -> None:
    raise AssertionError("only the probes are asked")
