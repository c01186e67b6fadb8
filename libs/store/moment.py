"""Snapshots of several databases as they were at one and the same moment; it must not assume that nobody writes.

Every writer of a store takes that store's one write lock first. Whoever holds the locks of all of them has stopped
time: snapshots begun now show one moment of the whole platform, in which no effect lacks its cause. The locks are held
for as long as it takes to begin the snapshots, which is milliseconds; what is read afterwards holds up nobody.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from libs.base import Clock, Unavailable
from libs.store.engines import Database
from libs.store.lines import Line
from libs.store.migrate import line_to

PATIENCE_S = 5.0
"""How long one try may hold some locks while it waits for the next: so long, at worst, a service's writers wait."""
TRIES = 10
PAUSE_S = 0.5
# A statement that reads begins the snapshot; BEGIN alone does not.
_LOOK = {"sqlite": "SELECT count(*) FROM sqlite_master", "postgresql": "SELECT count(*) FROM pg_tables"}


@asynccontextmanager
async def at_one_moment(places: Mapping[str, Database], clock: Clock) -> AsyncIterator[dict[str, Line]]:
    """A read-only line into each database, all of the same moment.

    Raises Unavailable when a database cannot be reached or its writers leave no gap in all of the tries.
    """
    for name, place in places.items():
        if place.path is not None and not place.path.exists():
            raise Unavailable(f"the store of {name} is not there: {place.path}")
    async with AsyncExitStack() as stack:
        lines = {}
        for name, place in places.items():
            lines[name] = await stack.enter_async_context(line_to(place, read_only=True))
        for left in reversed(range(TRIES)):
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await _begin(places, lines)
                break
            except (TimeoutError, Unavailable) as error:
                if not left:
                    raise Unavailable(f"no moment without a writer was found: {error}") from error
                for line in lines.values():
                    await line.roll_back()
                await clock.sleep(PAUSE_S)
        try:
            yield lines
        finally:
            for line in lines.values():
                await line.roll_back()


async def _begin(places: Mapping[str, Database], lines: Mapping[str, Line]) -> None:
    """Locks in the order of their names, so that two backups at once wait for each other instead of for ever."""
    async with AsyncExitStack() as stack:
        for name in sorted(places):
            place = places[name]
            lock = await stack.enter_async_context(line_to(place, read_only=False))
            if place.is_sqlite:
                await lock.run([(f"PRAGMA busy_timeout={int(PATIENCE_S * 1000)}", ())])
            await lock.run(place.begin_write)
            stack.push_async_callback(lock.roll_back)
        for name, place in places.items():
            await lines[name].run([*place.begin_read, (_LOOK[place.url.get_backend_name()], ())])
