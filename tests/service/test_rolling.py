"""Old and new code of a service side by side on one database and one bus: replaced in mid-flow, nothing is lost and
nothing is handled twice."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from libs.base import SystemClock, SystemIds
from libs.bus import Bus
from libs.store import Store
from libs.testing.bus_server import NatsServer
from libs.testing.store_postgres import Postgres
from tests.service.rolling.main import V1, V2
from tests.service.toy import HASTY, created, hearing, say

PROGRAM = Path(__file__).parent / "rolling" / "main.py"
CLOCK = SystemClock()


class Replicas:
    """Processes of both roles, each on its role's database."""

    def __init__(self, nats: NatsServer, urls: dict[str, str], folder: Path) -> None:
        self.nats, self.urls, self.folder = nats, urls, folder
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self, code: str, role: str, *order: str, **more: str) -> subprocess.Popen[bytes]:
        environ = {
            "PATH": os.environ["PATH"], "MILLSTREAM_STORE_URL": self.urls[role], "MILLSTREAM_NATS_URL": self.nats.url,
            "MILLSTREAM_INSECURE": "true", "MILLSTREAM_PORT": "0", "MILLSTREAM_LOG_LEVEL": "error", **more,
        }  # fmt: skip
        with (self.folder / f"{code}-{role}.log").open("ab") as log:
            process = subprocess.Popen([sys.executable, PROGRAM, code, role, *order], env=environ, stderr=log)
        self.running.append(process)
        return process

    async def replace(self, old: subprocess.Popen[bytes], number: int) -> int:
        old.send_signal(number)
        return await asyncio.to_thread(old.wait, 30)


async def rows(url: str, sql: str) -> list[tuple[str, ...]]:
    store = await Store.open(url, clock=CLOCK, ids=SystemIds())
    async with store.read() as reader:
        found = await reader.rows(sql)
    await store.close()
    return [tuple(row) for row in found]


@pytest.mark.timeout(180)
async def test_a_service_and_its_hearer_are_replaced_in_mid_flow(tmp_path: Path, postgres: Postgres) -> None:
    nats = NatsServer(tmp_path / "nats", sync_always=False)
    await nats.start()
    replicas = Replicas(nats, {role: postgres.new_database() for role in ("speaker", "hearer")}, tmp_path)
    bus = await Bus.connect(nats.url, service="test", clock=CLOCK, ids=SystemIds(), tuning=HASTY)
    await bus.ensure("test", [])
    said = 0
    ending = asyncio.Event()

    async def speak() -> None:
        nonlocal said
        while not ending.is_set():
            await say(bus, created(f"job-{said}"), f"letter-{said}")
            said += 1
            await asyncio.sleep(0.01)

    try:
        async with hearing(bus) as heard:
            for role in ("speaker", "hearer"):
                assert await replicas.replace(replicas.start("old", role, "migrate"), 0) == 0
            olds = [replicas.start("old", role) for role in ("speaker", "speaker", "hearer", "hearer")]
            speaking = asyncio.create_task(speak())
            await heard.wait(V1, 50, timeout_s=60)
            assert await replicas.replace(replicas.start("new", "speaker", "migrate"), 0) == 0  # the old code runs on
            sofar = len(heard.of(V1))
            await heard.wait(V1, sofar + 50, timeout_s=60)
            for role in ("hearer", "speaker"):
                replicas.start("new", role, MILLSTREAM_MIGRATE="false")
            await heard.wait(V2, 50, timeout_s=60)
            # side by side; an old replica is started once more, on the new tables, and one dies by the way
            again = replicas.start("old", "speaker", MILLSTREAM_MIGRATE="false")
            assert await replicas.replace(olds[0], signal.SIGKILL) == -9
            assert await replicas.replace(olds[2], signal.SIGKILL) == -9
            await asyncio.sleep(3)
            assert again.poll() is None
            for old in (olds[1], olds[3], again):
                assert await replicas.replace(old, signal.SIGTERM) == 0
            sofar = len(heard.of(V2))
            await heard.wait(V2, sofar + 50, timeout_s=60)
            ending.set()
            await speaking
            await heard.wait(V1, said, timeout_s=60)
            await settled(replicas, said)
            uids = {f"uid-job-{number}" for number in range(said)}
            notes = await rows(replicas.urls["speaker"], "SELECT uid, written_by, author FROM notes")
            assert Counter(uid for uid, _, _ in notes) == dict.fromkeys(uids, 1)
            assert {(by, author) for _, by, author in notes} == {("old", None), ("new", "me")}
            v1, v2 = heard.of(V1), heard.of(V2)
            assert Counter(x["data"]["uid"] for x in v1) == dict.fromkeys(uids, 1)
            assert Counter(x["data"]["uid"] for x in v2) == dict.fromkeys((u for u, by, _ in notes if by == "new"), 1)
            acts = await rows(
                replicas.urls["hearer"], "SELECT name, uid FROM objects WHERE resource = 'heard.example.org'"
            )
            assert {name for name, _ in acts} == uids
            assert {by for _, by in acts} >= {f"old {V1}", f"new {V1}"}, "both codes have heard"
            assert (await bus.dead_letters()) == []
    finally:
        for process in replicas.running:
            process.kill()
            process.wait()
        await bus.close()
        nats.kill()


async def settled(replicas: Replicas, said: int) -> None:
    """Until the hearer has acted on every note."""
    async with asyncio.timeout(60):
        count = "SELECT count(*) FROM objects WHERE resource = 'heard.example.org'"
        while (await rows(replicas.urls["hearer"], count))[0][0] < said:  # noqa: ASYNC110
            await asyncio.sleep(0.3)
