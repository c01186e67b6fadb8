"""A real collector gets the spans of services, and one trace leads through HTTP, the store and the bus."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from contracts.envelope import structured, subject_for
from libs.base import SystemClock, SystemIds
from libs.bus import Bus
from libs.testing.bus_server import NatsServer
from tests.platform import free_ports
from tests.service.test_metrics import job, jobs
from tests.service.toy import Heard, created, hearing, letter

PROGRAM = Path(__file__).with_name("toy_main.py")
TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{CALLER}-01"


@dataclass(frozen=True)
class Span:
    service: str
    name: str
    trace: str
    id: str
    parent: str
    attributes: dict[str, str]


@dataclass
class Collector:
    """What OTLP over HTTP brought, decoded by the protocol's own messages."""

    url: str = ""
    spans: list[Span] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        for resource in ExportTraceServiceRequest.FromString(await request.read()).resource_spans:
            service = {a.key: a.value.string_value for a in resource.resource.attributes}["service.name"]
            for span in (span for scope in resource.scope_spans for span in scope.spans):
                told = {a.key: a.value.string_value for a in span.attributes}
                ids = (each.hex() for each in (span.trace_id, span.span_id, span.parent_span_id))
                self.spans.append(Span(service, span.name, *ids, told))
        return web.Response()

    async def span(self, name: str) -> Span:
        for _ in range(600):
            if found := [span for span in self.spans if span.name == name]:
                return found[-1]
            await asyncio.sleep(0.05)
        raise AssertionError(f"no span {name!r} came; there are {[span.name for span in self.spans]}")


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    found, app = Collector(), web.Application()
    app.router.add_post("/v1/traces", found.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield found
    await runner.cleanup()


@pytest.fixture
async def bus(nats: NatsServer) -> AsyncIterator[Bus]:
    clock = SystemClock()
    found = await Bus.connect(nats.url, service="test", clock=clock, ids=SystemIds(clock))
    await found.ensure("test", [])
    yield found
    await found.close()


@asynccontextmanager
async def toy(nats: NatsServer, folder: Path, collector: Collector | None) -> AsyncIterator[str]:
    """The toy service as a process, and its address; ended by SIGTERM, so that it sends what it holds."""
    port = free_ports(1)[0]
    environ = {
        "PATH": os.environ["PATH"],
        "MILLSTREAM_STORE_URL": f"sqlite:///{folder}/toy.db",
        "MILLSTREAM_NATS_URL": nats.url,
        "MILLSTREAM_INSECURE": "true",
        "MILLSTREAM_PORT": str(port),
        "MILLSTREAM_LOG_LEVEL": "error",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
    }
    if collector is not None:
        environ["MILLSTREAM_OTLP_ENDPOINT"] = collector.url
    process = await asyncio.create_subprocess_exec(sys.executable, PROGRAM, "never", folder / "x", env=environ)
    url = f"http://127.0.0.1:{port}"
    try:
        await _ready(url)
        yield url
    finally:
        process.terminate()
        await process.wait()


async def _ready(url: str) -> None:
    async with aiohttp.ClientSession() as http:
        for _ in range(300):
            try:
                if (await http.get(f"{url}/readyz?strict")).status == 200:
                    return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)
    raise AssertionError("the toy never became ready")


async def remove_a_job(url: str, **headers: str) -> None:
    async with aiohttp.ClientSession(url, headers=headers) as http:
        assert (await http.post(jobs("team"), json=job("a"))).status == 201
        assert (await http.delete(jobs("team", "a"))).status == 200


async def said(heard: Heard, type: str) -> str:
    return str((await heard.wait(type))[0].get("traceparent"))


async def test_a_request_and_the_event_that_follows_from_it_are_of_the_callers_trace(
    collector: Collector, nats: NatsServer, bus: Bus, tmp_path: Path
) -> None:
    async with toy(nats, tmp_path, collector) as url, hearing(bus) as heard:
        await remove_a_job(url, traceparent=PARENT)
        request = await collector.span("DELETE trainjobs.trainer.kubeflow.org")
        assert (request.service, request.trace, request.parent) == ("toy", TRACE, CALLER)
        assert request.attributes["http.response.status_code"] == "200"
        assert (await said(heard, "training.trainjob.deleted.v1")).split("-")[1:3] == [TRACE, request.id]


async def test_a_letters_trace_goes_on_through_its_handler_into_what_it_says(
    collector: Collector, nats: NatsServer, bus: Bus, tmp_path: Path
) -> None:
    async with toy(nats, tmp_path, collector), hearing(bus) as heard:
        message = created("traced")
        sent = letter(message, "letter-1").model_copy(update={"traceparent": PARENT})
        headers, data = structured(sent)
        await bus.publish(subject_for(message.type, message.namespace), data, headers=headers, msg_id="letter-1")
        handling = await collector.span(f"hear {message.type}")
        assert (handling.trace, handling.parent) == (TRACE, CALLER)
        assert handling.attributes["messaging.message.id"] == "letter-1"
        assert (await said(heard, "scheduling.workload.admitted.v1")).split("-")[1:3] == [TRACE, handling.id]


async def test_without_a_collector_a_callers_trace_still_goes_on_and_nothing_else_is_traced(
    nats: NatsServer, bus: Bus, tmp_path: Path
) -> None:
    async with toy(nats, tmp_path, None) as url, hearing(bus) as heard:
        await remove_a_job(url, traceparent=PARENT)
        assert (await said(heard, "training.trainjob.deleted.v1")).split("-")[1] == TRACE
        await remove_a_job(url)
        letters = await heard.wait("training.trainjob.deleted.v1", 2)
        assert "traceparent" not in letters[1]
