"""The whole scheduler under Kueue's published performance configurations and a Spark-like burst, on a virtual clock.

Run `python -m benchmarks.scheduler [NAME ...] [--scale 0.1]`. Only the clock is virtual: every submission and every
end is a letter on a real broker that syncs each write, taken from there into the scheduler's SQLite store; every
decision is committed there and its fact published and acknowledged; an owner hears it on the stream and says the end
at the virtual time when the workload's run time is over, and at once that it left when it is evicted. The clock moves
when all of that is done. Broker, scheduler and owner are three processes, as in Kueue's CI, on one machine.
"""

from __future__ import annotations

import argparse
import gc
import heapq
import tempfile
import time
from os import getloadavg
from pathlib import Path

import uvloop

from benchmarks.scheduling.shape import Shape
from benchmarks.scheduling.shapes import SHAPES, named
from benchmarks.scheduling.world import World


async def simulate(name: str, scale: float, folder: Path) -> None:
    """Arrivals and ends in the order of virtual time; prints what it took."""
    shape = named(name, scale)
    async with World.of(name, scale, shape, folder) as world:
        coming = shape.arrivals()
        heapq.heapify(coming)
        world.finish_at = lambda at, uid: heapq.heappush(coming, (at, 1, uid))
        gc.freeze()
        began, before = time.perf_counter(), world.processor_s()
        costs: list[tuple[int, float]] = []
        mark = (before[0], 0)
        while coming:
            now = coming[0][0]
            world.table["ms"] = now
            due = []
            while coming and coming[0][0] == now:
                due.append(heapq.heappop(coming))
            await world.step(due)
            if (decided := world.table["decisions"]) - mark[1] >= max(1, shape.count // 6):
                spent = world.processor_s()[0]
                costs.append((len(world.waiting), (spent - mark[0]) / (decided - mark[1])))
                mark = (spent, decided)
        wall, after = time.perf_counter() - began, world.processor_s()
        tell(shape, world, wall, [late - early for late, early in zip(after, before, strict=True)], costs)


def tell(shape: Shape, world: World, wall: float, spent: list[float], costs: list[tuple[int, float]]) -> None:
    table = world.table
    letters, decisions = world.said + table["published"], table["decisions"]
    print(f"{shape.name}: {shape.count:,} workloads, {shape.about}")
    against = (
        f"   Kueue's CI: {shape.kueue_s:,.0f} s, {shape.kueue_s / wall:.1f} times as long" if shape.kueue_s else ""
    )
    load = getloadavg()[1]
    print(f"  wall time, store and bus on      {wall:10.1f} s   (others ran too: load {load:.1f} on 2 cores){against}")
    print(f"  processor time of the scheduler  {spent[0]:10.1f} s   broker {spent[1]:.1f} s, owner {spent[2]:.1f} s")
    print(f"  of that deciding                 {table['deciding_us'] / 1e6:10.1f} s   {table['cycles']:,} rounds")
    print(f"  admitted or evicted              {decisions:10,}     {decisions / wall:,.0f} /s end to end")
    rate = f"{letters / wall:,.0f} /s, {table['commits']:,} commits"
    print(f"  letters on the stream            {letters:10,}     {rate}")
    print(f"  virtual time until all were over {table['ms'] / 1000:10.1f} s")
    for name, waits in sorted(world.waits.items()):
        print(f"  virtual wait, {name:<24} {sum(waits) / len(waits) / 1000:5.2f} s   mean of {len(waits):,}")
    told = ", ".join(f"{cost * 1e3:.2f} ms ({waiting:,})" for waiting, cost in costs)
    print(f"  processor time per admission or eviction (and how many waited): {told}\n", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=["baseline"], choices=[*SHAPES], help="which configurations")
    parser.add_argument("--scale", type=float, default=1.0, help="a part of the workloads of each queue")
    options = parser.parse_args()
    for name in options.names:
        with tempfile.TemporaryDirectory(prefix="bench") as folder:
            uvloop.run(simulate(name, options.scale, Path(folder)))


if __name__ == "__main__":
    main()
