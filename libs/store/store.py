"""A service's own database: one writer at a time, snapshots for readers, and the feed of what changed."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from libs.base import Clock, Ids
from libs.store.change import Change
from libs.store.engines import Database, database
from libs.store.feed import Feed
from libs.store.migrate import check, migrate
from libs.store.outbox import Outbox
from libs.store.part import Part, commit
from libs.store.pool import Held, Pool
from libs.store.presence import Presence
from libs.store.reader import Reader
from libs.store.together import Place, Together
from libs.store.unit import UnitOfWork
from libs.telemetry import SHORT_S, histogram

T = TypeVar("T")
_READERS = 4
WAITED = histogram("store_write_wait_seconds", "Time that a transaction waits for its turn to write", (), SHORT_S)
COMMITTED = histogram("store_commit_seconds", "Time that the database takes to commit a transaction", (), SHORT_S)


class Store:
    """Open it with `await Store.open(url, clock=..., ids=...)`; replicas of a service may share the database."""

    def __init__(self, where: Database, *, clock: Clock, ids: Ids) -> None:
        self.clock, self.ids = clock, ids
        self._database = where
        self._writers = Pool(where, size=1, read_only=False)
        self._readers = Pool(where, size=_READERS, read_only=True)
        self._writing: asyncio.Task[Any] | None = None
        self._together = Together(where, self._writers.line, self._commit_all, self._pass_on, clock)
        self.feed = Feed(self.read, Presence(where).moved, clock)
        self.outbox = Outbox(self.read, self.write, clock)

    @classmethod
    async def open(
        cls, url: str, *, clock: Clock, ids: Ids, migrations: Sequence[Path] = (), bring_up: bool = True
    ) -> "Store":
        """Opens the database and brings its tables up to date, under a lock that replicas share.

        `migrations` are folders of Alembic revisions of the service. Without `bring_up` the tables are only looked at:
        raises SchemaMismatch if they lack something. Raises Unavailable if the database cannot be reached.
        """
        return await cls.on(database(url), clock=clock, ids=ids, migrations=migrations, bring_up=bring_up)

    @classmethod
    async def on(
        cls, where: Database, *, clock: Clock, ids: Ids, migrations: Sequence[Path] = (), bring_up: bool = True
    ) -> "Store":
        """The same on a database that the caller describes, as a simulation does."""
        await (migrate if bring_up else check)(where, migrations)
        store = cls(where, clock=clock, ids=ids)
        async with store.read() as reader:
            store.feed.start(await reader.last_seq())
        return store

    @asynccontextmanager
    async def write(self) -> AsyncIterator[UnitOfWork]:
        """One transaction: committed on a clean exit, rolled back on an error. Units of work queue up in order.

        Raises RuntimeError where one is opened inside another of the same task, which would wait for itself for ever.
        """
        me, asked = self._not_writing(), self.clock.monotonic()
        async with self._writers.line() as held:
            WAITED.observe(self.clock.monotonic() - asked)
            self._writing = me
            try:
                async with self._transaction(held) as uow:
                    yield uow
            finally:
                self._writing = None

    @asynccontextmanager
    async def write_together(self) -> AsyncIterator[UnitOfWork]:
        """The same, in a transaction that it may share with others who come at the same time: for many small writes.

        An error takes back what this one did and nothing else. A clean exit returns when all is committed; it raises
        FellApart where that failed and another may have been the reason: then do it again with `write`.
        """
        self._not_writing()
        async with self._together.write() as uow:
            yield uow

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Reader]:
        """One consistent snapshot, taken at the first statement."""
        async with self._readers.line() as held:
            reader = Reader(held.line, self._database.begin_read)
            try:
                yield reader
            finally:
                await _settled(_roll_back(held, reader))

    async def ping(self) -> None:
        """Returns when the database answers; raises Unavailable or the driver's error when not."""
        async with self.read() as reader:
            await reader.last_seq()

    async def close(self) -> None:
        await self._together.close()
        await self.feed.close()
        await self._writers.close()
        await self._readers.close()

    def _not_writing(self) -> "asyncio.Task[Any] | None":
        me = asyncio.current_task()
        if self._writing is not None and self._writing is me:
            raise RuntimeError("this task already has a unit of work open: pass it on instead of opening another")
        return me

    def _pass_on(self, place: Place | None) -> None:
        """The turn to write in a shared transaction goes to the next, or back to nobody."""
        self._writing = place.task if place else None
        if place is not None:
            WAITED.observe(self.clock.monotonic() - place.asked)

    @asynccontextmanager
    async def _transaction(self, held: Held) -> AsyncIterator[UnitOfWork]:
        uow = UnitOfWork(held.line, self._database.begin_write, self.clock)
        try:
            await uow.begin()
            yield uow
            await _settled(self._commit(uow))
        finally:
            if not uow.committed:
                await _settled(_roll_back(held, uow))

    async def _commit(self, uow: UnitOfWork) -> None:
        await self._commit_with(uow.commit())

    async def _commit_all(self, shared: Sequence[Part]) -> None:
        await self._commit_with(commit(shared))

    async def _commit_with(self, committing: Coroutine[Any, Any, list[Change]]) -> None:
        began = self.clock.monotonic()
        changes = await committing
        COMMITTED.observe(self.clock.monotonic() - began)
        # The feed is told while the turn is still ours, so it hears of commits in their order.
        self.feed.tell(changes)


async def _roll_back(held: Held, reader: Reader) -> None:
    try:
        await reader.roll_back()
    except Exception:
        held.broken = True


async def _settled(end: Coroutine[Any, Any, T]) -> T:
    """Ends a transaction for good even when the task is cancelled meanwhile, then lets the cancel through."""
    task = asyncio.ensure_future(end)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
