"""What the resource API costs: object writes and status writes per second, and watch fan-out to 20 watchers.

    .venv/bin/python -m benchmarks.resources

A few seconds on a real SQLite store; watchers read lines as the HTTP layer renders them, without sockets.
"""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable

from libs.base import SystemClock, SystemIds
from libs.resources import Resources, selectors
from libs.store import Store
from libs.testing.resources import TOYS, WIDGET, widget

OBJECTS, WATCHERS, EVENTS = 600, 20, 1000


async def timed(what: str, count: int, work: Callable[[], Awaitable[None]]) -> None:
    begin = time.perf_counter()
    await work()
    seconds = time.perf_counter() - begin
    print(f"{what:48} {count / seconds:10,.0f} /s")


async def creates(resources: Resources) -> None:
    for n in range(OBJECTS):
        await resources.create(WIDGET, widget(f"one-{n}", parts=[{"name": "p", "weight": 1.5}]))


async def managed_creates(resources: Resources) -> None:
    for n in range(OBJECTS):
        await resources.create(WIDGET, widget(f"two-{n}", parts=[{"name": "p"}]), manager="bench")


async def statuses(resources: Resources) -> None:
    for n in range(OBJECTS):
        await resources.update_status(WIDGET, "default", f"one-{n}", {"phase": "Ready"})


async def lists(resources: Resources) -> None:
    for _ in range(5):
        await resources.list(WIDGET, "default", selectors=selectors("a!=b"))


async def deletes(resources: Resources) -> None:
    for n in range(OBJECTS):
        await resources.delete(WIDGET, "default", f"one-{n}")


async def fan_out(resources: Resources) -> None:
    async def follow() -> int:
        seen = size = 0
        everything = selectors()
        async for batch in await resources.changes(WIDGET, "bench", None, everything, False, None, 30):
            size += len(b"".join(happening.line() for happening in batch))
            seen += len(batch)
            if seen >= EVENTS:
                break
        return size

    watching = [asyncio.create_task(follow()) for _ in range(WATCHERS)]
    await asyncio.sleep(0.1)
    for part in range(0, EVENTS, 100):
        async with resources.store.write() as uow:
            view = resources.view(uow)
            for n in range(part, part + 100):
                await view.create(WIDGET, widget(f"w-{n}", "bench"))
    await asyncio.gather(*watching)


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = await Store.open(f"sqlite:///{folder}/store.db", clock=SystemClock(), ids=SystemIds())
        resources = Resources(store, TOYS, clock=SystemClock(), ids=SystemIds(), source="millstream/bench")
        await timed("creates, one transaction each", OBJECTS, lambda: creates(resources))
        await timed("creates with field ownership", OBJECTS, lambda: managed_creates(resources))
        await timed("status writes", OBJECTS, lambda: statuses(resources))
        await timed("objects listed with a selector", 5 * 2 * OBJECTS, lambda: lists(resources))
        await timed(f"events to {WATCHERS} watchers, writes included", EVENTS * WATCHERS, lambda: fan_out(resources))
        await timed("deletes, dependents looked for", OBJECTS, lambda: deletes(resources))
        await store.close()


if __name__ == "__main__":
    asyncio.run(main())
