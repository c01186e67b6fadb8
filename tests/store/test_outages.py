"""A database that goes away comes back without a restart of the service; an idle store costs next to nothing."""

import asyncio
import resource
import sqlite3
from pathlib import Path

import asyncpg
import pytest

from libs.base import SystemClock, SystemIds, Unavailable
from libs.store import Store
from libs.store.engines import database
from libs.store.presence import Presence
from libs.testing.store import put


async def opened(url: str) -> Store:
    return await Store.open(url, clock=SystemClock(), ids=SystemIds())


async def drop_everybody(url: str) -> None:
    """Ends every other session of the database, as a restart of the server does."""
    connection = await asyncpg.connect(url)
    others = "pid <> pg_backend_pid() AND datname = current_database()"
    await connection.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")
    await connection.close()


async def test_sessions_that_were_dropped_while_idle_are_replaced_unnoticed(postgres_url: str):
    store = await opened(postgres_url)
    await put(store, "a")
    await drop_everybody(postgres_url)
    await asyncio.sleep(0.05)
    await put(store, "b")
    await store.ping()
    await store.close()


async def test_a_session_dropped_in_the_middle_is_unavailable_once_and_writes_nothing(postgres_url: str):
    store = await opened(postgres_url)
    with pytest.raises(Unavailable, match="the store cannot be reached"):
        async with store.write() as uow:
            await uow.set_meta("half", "written")
            await uow.flush()
            await drop_everybody(postgres_url)
    await put(store, "a")
    async with store.read() as reader:
        assert await reader.meta("half") is None
        assert await reader.last_seq() == store.feed.head == 1
    await store.close()


async def test_a_server_that_is_not_there_is_unavailable():
    with pytest.raises(Unavailable, match="the store cannot be reached"):
        await opened("postgresql://postgres@127.0.0.1:1/nothing")


async def test_a_folder_that_is_a_file_is_unavailable_and_not_a_crash(tmp_path: Path):
    (tmp_path / "db").mkdir()
    with pytest.raises(Unavailable, match="the store cannot be reached"):
        await opened(f"sqlite:///{tmp_path}/db")


async def test_watchers_outlive_a_database_that_was_away(postgres_url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("libs.store.feed.POLL_S", 0.05)
    store, other = await opened(postgres_url), await opened(postgres_url)
    waiting = asyncio.create_task(store.feed.wait_beyond(0, 10))
    for _ in range(3):
        await drop_everybody(postgres_url)
        await asyncio.sleep(0.06)
    await put(other, "a")
    assert await waiting == 1
    await store.close()
    await other.close()


async def test_a_store_that_closes_while_it_is_read_leaves_no_connection_behind(sqlite_url: str):
    store = await opened(sqlite_url)
    async with store.read() as reader:
        await reader.last_seq()
        await store.close()
        assert await reader.last_seq() == 0
    assert store._readers._free == []


async def test_a_read_cancelled_while_it_connects_keeps_the_connection_for_the_next(any_url: str):
    store = await opened(any_url)
    reads = [asyncio.create_task(store.ping()) for _ in range(8)]
    await asyncio.sleep(0)
    for read in reads:
        read.cancel()
    await asyncio.gather(*reads, return_exceptions=True)
    await store.ping()
    await store.close()


async def test_a_waiting_but_idle_store_asks_the_database_nothing(sqlite_url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("libs.store.feed.POLL_S", 0.01)
    store = await opened(sqlite_url)
    waiting = asyncio.create_task(store.feed.wait_beyond(0, 60))
    await asyncio.sleep(0.1)
    looks, read = 0, store.feed._read

    def counted():
        nonlocal looks
        looks += 1
        return read()

    store.feed._read = counted
    await asyncio.sleep(0.5)
    assert looks == 0
    with sqlite3.connect(database(sqlite_url).path or "") as another_process:
        another_process.execute("UPDATE meta SET value = value")
        another_process.execute("INSERT INTO meta VALUES ('x', 'y')")
    another_process.close()
    await asyncio.sleep(0.2)
    assert looks > 0
    waiting.cancel()
    await store.close()


async def test_an_idle_look_costs_microseconds(sqlite_url: str):
    store = await opened(sqlite_url)
    presence = Presence(database(sqlite_url))
    used = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    for _ in range(1000):
        await presence.moved()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - used < 0.2, "1000 looks, a second apart in life"
    await store.close()
