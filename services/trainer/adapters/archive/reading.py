"""Reads one container's log into the archive while it runs, and to its end when it is over or about to be removed.

A reader may be cut off anywhere: what is stored tells where the next one goes on (domain.archive.logbook).
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Literal

from libs.base.clock import Clock
from libs.base.errors import ApiError, BadRequest, NotFound
from libs.base.waiting import first_of
from libs.blobs import BlobError
from libs.cluster import POD, Cluster
from libs.store import Store
from services.trainer.adapters.archive import records
from services.trainer.adapters.archive.bodies import Bodies
from services.trainer.adapters.archive.records import LogRow, Spot
from services.trainer.domain.archive.logbook import Misplaced
from services.trainer.domain.archive.pods import runs

_log = logging.getLogger(__name__)

LINE_BYTES_MAX = 64 * 1024
FIRST_LOOK_S, BUSY_LOOK_S, QUIET_LOOK_S = 3.0, 10.0, 60.0
"""How often the log of a running container is looked at: soon at first, then less and less while it says nothing."""
LOOKS_PER_S = 10.0
"""Of all containers together: a cluster's API must not notice that a thousand jobs run."""
AT_ONCE = 8
SAVE_EVERY_S = 1.0
FIRST_RETRY_S, LAST_RETRY_S = 0.5, 30.0

Mode = Literal["look", "follow", "finish"]


class Means:
    """What all readers share."""

    def __init__(self, cluster: Cluster, store: Store, bodies: Bodies, clock: Clock) -> None:
        self.cluster, self.store, self.bodies, self.clock = cluster, store, bodies, clock
        self.at_once = asyncio.Semaphore(AT_ONCE)
        self._turn = 0.0

    def turn_s(self) -> float:
        """Takes the next turn to look, and answers in how many seconds it comes."""
        now = self.clock.monotonic()
        self._turn = max(now, self._turn + 1 / LOOKS_PER_S)
        return self._turn - now


class Reading:
    """The reader of one life of one container; `run()` ends when all of it is kept, or nothing more can be had.

    `wish` changes what it does: look from time to time, follow to the end, or read to the end and finish. `opened` is
    set when a following reader hears the log, `done` at the end.
    """

    def __init__(self, means: Means, spot: Spot, namespace: str, pod: str, *, may_restart: bool = False) -> None:
        self._may_restart = may_restart
        self.spot, self.opened, self.done = spot, asyncio.Event(), asyncio.Event()
        self._means, self._namespace, self._pod = means, namespace, pod
        self._mode: Mode = "look"
        self._gone = self._previous = self._heard_out = False
        self._changed = asyncio.Event()
        self._row: LogRow | None = None
        self._saved = -1

    @property
    def mode(self) -> Mode:
        return self._mode

    @property
    def _is_awaited(self) -> bool:
        """Whether looking now and then is no longer enough."""
        return self._gone or self._mode != "look"

    def wish(self, mode: Mode, *, previous: bool = False) -> None:
        """A wish to finish stays; `previous` tells that the container has been started again since."""
        self._previous = self._previous or previous
        if self._mode != "finish" and mode != self._mode:
            self._mode = mode
            if mode == "follow":
                self.opened.clear()
            self._changed.set()

    def pod_is_gone(self) -> None:
        """What is under way is read to its end; then there is nothing more to be had."""
        self._gone = True
        self._changed.set()

    async def run(self) -> None:
        try:
            await self._run()
        finally:
            self.done.set()

    async def _run(self) -> None:
        pause, retry = FIRST_LOOK_S, FIRST_RETRY_S
        while not (await self._load()).is_whole:
            mode = self._mode
            if not self._is_awaited:
                await self._nap(pause)
                if not self._is_awaited:
                    await self._nap(self._means.turn_s())
                if self._is_awaited:
                    continue
            try:
                new = await self._read(mode)
            except (NotFound, BadRequest):
                if self._gone or self._previous:
                    return await self._end(gap=not self._heard_out)
                await self._nap(retry := min(2 * retry, LAST_RETRY_S))
            except Exception as error:
                self._tell(error)
                if self._gone:
                    return await self._end(gap=True)
                await self._nap(retry := min(2 * retry, LAST_RETRY_S))
            else:
                retry = FIRST_RETRY_S
                pause = BUSY_LOOK_S if new else min(max(2 * pause, BUSY_LOOK_S), QUIET_LOOK_S)
                if mode == "finish" or (mode == "follow" and (self._gone or self._mode == "finish")):
                    return await self._end(gap=False)
                if mode == "follow":
                    self._heard_out = True
                    await self._nap(FIRST_RETRY_S)

    def _tell(self, error: Exception) -> None:
        """The cluster may be away for a while; after any other trouble only what is stored counts."""
        told = "the log of %s/%s is not to be had now: %s"
        if isinstance(error, ApiError | OSError | TimeoutError):
            _log.info(told, self._namespace, self._pod, error)
            return
        self._row = None
        _log.warning(told, self._namespace, self._pod, error, exc_info=error)

    async def _nap(self, seconds: float) -> None:
        """Sleeps, but not over a new wish."""
        await first_of(self._means.clock.sleep(seconds), self._changed.wait())
        self._changed.clear()

    async def _load(self) -> LogRow:
        if self._row is None:
            async with self._means.store.read() as reader:
                self._row = await records.log(reader, self.spot)
                self._saved = self._row.book.lines
        return self._row

    async def _read(self, mode: Mode) -> int:
        """Answers how many lines were new."""
        try:
            return await self._read_once(mode, by_time=False)
        except Misplaced:
            return await self._read_once(mode, by_time=True)

    async def _read_once(self, mode: Mode, *, by_time: bool) -> int:
        if mode == "follow":
            saving = asyncio.ensure_future(self._save_often())
            try:
                return await self._take(mode, by_time)
            finally:
                saving.cancel()
                with suppress(asyncio.CancelledError):
                    await saving
        async with self._means.at_once:
            return await self._take(mode, by_time)

    async def _take(self, mode: Mode, by_time: bool) -> int:
        row = await self._load()
        book, before, limits = row.book, row.book.lines, self._means.bodies.limits
        session = book.session(by_time=by_time)
        lines = self._means.cluster.logs(
            self._namespace, self._pod, container=self.spot.container, timestamps=True, since=book.read_from,
            follow=mode == "follow", previous=self._previous and mode == "finish", whole=mode == "look",
            line_bytes_max=LINE_BYTES_MAX, opened=self.opened.set if mode == "follow" else None,
        )  # fmt: skip
        async for line in lines:
            session.told(line)
            if len(book.pending) >= limits.part:
                await self._seal(row)
        session.done()
        if self._may_restart and mode != "follow" and not self._previous and not await self._is_this_life():
            self._row = None  # the container was started again meanwhile: those were the next life's lines
            return 0
        await self._save(row)
        return book.lines - before

    async def _is_this_life(self) -> bool:
        pod = await self._means.cluster.get(POD, self._namespace, self._pod)
        lives = {run.container: run.attempt for run in runs(pod)} if pod else {}
        return lives.get(self.spot.container, self.spot.attempt) == self.spot.attempt

    async def _seal(self, row: LogRow) -> None:
        """The body first, then the row that tells of it: a crash in between writes the same body again."""
        book, bodies = row.book, self._means.bodies
        place = await bodies.put(self.spot.key(book.next_part), bytes(book.pending))
        book.seal(place)
        cut = book.cut(bodies.limits)
        await self._save(row, anyway=True)
        for part in cut:
            with suppress(BlobError):  # what is left behind goes with the folder
                await bodies.delete(self.spot.key(part.number), part.place)

    async def _save_often(self) -> None:
        while True:
            await self._means.clock.sleep(SAVE_EVERY_S)
            await self._save(await self._load())

    async def _save(self, row: LogRow, *, anyway: bool = False) -> None:
        if row.book.lines == self._saved and not anyway:
            return
        async with self._means.store.write() as uow:
            self._saved = row.book.lines
            await records.put_log(uow, row)

    async def _end(self, *, gap: bool) -> None:
        row = await self._load()
        row.book.has_gap = row.book.has_gap or gap
        if row.book.pending:
            await self._seal(row)
        row.is_whole = True
        await self._save(row, anyway=True)
