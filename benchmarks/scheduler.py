"""The whole scheduler under Kueue's published performance configurations and a Spark-like burst, on a virtual clock.

Run `python -m benchmarks.scheduler [NAME ...] [--scale 0.1]`. Only the clock is virtual: every submission and every
end is a letter on a real broker that syncs each write, taken from there into the scheduler's SQLite store; every
decision is committed there and its fact published and acknowledged; an owner hears it on the stream and says the end
at the virtual time when the workload's run time is over, and at once that it left when it is evicted. The clock moves
when all of that is done. Broker, scheduler and owner share this machine, and scheduler and owner one process.
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

from benchmarks.scheduling import burst, kueue
from benchmarks.scheduling.shape import Shape
from benchmarks.scheduling.world import World

SHAPES = {shape.name: shape for shape in (*kueue.SHAPES, burst.SHAPE)}


async def simulate(shape: Shape, folder: Path) -> None:
    """Arrivals and ends in the order of virtual time; prints what it took."""
    async with World.of(shape, folder) as world:
        coming = shape.arrivals()
        heapq.heapify(coming)
        world.finish_at = lambda at, uid: heapq.heappush(coming, (at, 1, uid))
        gc.freeze()
        began, before = time.perf_counter(), world.processor_s()
        costs: list[tuple[int, float]] = []
        mark = (before[0], 0)
        while coming:
            now = coming[0][0]
            world.clock.ms = now
            due = []
            while coming and coming[0][0] == now:
                due.append(heapq.heappop(coming))
            await world.step(due)
            if world.decisions - mark[1] >= max(1, shape.count // 6):
                spent = world.processor_s()[0]
                costs.append((len(world.waiting), (spent - mark[0]) / (world.decisions - mark[1])))
                mark = (spent, world.decisions)
        wall, after = time.perf_counter() - began, world.processor_s()
        tell(shape, world, wall, (after[0] - before[0], after[1] - before[1]), costs)


def tell(shape: Shape, world: World, wall: float, spent: tuple[float, float], costs: list[tuple[int, float]]) -> None:
    letters = world.said + world.published
    print(f"{shape.name}: {shape.count:,} workloads, {shape.about}")
    against = (
        f"   Kueue's CI: {shape.kueue_s:,.0f} s, {shape.kueue_s / wall:.1f} times as long" if shape.kueue_s else ""
    )
    load = getloadavg()[1]
    print(f"  wall time, store and bus on      {wall:10.1f} s   (others ran too: load {load:.1f} on 2 cores){against}")
    print(f"  processor time                   {spent[0]:10.1f} s   scheduler and owner; broker {spent[1]:.1f} s")
    print(f"  of that deciding                 {world.deciding:10.1f} s   {world.cycles:,} rounds")
    print(f"  admitted or evicted              {world.decisions:10,}     {world.decisions / wall:,.0f} /s end to end")
    rate = f"{letters / wall:,.0f} /s, {world.transactions():,} commits"
    print(f"  letters on the stream            {letters:10,}     {rate}")
    print(f"  virtual time until all were over {world.clock.ms / 1000:10.1f} s")
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
            uvloop.run(simulate(SHAPES[name].scaled(options.scale), Path(folder)))


if __name__ == "__main__":
    main()
