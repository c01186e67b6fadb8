"""Several processes on one database, and what is left when one of them is killed."""

import asyncio
import random
import sys
from asyncio.subprocess import PIPE, Process

import pytest

from libs.base import SystemClock, SystemIds
from libs.store import Store
from libs.testing.store import PODS
from libs.testing.store_check import assert_whole

SEED = 20261122


async def writer(url: str, name: str, rounds: int) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "libs.testing.store_writer", url, name, str(rounds), stdout=PIPE, stderr=PIPE
    )


async def opened(url: str) -> Store:
    return await Store.open(url, clock=SystemClock(), ids=SystemIds())


async def finish(process: Process) -> list[int]:
    """The rounds that a writer said it had committed; fails when it failed."""
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return [int(line) for line in out.split()[1:]]


async def test_processes_that_open_a_new_database_at_once_migrate_it_once(any_url: str):
    processes = [await writer(any_url, f"w{n}", 1) for n in range(3)]
    assert [await finish(p) for p in processes] == [[1]] * 3
    store = await opened(any_url)
    async with store.read() as reader:
        assert await reader.rows("SELECT version_num FROM alembic_version") == [("store_0001",)]
    await assert_whole(store)
    await store.close()


async def test_commits_of_several_processes_become_visible_in_seq_order(any_url: str):
    store = await opened(any_url)
    processes = [await writer(any_url, f"w{n}", 40) for n in range(3)]
    seen: list[int] = []
    while len(seen) < 3 * 40 * 3:
        # A row that turned up behind one already seen would be missed for ever: this is how every reader goes on.
        async with store.read() as reader:
            seen += [c.seq for c in await reader.changes_since(seen[-1] if seen else 0)]
        await asyncio.sleep(0)
    assert seen == list(range(1, 361))
    assert [await finish(p) for p in processes] == [list(range(1, 41))] * 3
    assert len(await store.outbox.unsaid(limit=1000)) == 120
    await assert_whole(store)
    await store.close()


async def test_a_subscriber_misses_nothing_that_other_processes_write(any_url: str):
    store = await opened(any_url)
    processes = [await writer(any_url, f"w{n}", 15) for n in range(2)]
    seen = []
    async with asyncio.timeout(30):
        async for change in store.feed.subscribe(PODS, 0):
            seen.append(change.seq)
            if len(seen) == 90:
                break
    assert seen == list(range(1, 91))
    for process in processes:
        await finish(process)
    await store.close()


@pytest.mark.parametrize("kills", [6])
async def test_a_writer_killed_at_any_moment_leaves_nothing_half_written(any_url: str, kills: int):
    rng, acknowledged = random.Random(SEED), 0
    store = await opened(any_url)
    for _ in range(kills):
        acknowledged = max(acknowledged, await _write_until_killed(any_url, rng.uniform(0.0, 0.25)))
        await assert_whole(store)
        async with store.read() as reader:
            left = await reader.get(PODS, "default", "w-left") or {"round": 0}
            right = await reader.get(PODS, "default", "w-right") or {"round": 0}
            odd = await reader.get(PODS, "default", "w-odd")
        assert left["round"] == right["round"] >= acknowledged
        assert (odd is not None) == bool(left["round"] % 2)
        assert len(await store.outbox.unsaid(limit=10_000)) == left["round"]
    assert acknowledged > 0
    await store.close()


async def _write_until_killed(url: str, seconds: float) -> int:
    """Kills -9 a writer some time after it has opened the store; returns the last round that it had acknowledged."""
    process = await writer(url, "w", 1_000_000)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"open\n"
    await asyncio.sleep(seconds)
    process.kill()
    out, _ = await process.communicate()
    whole = out[: out.rfind(b"\n") + 1].split()
    return int(whole[-1]) if whole else 0
