"""The letters of the change log on their way to the broker, which it does not know."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta

from libs.base import Clock, rfc3339_micro
from libs.store import statements as sql
from libs.store.change import Change
from libs.store.reader import Reader
from libs.store.unit import UnitOfWork


class Outbox:
    """Letters leave in seq order; a row is marked only after the broker's acknowledgement."""

    def __init__(
        self,
        read: Callable[[], AbstractAsyncContextManager[Reader]],
        write: Callable[[], AbstractAsyncContextManager[UnitOfWork]],
        clock: Clock,
    ) -> None:
        self._read, self._write, self._clock = read, write, clock

    async def unsaid(self, limit: int = 100) -> list[Change]:
        """The oldest letters that nobody has marked as said."""
        async with self._read() as reader:
            return [Change(*row) for row in await reader.rows(sql.UNSAID, limit)]

    async def lag(self) -> tuple[int, float]:
        """How many letters are unsaid, and the age of the oldest in seconds (0 where there is none)."""
        async with self._read() as reader:
            since = await reader.rows(sql.UNSAID_SINCE)
            count = int((await reader.rows(sql.UNSAID_COUNT))[0][0]) if since else 0
        age = (self._clock.now() - datetime.fromisoformat(str(since[0][0]))).total_seconds() if since else 0.0
        return count, max(0.0, age)

    async def mark_said(self, seqs: Sequence[int]) -> None:
        """Notes that the broker has acknowledged these; marking twice keeps the first time."""
        if not seqs:
            return
        async with self._write() as uow:
            now = rfc3339_micro(self._clock.now())
            for seq in seqs:
                await uow.later(sql.MARK_SAID, seq, now)

    async def forget_said(self, since_seq: int = 0, *, age: timedelta | None = None) -> int:
        """After the broker lost its directory: letters after `since_seq`, no older than `age`, are unsaid again.

        Returns how many of the retained ones. Consumers know them by their inbox, so only what was lost has an effect.
        """
        after = rfc3339_micro(self._clock.now() - age) if age is not None else ""
        async with self._write() as uow:
            return len(await uow.rows(sql.FORGET_SAID, since_seq, after))
