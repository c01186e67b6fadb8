"""What a service looks up when its figures are read, and not before: an idle service measures nothing."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from pathlib import Path

from libs import telemetry
from libs.base.settings import Settings
from libs.service.app import Ports

log = logging.getLogger(__name__)

Measure = Callable[[], Awaitable[None]]
"""Sets gauges to what is true now; raises when that cannot be told."""

MEASURE_TIMEOUT_S = 3.0
UNKNOWN = math.nan
"""What a gauge says while nobody can tell: no comparison with it holds, and a graph shows a gap."""

UNSAID = telemetry.gauge("outbox_unsaid_letters", "Letters that are committed and not yet said on the bus")
UNSAID_AGE = telemetry.gauge("outbox_oldest_unsaid_seconds", "Age of the oldest letter that is not yet said")
CONNECTED = telemetry.gauge("bus_connected", "1 while the broker can be spoken to")
PENDING = telemetry.gauge("bus_pending_messages", "Messages on the bus that were not yet brought to this service")
UNACKED = telemetry.gauge("bus_unacked_messages", "Messages in hand, or waiting for another try")
AGAIN = telemetry.gauge("bus_redelivered_messages", "Messages in hand that were brought more than once")
DEAD = telemetry.gauge("dead_letters_kept", "Dead letters of this service that nobody has replayed or discarded")
MESSAGES = telemetry.gauge("bus_stream_messages", "Messages that the stream of all services retains")
BYTES = telemetry.gauge("bus_stream_bytes", "Bytes that the stream of all services retains")
MISSING = telemetry.gauge("bus_stream_replicas_missing", "Copies of the stream that are away or behind")
EXPIRY = telemetry.gauge(
    "tls_certificate_expiry_timestamp_seconds", "When the certificate of the TLS listener ends, in Unix time"
)
FAILED = telemetry.counter("measure_failures", "Looks at figures that failed when they were read", ("part",))

_BUS = (PENDING, UNACKED, AGAIN, DEAD, MESSAGES, BYTES, MISSING)


def measures_of(ports: Ports, *, hears_or_says: bool) -> dict[str, Measure]:
    """The looks that every service takes, by name."""
    found: dict[str, Measure] = {"outbox": lambda: _outbox(ports)}
    if hears_or_says:
        found["bus"] = lambda: _bus(ports)
    if ports.controller is not None:
        found["controller"] = ports.controller.measure
    return {**found, **certificate_measure(ports.settings)}


def certificate_measure(settings: Settings) -> dict[str, Measure]:
    """Looks at the certificate of the TLS listener, where there is one."""
    return {"certificate": lambda: _certificate(Path(settings.tls_cert_file))} if settings.tls_port else {}


async def take(measures: Mapping[str, Measure]) -> None:
    """All of them at once; one that fails or hangs costs its own figures alone."""
    await asyncio.gather(*(_take(name, measure) for name, measure in measures.items()))


async def _take(name: str, measure: Measure) -> None:
    try:
        async with asyncio.timeout(MEASURE_TIMEOUT_S):
            await measure()
    except Exception as error:
        FAILED.labels(name).inc()
        log.info("the figures of %s cannot be told: %s: %s", name, type(error).__name__, error)


async def _outbox(ports: Ports) -> None:
    UNSAID.set(UNKNOWN)
    UNSAID_AGE.set(UNKNOWN)
    count, age_s = await ports.store.outbox.lag()
    UNSAID.set(count)
    UNSAID_AGE.set(age_s)


async def _bus(ports: Ports) -> None:
    bus = ports.bus
    CONNECTED.set(float(bus is not None and bus.connected))
    for meter in _BUS:
        meter.set(UNKNOWN)
    if bus is None or not bus.connected:
        return
    lag = await bus.lag()
    told = (lag.pending, lag.unacked, lag.redelivered, lag.dead, lag.stream_messages, lag.stream_bytes)
    for meter, value in zip(_BUS, (*told, lag.replicas_missing), strict=True):
        meter.set(value)


async def _certificate(path: Path) -> None:
    EXPIRY.set(UNKNOWN)
    EXPIRY.set((await asyncio.to_thread(_end_of, path)).timestamp())


def _end_of(path: Path) -> datetime:
    from cryptography.x509 import load_pem_x509_certificate

    return load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
