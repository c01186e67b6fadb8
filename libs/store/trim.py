"""Keeps the change log and the inbox from growing for ever; a letter that was not said yet is never dropped."""

from datetime import timedelta
from typing import NoReturn

from libs.base import rfc3339_micro
from libs.store import statements as sql
from libs.store.store import Store

KEEP_ROWS = 100_000
KEEP_AGE = timedelta(days=7)
KEEP_SIZE = 64 << 20
"""Characters of changes without a letter: what a watcher that was away for a while reads instead of listing again."""
LOOK_S = 20.0
_BATCH = 500


async def keep_trimmed(store: Store, every_s: float, keep_size: int = KEEP_SIZE) -> NoReturn:
    """Trims every so often, and sooner while this process writes much: ten thousand pods leave half a gigabyte in ten
    minutes."""
    while True:
        before, left = store.feed.written, every_s
        while left > 0 and store.feed.written - before < keep_size // 4:
            await store.clock.sleep(min(LOOK_S, left))
            left -= LOOK_S
        await trim(store, keep_size=keep_size)


async def trim(
    store: Store, keep_rows: int = KEEP_ROWS, keep_age: timedelta = KEEP_AGE, keep_size: int = KEEP_SIZE
) -> int:
    """Drops changes that are older than `keep_age` or not among the newest `keep_rows`, and of those without a letter
    all before the newest `keep_size` characters; returns how many rows went.

    The newest row always stays: it holds the resourceVersion. Inbox rows stay twice as long: a letter
    that is said again from a retained change must still be known.
    """
    old, heavy = await _cuts(store, keep_rows, keep_age, keep_size)
    dropped = await _drop(store, sql.TRIM_CHANGES, old) + await _drop(store, sql.TRIM_SILENT, heavy)
    await _trim_inbox(store, keep_age * 2)
    return dropped


async def _cuts(store: Store, keep_rows: int, keep_age: timedelta, keep_size: int) -> tuple[int, int]:
    async with store.read() as reader:
        last = await reader.last_seq()
        too_old = await reader.rows(sql.TRIM_CUT, rfc3339_micro(store.clock.now() - keep_age))
        too_much = await reader.rows(sql.TRIM_SIZE, keep_size)
    return min(max(last - keep_rows, int(too_old[0][0])), last - 1), min(int(too_much[0][0]), last - 1)


async def _drop(store: Store, statement: str, cut: int) -> int:
    """In batches, so that writers never wait long."""
    dropped = 0
    while cut > 0 and (rows := await _drop_some(store, statement, cut)):
        dropped += rows
    return dropped


async def _drop_some(store: Store, statement: str, cut: int) -> int:
    """`trimmed` moves first, so no reader takes a gap for silence."""
    async with store.write() as uow:
        if cut > await uow.oldest_seq():
            await uow.set_meta("trimmed", str(cut))
        return len(await uow.rows(statement, cut, _BATCH))


async def _trim_inbox(store: Store, keep_age: timedelta) -> None:
    before = rfc3339_micro(store.clock.now() - keep_age)
    rows = _BATCH
    while rows == _BATCH:
        async with store.write() as uow:
            rows = len(await uow.rows(sql.TRIM_INBOX, before, _BATCH))
