"""The change log as it grows: woken at once by this process's commits, within a second by those of other replicas.

Rows just committed are kept in memory, so many watches cost one write and no reads; older ones are read from the log.
"""

import asyncio
import logging
from bisect import bisect_right
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager

from libs.base import Clock
from libs.store.change import Change
from libs.store.reader import Reader

_log = logging.getLogger(__name__)

POLL_S = 1.0
PAGE = 500
_KEPT_ROWS, _KEPT_CHARACTERS = 1024, 16 << 20


class Feed:
    """One per store. It polls only while somebody waits, so an idle process without watchers costs nothing."""

    def __init__(
        self,
        read: Callable[[], AbstractAsyncContextManager[Reader]],
        moved: Callable[[], Awaitable[bool]],
        clock: Clock,
    ) -> None:
        self._read, self._moved, self._clock = read, moved, clock
        self._head = 0
        self.written = 0
        """Characters of this process's commits, since its start."""
        self._recent: list[Change] = []
        self._recent_after = 0
        self._cost = 0
        self._bells: dict[asyncio.Future[None], None] = {}  # Rung in the order of their arrival.
        self._poll: asyncio.Task[None] | None = None
        self._catching_up = asyncio.Lock()

    @property
    def head(self) -> int:
        """The newest seq that this process knows of."""
        return self._head

    async def wait_beyond(self, seq: int, timeout: float) -> int:
        """Returns the newest known seq as soon as it is beyond `seq`, or after `timeout` seconds."""
        if self._head <= seq and timeout > 0:
            nap = asyncio.ensure_future(self._clock.sleep(timeout))
            try:
                while self._head <= seq and not nap.done():
                    await self._ring(nap)
            finally:
                nap.cancel()
        return self._head

    async def subscribe(self, resource: str | None, since: int) -> AsyncIterator[Change]:
        """Every change after `since`, for ever: from the log, then live. With `resource`, only its objects' changes.

        Raises Gone when `since` was trimmed, at the start or when the reader falls that far behind.
        """
        if since > self._head:
            await self._catch_up()
        while True:
            page = await self.page(since)
            for change in page:
                if resource is None or change.resource == resource:
                    yield change
            since = page[-1].seq if page else since
            while self._head <= since:
                await self._ring()

    def start(self, head: int) -> None:
        """Called once, when the store is open: what is older is read from the log."""
        self._head = self._recent_after = head

    def tell(self, changes: Sequence[Change]) -> None:
        """Called with the rows of a commit of this process, in the order of the commits."""
        if not changes:
            return
        self.written += sum(change.cost for change in changes)
        if changes[0].seq == self._head + 1:
            self._keep(changes)
        else:
            # Another replica committed in between: forget what is kept, readers fetch the gap from the log.
            self._forget(max(self._head, changes[-1].seq))
        self._head = max(self._head, changes[-1].seq)
        self._wake()

    async def close(self) -> None:
        if self._poll is not None:
            self._poll.cancel()
            await asyncio.gather(self._poll, return_exceptions=True)

    async def page(self, since: int) -> Sequence[Change]:
        """The next few changes after `since` that this process knows of; raises Gone when they were trimmed."""
        if self._recent_after <= since <= self._head:
            return self._recent[bisect_right(self._recent, since, key=_seq) :][:PAGE]
        async with self._read() as reader:
            return await reader.changes_since(since, limit=PAGE)

    async def _ring(self, nap: "asyncio.Future[None] | None" = None) -> None:
        """Waits for the next news, or for the end of `nap`."""
        bell: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if nap is not None:
            nap.add_done_callback(lambda _: _ring_once(bell))
        if self._poll is None or self._poll.done():
            self._poll = asyncio.create_task(self._look_for_others(), name="store-feed")
        self._bells[bell] = None
        try:
            await bell
        finally:
            self._bells.pop(bell, None)

    async def _look_for_others(self) -> None:
        """Ends by itself when a whole look passes without anybody waiting."""
        while True:
            before = len(self._bells)
            await self._clock.sleep(POLL_S)
            if not before and not self._bells:
                return
            try:
                if await self._moved():
                    await self._catch_up()
            except (
                Exception
            ) as error:  # Watchers outlive a database that is away for a while; the next look may succeed.
                _log.warning("the change log could not be read: %s", error)

    async def _catch_up(self) -> None:
        async with self._catching_up, self._read() as reader:
            last = await reader.last_seq()
            if last <= self._head:
                return
            rows = await reader.changes_since(self._head, limit=PAGE) if last - self._head <= PAGE else []
        if rows and rows[0].seq == self._head + 1 and rows[-1].seq == last:
            self._keep(rows)
        elif last > self._head:
            self._forget(last)
        self._head = max(self._head, last)
        self._wake()

    def _keep(self, changes: Sequence[Change]) -> None:
        self._recent.extend(changes)
        self._cost += sum(change.cost for change in changes)
        if len(self._recent) > 2 * _KEPT_ROWS or self._cost > _KEPT_CHARACTERS:
            self._drop_older_half()

    def _forget(self, head: int) -> None:
        self._recent, self._cost, self._recent_after = [], 0, head

    def _drop_older_half(self) -> None:
        half = (len(self._recent) + 1) // 2
        self._recent_after = self._recent[half - 1].seq
        self._recent = self._recent[half:]
        self._cost = sum(change.cost for change in self._recent)

    def _wake(self) -> None:
        for bell in self._bells:
            _ring_once(bell)


def _ring_once(bell: asyncio.Future[None]) -> None:
    if not bell.done():
        bell.set_result(None)


def _seq(change: Change) -> int:
    return change.seq
