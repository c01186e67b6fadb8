"""From a command's publication to the commit of the service that hears it, on a real broker that syncs each write.

The service is the shell's smallest one (SQLite, one kind). The bare limit in the same run is the broker's own
acknowledgement of the same letter, which is the first part of the way.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from contracts.commands.training.v1 import ApplyTrainJob
from libs.base.clock import SystemClock
from libs.base.ids import SystemIds
from libs.bus import Bus
from libs.service.app import Given
from libs.service.shell import serve
from libs.testing.bus_server import NatsServer
from tests.service.toy import say, settings, toy_app

COMMANDS, WARM = 220, 20


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


def show(label: str, seconds: list[float], aim: str = "") -> None:
    ordered = sorted(seconds)
    p50, p99 = statistics.median(ordered) * 1e3, ordered[int(0.99 * (len(ordered) - 1))] * 1e3
    print(f"{label:<38} p50 {p50:6.2f} ms  p99 {p99:6.2f} ms{aim}")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        acknowledged, committed = asyncio.run(measure(Path(folder)))
    show("bare limit: the broker's acknowledgement", acknowledged)
    show("command published -> handler committed", committed, "   (aim: p50 under 15 ms)")


if __name__ == "__main__":
    main()
