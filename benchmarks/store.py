"""What a write costs: `python -m benchmarks.store [--seconds S] [--postgres]`; runs on the disk of the current folder.

Each write is one transaction with one object of 1.5 KB and its change row, durable before it is answered. The bare
limit does the same inserts with Python's own sqlite3 in the same run; so does SQLAlchemy's async layer, to show why the
store's hot statements do not go through it.
"""

import argparse
import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path

from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import create_async_engine

from libs.base import SystemClock, SystemIds
from libs.store import Store
from libs.store.codec import encode
from libs.testing.store import PODS, an_object, put
from libs.testing.store_postgres import running_postgres

WATCHERS = 50
PADDING = "x" * 1400

TABLES = (
    "CREATE TABLE objects (resource TEXT, namespace TEXT, name TEXT, body TEXT, PRIMARY KEY (resource,namespace,name))",
    "CREATE TABLE changes (seq INTEGER PRIMARY KEY, body TEXT)",
)


async def rate(step: Callable[[int], Awaitable[object]], seconds: float) -> float:
    """Steps per second, one after the other."""
    began, steps = time.perf_counter(), 0
    while (spent := time.perf_counter() - began) < seconds:
        await step(steps)
        steps += 1
    return steps / spent


async def bare(path: Path, seconds: float) -> float:
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", *TABLES):
        connection.execute(statement)

    async def step(n: int) -> None:
        body = encode(an_object(f"p{n}", padding=PADDING))
        connection.execute("BEGIN IMMEDIATE")
        seq = connection.execute("SELECT COALESCE(MAX(seq), 0) + 1 FROM changes").fetchone()[0]
        connection.execute("INSERT INTO objects VALUES (?, ?, ?, ?)", (PODS, "default", f"p{n}", body))
        connection.execute("INSERT INTO changes VALUES (?, ?)", (seq, body))
        connection.execute("COMMIT")

    found = await rate(step, seconds)
    connection.close()
    return found


async def sqlalchemy(path: Path, seconds: float) -> float:
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}", pool_size=1)

    @event.listens_for(engine.sync_engine, "connect")
    def connect(connection, _):  # type: ignore[no-untyped-def]
        connection.isolation_level = None
        for pragma in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL"):
            connection.execute(pragma)

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection):  # type: ignore[no-untyped-def]
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    async with engine.begin() as connection:
        for statement in TABLES:
            await connection.execute(text(statement))

    async def step(n: int) -> None:
        body = encode(an_object(f"p{n}", padding=PADDING))
        async with engine.begin() as connection:
            seq = (await connection.execute(text("SELECT COALESCE(MAX(seq), 0) + 1 FROM changes"))).scalar()
            insert = text("INSERT INTO objects VALUES (:r, :ns, :n, :b)")
            await connection.execute(insert, {"r": PODS, "ns": "default", "n": f"p{n}", "b": body})
            await connection.execute(text("INSERT INTO changes VALUES (:s, :b)"), {"s": seq, "b": body})

    found = await rate(step, seconds)
    await engine.dispose()
    return found


async def store_figures(url: str, seconds: float) -> dict[str, float]:
    store = await Store.open(url, clock=SystemClock(), ids=SystemIds())

    await put(store, "watched")

    async def update(n: int) -> None:
        async with store.write() as uow:
            obj = await uow.get(PODS, "default", "watched") or {}
            await uow.update(PODS, {**obj, "round": n})

    async def get(_: int) -> None:
        async with store.read() as reader:
            await reader.get(PODS, "default", "watched")

    found = {
        "read and update": await rate(update, seconds),
        "get": await rate(get, seconds),
        f"changes delivered to {WATCHERS} watchers": await fan_out(store, update, seconds),
    }
    await store.close()
    return found


async def insert_rate(url: str, seconds: float) -> float:
    """Right between the two looks at the bare limit, since the disk is not this program's alone."""
    store = await Store.open(url, clock=SystemClock(), ids=SystemIds())

    async def insert(n: int) -> None:
        async with store.write() as uow:
            await uow.insert(PODS, an_object(f"p{n}", padding=PADDING))

    found = await rate(insert, seconds)
    await store.close()
    return found


async def fan_out(store: Store, update: Callable[[int], Awaitable[None]], seconds: float) -> float:
    """Changes that reach watchers per second, all of them together, while one writer writes."""
    delivered = 0

    async def watch(since: int) -> None:
        nonlocal delivered
        async for _ in store.feed.subscribe(PODS, since):
            delivered += 1

    watchers = [asyncio.create_task(watch(store.feed.head)) for _ in range(WATCHERS)]
    began, writes = time.perf_counter(), await rate(update, seconds)
    await asyncio.sleep(0.1)
    spent = time.perf_counter() - began
    for watcher in watchers:
        watcher.cancel()
    await asyncio.gather(*watchers, return_exceptions=True)
    assert delivered >= writes * seconds * WATCHERS * 0.9, "watchers fell behind"
    return delivered / spent


async def main(seconds: float, postgres: bool) -> None:
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as folder, ExitStack() as stack:
        show("sqlite3, the bare limit: insert", await bare(Path(folder) / "bare.db", seconds))
        show("SQLAlchemy async on aiosqlite: insert", await sqlalchemy(Path(folder) / "sa.db", seconds))
        show("libs.store on SQLite: insert", await insert_rate(f"sqlite:///{folder}/insert.db", seconds))
        show("sqlite3, the bare limit: insert, again", await bare(Path(folder) / "again.db", seconds))
        urls = {"SQLite": f"sqlite:///{folder}/store.db"}
        if postgres:
            urls["PostgreSQL (fsync off)"] = stack.enter_context(running_postgres()).new_database()
            show(
                "libs.store on PostgreSQL (fsync off): insert",
                await insert_rate(urls["PostgreSQL (fsync off)"], seconds),
            )
        for name, url in urls.items():
            for what, found in (await store_figures(url, seconds)).items():
                show(f"libs.store on {name}: {what}", found)


def show(what: str, per_second: float) -> None:
    print(f"{what:<64}{per_second:>9,.0f} /s", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=1.0, help="how long each figure is measured")
    parser.add_argument("--postgres", action="store_true", help="measure PostgreSQL too (starts one)")
    options = parser.parse_args()
    asyncio.run(main(options.seconds, options.postgres))
