"""Whether the broker's disk has a message before its ack: asked of its monitoring page, the one place that says it.

NATS acknowledges before fsync unless `sync_interval: always` is set, and flushes every two minutes
(https://jepsen.io/analyses/nats-2.12.1). Neither JetStream's API nor the INFO line shows the setting.
"""

import asyncio
import json
import logging
import ssl
from urllib.parse import urlsplit

from libs.bus.errors import Unsafe
from libs.bus.trust import Trust
from libs.bus.tuning import Tuning
from libs.telemetry import gauge

LOG = logging.getLogger(__name__)
ASK_S = 3.0
DURABLE = gauge("bus_durable", "1 where the broker was seen to sync before it acknowledges, 0 where not or unknown")
ADVICE = "set `jetstream { sync_interval: always }` in its configuration"


async def check(monitor_url: str | None, tuning: Tuning, ca_file: str | None = None) -> None:
    """Warns of a broker whose acks a power cut can undo, or raises :class:`Unsafe`, as `tuning.durability` says."""
    if tuning.durability == "ignore":
        return
    finding = await _finding(monitor_url, ca_file)
    DURABLE.set(float(finding is None))
    if finding is None:
        return
    if tuning.durability == "refuse":
        raise Unsafe(finding)
    LOG.warning("%s", finding)


async def _finding(monitor_url: str | None, ca_file: str | None) -> str | None:
    if monitor_url is None:
        return "cannot tell whether the broker syncs before it acknowledges: no monitoring address is configured"
    try:
        varz = json.loads(await _get(monitor_url, "/varz", ca_file))
    except (OSError, ValueError, TimeoutError) as error:
        return f"cannot tell whether the broker syncs before it acknowledges: {monitor_url}/varz: {error!r}"
    jetstream = varz.get("jetstream", {}).get("config")
    if jetstream is None:
        return f"the broker at {monitor_url} runs without JetStream"
    if jetstream.get("sync_always") is not True:
        return f"the broker at {monitor_url} acknowledges before its disk has the message: {ADVICE}"
    return None


async def _get(url: str, path: str, ca_file: str | None) -> bytes:
    parts = urlsplit(url)
    async with asyncio.timeout(ASK_S):
        trust = _trust(ca_file) if parts.scheme == "https" else None
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 8222, ssl=trust)
        try:
            writer.write(f"GET {path} HTTP/1.0\r\nHost: {parts.hostname}\r\n\r\n".encode())
            answer = await reader.read()
        finally:
            writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    if b" 200 " not in head.split(b"\r\n", 1)[0]:
        raise ValueError(head.split(b"\r\n", 1)[0].decode(errors="replace"))
    return body


def _trust(ca_file: str | None) -> ssl.SSLContext:
    return Trust(ca_file).context if ca_file else ssl.create_default_context()
