"""Keeps the change log and the inbox from growing for ever; a letter that was not said yet is never dropped."""

from datetime import timedelta

from libs.base import rfc3339_micro
from libs.store import statements as sql
from libs.store.store import Store

KEEP_ROWS = 100_000
KEEP_AGE = timedelta(days=7)
_BATCH = 2000


async def trim(store: Store, keep_rows: int = KEEP_ROWS, keep_age: timedelta = KEEP_AGE) -> int:
    """Drops changes that are older than `keep_age` or not among the newest `keep_rows`; returns how many rows went.

    The newest row always stays: it holds the resourceVersion. Inbox rows stay twice as long: a letter
    that is said again from a retained change must still be known.
    """
    cut = await _cut(store, keep_rows, keep_age)
    dropped = 0
    while cut and (rows := await _drop(store, cut)):
        dropped += rows
    await _trim_inbox(store, keep_age * 2)
    return dropped


async def _cut(store: Store, keep_rows: int, keep_age: timedelta) -> int:
    async with store.read() as reader:
        last = await reader.last_seq()
        too_old = await reader.rows(sql.TRIM_CUT, rfc3339_micro(store.clock.now() - keep_age))
    return min(max(last - keep_rows, int(too_old[0][0])), last - 1)


async def _drop(store: Store, cut: int) -> int:
    """One batch, so that writers never wait long; `trimmed` moves first, so no reader takes a gap for silence."""
    async with store.write() as uow:
        if cut > await uow.oldest_seq():
            await uow.set_meta("trimmed", str(cut))
        return len(await uow.rows(sql.TRIM_CHANGES, cut, _BATCH))


async def _trim_inbox(store: Store, keep_age: timedelta) -> None:
    before = rfc3339_micro(store.clock.now() - keep_age)
    rows = _BATCH
    while rows == _BATCH:
        async with store.write() as uow:
            rows = len(await uow.rows(sql.TRIM_INBOX, before, _BATCH))
