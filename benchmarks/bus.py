"""Command published -> handler returned and acknowledged, and messages per second, beside raw nats-py in the same run.

Run `python -m benchmarks.bus [--seconds 2] [--sync default]`. One nats-server on loopback with `sync_interval: always`,
as the platform starts it, or with NATS' default of two minutes; one publisher and one consumer in one process, bodies
of 512 bytes. Latency is measured one message at a time; throughput with 64 publishes in flight and 16 handlers.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import nats
from nats.aio.msg import Msg

from libs.base.clock import SystemClock
from libs.base.ids import SystemIds
from libs.bus import Bus, Delivery, Tuning, handling
from libs.testing.bus_server import NatsServer

TYPE = "benchmark.message.said.v1"
SUBJECT = f"millstream.{TYPE}.default"
BODY = b"x" * 512
IN_FLIGHT, CONCURRENCY, BATCH = 64, 16, 100

Publish = Callable[[str], Awaitable[object]]


@dataclass
class Gauge:
    """Counts what was handled and wakes whoever waits for a count."""

    count: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def tick(self) -> None:
        self.count += 1
        self.changed.set()

    async def reach(self, count: int) -> None:
        while self.count < count:
            self.changed.clear()
            await self.changed.wait()


async def latencies(publish: Publish, handled: Gauge, seconds: float, name: str) -> list[float]:
    """Milliseconds from before publish to after handling, one message at a time."""
    found: list[float] = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        began, expected = time.perf_counter(), handled.count + 1
        await publish(f"{name}-latency-{len(found)}")
        await handled.reach(expected)
        found.append((time.perf_counter() - began) * 1e3)
    return sorted(found)


async def throughput(publish: Publish, handled: Gauge, seconds: float, name: str) -> float:
    """Messages per second, published and handled."""
    began, start = time.perf_counter(), handled.count
    sent = 0
    while time.perf_counter() < began + seconds:
        await asyncio.gather(*(publish(f"{name}-many-{sent + n}") for n in range(IN_FLIGHT)))
        sent += IN_FLIGHT
    await handled.reach(start + sent)
    return sent / (time.perf_counter() - began)


async def measure(title: str, publish: Publish, handled: Gauge, seconds: float) -> None:
    """One line of the table."""
    found = await latencies(publish, handled, seconds, title)
    rate = await throughput(publish, handled, seconds, title)
    p50, p99 = found[len(found) // 2], found[int(len(found) * 0.99)]
    print(f"{title:<22}{p50:>10.2f}{p99:>10.2f}{rate:>12,.0f}")


async def through_the_bus(server: NatsServer, seconds: float) -> None:
    """libs.bus: FastStream publish, own pull, ack_sync after the handler."""
    clock, handled = SystemClock(), Gauge()
    bus = await Bus.connect(
        server.url, service="bench", clock=clock, ids=SystemIds(), tuning=Tuning(), monitor_url=server.monitor_url
    )
    await bus.ensure("bench", [TYPE])

    async def handle(delivery: Delivery) -> None:
        """Nothing: the bus alone is measured."""

    settle = handling.settle

    async def settled(msg: Msg, verb: bytes) -> None:
        await settle(msg, verb)
        handled.tick()

    handling.settle = settled  # the one place that knows when the broker has the ack
    try:
        await bus.subscribe(handle, concurrency=CONCURRENCY)
        await measure("libs.bus", lambda id: bus.publish(SUBJECT, BODY, headers={}, msg_id=id), handled, seconds)
        await bus.close()
    finally:
        handling.settle = settle


async def through_nats_py(server: NatsServer, seconds: float) -> None:
    """The client library alone: fetch a batch, acknowledge each and wait for that, as safe as libs.bus."""
    nc, handled = await nats.connect(server.url), Gauge()
    js = nc.jetstream()
    await js.add_stream(name="raw", subjects=["raw.>"])
    pull = await js.pull_subscribe("raw.>", durable="raw", stream="raw")

    async def handle(msg: Msg) -> None:
        await msg.ack_sync()
        handled.tick()

    async def consume() -> None:
        while True:
            try:
                await asyncio.gather(*map(handle, await pull.fetch(BATCH, timeout=5)))
            except TimeoutError:
                continue

    consuming = asyncio.create_task(consume())
    await measure("raw nats-py", lambda id: js.publish("raw.a", BODY, headers={"Nats-Msg-Id": id}), handled, seconds)
    consuming.cancel()
    await asyncio.wait([consuming])
    await nc.close()


async def main(seconds: float, sync: str) -> None:
    """Prints the table."""
    with tempfile.TemporaryDirectory() as home:
        server = NatsServer(Path(home), sync_always=sync == "always")
        await server.start()
        try:
            print(f"sync_interval {sync}\n{'':<22}{'p50 ms':>10}{'p99 ms':>10}{'messages/s':>12}")
            await through_nats_py(server, seconds)
            await through_the_bus(server, seconds)
        finally:
            server.kill()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Latency and throughput of the bus.")
    parser.add_argument("--seconds", type=float, default=2.0, help="for each figure")
    parser.add_argument("--sync", choices=("always", "default"), default="always")
    options = parser.parse_args()
    asyncio.run(main(options.seconds, options.sync))
