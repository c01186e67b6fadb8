"""From a command's publication to the commit of the service that hears it, on a real broker that syncs each write.

The service is the shell's smallest one (SQLite, one kind). The bare limit in the same run is the broker's own
acknowledgement of the same letter, which is the first part of the way. Then many facts at once: how many a second are
taken from the stream, committed and acknowledged, in how many transactions, and until the facts that follow are on the
stream too; beside it how many a second the broker acknowledges to the bare client with as many in flight.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

import nats
import uvloop

from contracts.commands.training.v1 import ApplyTrainJob
from contracts.envelope import structured, subject_for
from libs.base.clock import SystemClock
from libs.base.ids import SystemIds
from libs.bus import Bus
from libs.service.app import Given
from libs.service.shell import serve
from libs.testing.bus_server import NatsServer
from libs.testing.store_together import commits
from tests.service.toy import created, letter, say, settings, toy_app

COMMANDS, WARM = 220, 20
FACTS, IN_FLIGHT = 3000, 100


class Commits:
    """A fault point that breaks nothing: it notes when a transaction was committed."""

    def __init__(self) -> None:
        self.times: asyncio.Queue[float] = asyncio.Queue()

    async def __call__(self, step: str) -> None:
        if step == "committed":
            self.times.put_nowait(time.perf_counter())


def command(number: int) -> ApplyTrainJob:
    metadata = {"name": f"job-{number}", "namespace": "team"}
    manifest = {"apiVersion": "trainer.kubeflow.org/v1alpha1", "kind": "TrainJob", "metadata": metadata}
    return ApplyTrainJob(namespace="team", manifest=manifest)


async def measure(folder: Path) -> tuple[list[float], list[float]]:
    """Seconds until the broker's acknowledgement, and until the commit, of commands sent one after the other."""
    server = NatsServer(folder / "nats", sync_always=True)
    await server.start()
    clock, commits = SystemClock(), Commits()
    bus = await Bus.connect(server.url, service="bench", clock=clock, ids=SystemIds(clock))
    acknowledged, committed = [], []
    try:
        await bus.ensure("bench", [])
        async with serve(toy_app(), settings(folder, server.url), Given(fault=commits)):
            for number in range(COMMANDS):
                began = time.perf_counter()
                await say(bus, command(number), f"letter-{number}")
                acknowledged.append(time.perf_counter() - began)
                committed.append(await asyncio.wait_for(commits.times.get(), 10) - began)
    finally:
        await bus.close()
        server.kill()
    return acknowledged[WARM:], committed[WARM:]


async def acknowledge(url: str) -> float:
    """What the client library alone puts on the stream, a second, of the letters that the service will hear."""
    client = await nats.connect(url)
    stream, subject = client.jetstream(), subject_for(created("x").type, "team")
    letters = [(number, structured(letter(created(f"job-{number}"), f"fact-{number}"))) for number in range(FACTS)]
    began = time.perf_counter()
    for first in range(0, FACTS, IN_FLIGHT):
        some = letters[first : first + IN_FLIGHT]
        said = (stream.publish(subject, data, headers={**h, "Nats-Msg-Id": f"fact-{n}"}) for n, (h, data) in some)
        await asyncio.gather(*said)
    rate = FACTS / (time.perf_counter() - began)
    await client.close()
    return rate


async def drain(folder: Path) -> tuple[float, float, float, int]:
    """Letters a second: acknowledged to the bare client, committed here, answered; and in how many transactions."""
    server = NatsServer(folder / "nats", sync_always=True)
    await server.start()
    clock, finished = SystemClock(), Commits()
    bus = await Bus.connect(server.url, service="bench", clock=clock, ids=SystemIds(clock))
    try:
        await bus.ensure("bench", [])
        bare = await acknowledge(server.url)
        async with serve(toy_app(), settings(folder, server.url), Given(fault=finished)) as service:
            began, before = time.perf_counter(), commits()
            for _ in range(FACTS):
                await asyncio.wait_for(finished.times.get(), 30)
            taken, transactions = time.perf_counter() - began, commits() - before
            while await service.ports.store.outbox.unsaid(1):  # noqa: ASYNC110 (the store is asked)
                await asyncio.sleep(0.01)
            said = time.perf_counter() - began
    finally:
        await bus.close()
        server.kill()
    return bare, FACTS / taken, FACTS / said, int(transactions)


def show(label: str, seconds: list[float], aim: str = "") -> None:
    ordered = sorted(seconds)
    p50, p99 = statistics.median(ordered) * 1e3, ordered[int(0.99 * (len(ordered) - 1))] * 1e3
    print(f"{label:<38} p50 {p50:6.2f} ms  p99 {p99:6.2f} ms{aim}")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        acknowledged, committed = uvloop.run(measure(Path(folder)))
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        bare, taken, answered, transactions = uvloop.run(drain(Path(folder)))
    show("bare limit: the broker's acknowledgement", acknowledged)
    show("command published -> handler committed", committed, "   (aim: p50 under 15 ms)")
    print(f"{'bare limit: letters acknowledged':<38} {bare:8,.0f} /s")
    print(f"{'letters heard and committed':<38} {taken:8,.0f} /s   {FACTS} in {transactions} transactions")
    print(f"{'letters heard, committed and answered':<38} {answered:8,.0f} /s")


if __name__ == "__main__":
    main()
