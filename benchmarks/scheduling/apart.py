"""The scheduler of the benchmark as a process of its own: the whole service on its store and the owner's broker.

It says "." on its output whenever it may have come to rest, and ends with its input. Only the time of day is virtual.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.scheduling.furniture import furnish, surroundings
from benchmarks.scheduling.shapes import named
from benchmarks.scheduling.table import Table, Virtual
from libs.base.ids import SystemIds
from libs.service.app import Given
from libs.service.shell import Service, serve
from libs.store import Change
from libs.testing.cluster import MemoryCluster
from libs.testing.cluster_wire import connect
from libs.testing.store_together import commits
from services.scheduler import app as scheduler
from services.scheduler.adapters import loop as loops

FACTS = ("millstream.scheduling.workload.admitted.", "millstream.scheduling.workload.evicted.")
OUTPUT = 1


class Watched:
    """Counts what the service does, and touches nothing else of it."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._committed = 0.0
        self._new: set[Any] = set()

    async def step(self, name: str) -> None:
        """A letter that is brought again, as the broker may do with one that takes long, is not counted again."""
        task = asyncio.current_task()
        if name == "handled":
            self._new.add(task)
        elif name == "committed" and task in self._new:
            self._new.discard(task)
            self._table["taken"] += 1
            self._say()

    def begin(self, service: Service, loop: Any) -> None:
        feed: Any = service.ports.store.feed
        tell, settle, patience = feed.tell, loop._settle, loop._patience
        table, self._committed = self._table, commits()
        table["head"] = table["rested"] = feed.head
        table["taken"] = 0

        def telling(changes: Sequence[Change]) -> None:
            said = [change.subject for change in changes if change.subject is not None]
            table["published"] += len(said)
            table["decisions"] += sum(subject.startswith(FACTS) for subject in said)
            if changes:
                table["head"] = changes[-1].seq
            tell(changes)

        def timed(now: int) -> Any:
            began = time.thread_time()
            found = settle(now)
            table["deciding_us"] += int((time.thread_time() - began) * 1e6)
            table["cycles"] += 1
            return found

        def resting() -> float:
            table["commits"] = int(commits() - self._committed)
            table["rested"] = loop._seq
            self._say()
            left: float = patience()
            return left

        feed.tell, loop._settle, loop._patience = telling, timed, resting

    def _say(self) -> None:
        if self._table["rested"] >= self._table["head"]:
            os.write(OUTPUT, b".")


async def live(name: str, scale: float, broker: str, folder: Path) -> None:
    table, shape = Table(folder / "table"), named(name, scale)
    clock, watched = Virtual(table), Watched(table)
    cluster = connect(MemoryCluster(clock, SystemIds(clock)))
    for obj in surroundings(shape):
        await cluster.create(obj)
    settings = scheduler.SchedulerSettings(
        service="scheduler",
        insecure=True,
        log_level="error",
        nats_url=broker,
        store_url=f"sqlite:///{folder}/scheduler.db",
    )
    given = Given(clock=clock, cluster=cluster, fault=watched.step)
    async with serve(scheduler.build(), settings, given) as service:
        await furnish(service, shape)
        while (loop := _loop(service)) is None or loop.shelf is None:
            await clock.sleep(0.05)
        await clock.sleep(2.0)  # what queues hold is written into their status a second after they came
        watched.begin(service, loop)
        gc.freeze()
        os.write(OUTPUT, b"!")
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


def _loop(service: Service) -> Any:
    """The loop that decides, of the service as it runs."""
    controller: Any = service.ports.controller
    works = controller._companions if controller is not None else ()
    return next((w.__self__ for w in works if isinstance(getattr(w, "__self__", None), loops.Loop)), None)


if __name__ == "__main__":
    uvloop.run(live(sys.argv[1], float(sys.argv[2]), sys.argv[3], Path(sys.argv[4])))
