"""Kill -9 of every service, the broker and the node while fifty jobs flow: all end exactly once and nothing is lost."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest
from millstream.client import Client

from tests.e2e import flow
from tests.platform import Platform, processes_of, until

SEED = int(os.environ.get("MILLSTREAM_TEST_SEED", "7"))
VICTIMS = ("trainer", "scheduler", "registry", "serving", "gateway", "nats", "node")
MARKS = {name: f"services.{name}" for name in VICTIMS} | {"nats": "nats-server"}


class Killer(threading.Thread):
    """Kills one part after the other, in a random order from a seed, until it is told to stop."""

    def __init__(self, platform: Platform, pause_s: tuple[float, float] = (0.6, 2.0)) -> None:
        super().__init__(daemon=True)
        self.platform, self.pause_s = platform, pause_s
        self.random = random.Random(SEED)
        self.killed: list[str] = []
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.wait(self.random.uniform(*self.pause_s)):
            name = self.random.choice([v for v in VICTIMS if v not in self.killed] or VICTIMS)
            pids = [pid for pid, command in processes_of(self.platform.home).items() if _is(command, name)]
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            if pids:
                self.killed.append(name)


def _is(command: str, name: str) -> bool:
    if name == "node":
        return "services.node --home" in command
    return MARKS[name] in command and "spawner" not in command


@pytest.mark.timeout(420)
def test_fifty_jobs_survive_the_kill_of_every_part(platform: Platform) -> None:
    names = [f"small-{i:02d}" for i in range(50)]
    killer = Killer(platform)
    with Client.from_home(platform.home) as client:
        killer.start()
        uids = {flow.insist(client, flow.small_job(name)): name for name in names}
        until(
            lambda: set(VICTIMS) <= set(killer.killed), 120, f"every part killed (seed {SEED}), so far {killer.killed}"
        )
        killer.done.set()
        killer.join()
        ended = flow.wait_all_over(client, names, 240)
        assert set(ended.values()) == {"Complete"}, ended
        assert len(uids) == 50, "a repeated apply made a second object"
        until(lambda: len(flow.versions(client)) >= 50, 60, "fifty versions")
        recorded = [version["name"] for version in flow.versions(client)]
        assert len(recorded) == len(set(recorded)) == 50
    _nothing_lost(platform, set(uids))


def _nothing_lost(platform: Platform, uids: set[str]) -> None:
    trainer = flow.change_log(platform, "trainer")
    for kind in ("training.trainjob.created.v1", "training.trainjob.succeeded.v1"):
        assert {uid: n for uid, n in flow.counted(trainer, kind).items() if uid in uids} == dict.fromkeys(uids, 1), kind
    until(lambda: all(x.marked for x in flow.change_log(platform, "trainer")), 30, "every letter said")
    until(lambda: all(x.marked for x in flow.change_log(platform, "registry")), 30, "every letter said")
    said = {letter["id"] for letter in _stream(platform)}
    owed = {
        letter.id for service in ("trainer", "scheduler", "registry") for letter in flow.change_log(platform, service)
    }
    assert owed <= said, f"{len(owed - said)} letters of the change logs are not in the stream"


def _stream(platform: Platform) -> list[dict[str, object]]:
    """All letters in the broker, read with the command that the README names."""
    import subprocess

    from tests.platform import MILLSTREAM

    env = {**os.environ, "MILLSTREAM_HOME": str(platform.home)}
    command = [str(MILLSTREAM), "events", "tail", "--since", "all", "--data"]
    tail = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
    time.sleep(4)
    tail.terminate()
    return [json.loads(line) for line in tail.communicate()[0].splitlines() if line.startswith("{")]


@pytest.mark.timeout(300)
def test_a_wiped_broker_costs_time_and_nothing_else(platform: Platform) -> None:
    names = [f"wipe-{i:02d}" for i in range(12)]
    with Client.from_home(platform.home) as client:
        uids = {flow.insist(client, flow.small_job(name, "wiped")) for name in names[:6]}
        _wipe_broker(platform)
        uids |= {flow.insist(client, flow.small_job(name, "wiped")) for name in names[6:]}
        ended = flow.wait_all_over(client, names, 200)
        assert {ended[name] for name in names} == {"Complete"}
        until(lambda: len(flow.versions(client, "wiped")) >= 12, 90, "twelve versions")
        assert len(flow.versions(client, "wiped")) == 12
    succeeded = flow.counted(flow.change_log(platform, "trainer"), "training.trainjob.succeeded.v1")
    assert {uid: n for uid, n in succeeded.items() if uid in uids} == dict.fromkeys(uids, 1)


def _wipe_broker(platform: Platform) -> None:
    """Kill the broker and remove everything it kept."""
    [store] = [path for path in Path(platform.home).rglob("jetstream") if path.is_dir()]
    pids = [pid for pid, command in processes_of(platform.home).items() if "nats-server" in command]
    assert pids, "no broker runs"
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    shutil.rmtree(store, ignore_errors=True)
