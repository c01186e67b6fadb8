"""Kill -9 of every part while jobs flow, a wiped broker, a platform that is ended half-way: each job ends exactly once.

What is promised when the spawner, the parent of all containers, is killed: everything that it ran dies with it. The
platform's pods come back under new attempts; a job's pod is lost, which is no failure, so its Job makes another one
and the program runs again (at least once); in the state that users see the job still ends once.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import threading
from pathlib import Path

import pytest
from millstream.client import Client

from tests.door import Door
from tests.e2e import broker, flow
from tests.platform import Platform, processes_of, until

SEED = int(os.environ.get("MILLSTREAM_TEST_SEED", "7"))
SERVICES = ("trainer", "scheduler", "registry", "serving", "gateway")
MARKS = {name: f"-m services.{name}" for name in SERVICES} | {
    "nats": "nats-server ",
    "edge": "caddy run",
    "s3": "rclone serve s3",
    "node": "-m services.node --home",
    "spawner": "-m services.node.runtime.spawner",
}
VICTIMS = tuple(MARKS)


def pids_of(platform: Platform, name: str) -> list[int]:
    """Living processes of one part; a workload of a service (`-m services.serving.workloads...`) is not the service."""
    mark = MARKS[name]
    return [
        pid for pid, command in processes_of(platform.home).items() if mark in f"{command} " and _whole(command, mark)
    ]


def _whole(command: str, mark: str) -> bool:
    rest = command.split(mark, 1)[1]
    return not rest or rest[0] in " \0" or mark.endswith(" ")


class Killer(threading.Thread):
    """Kills one part after the other, in a random order from a seed, until it is told to stop."""

    def __init__(self, platform: Platform, pause_s: tuple[float, float] = (0.4, 1.8)) -> None:
        super().__init__(daemon=True)
        self.platform, self.pause_s = platform, pause_s
        self.random = random.Random(SEED)
        self.killed: list[str] = []
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.wait(self.random.uniform(*self.pause_s)):
            name = self.random.choice([v for v in VICTIMS if v not in self.killed] or VICTIMS)
            pids = pids_of(self.platform, name)
            if name in ("node", "spawner") and not (
                pids_of(self.platform, "node") and pids_of(self.platform, "spawner")
            ):
                continue  # each brings the other back; both dead at once is `millstream up`'s business
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            if pids:
                self.killed.append(name)


@pytest.mark.timeout(420)
def test_fifty_jobs_survive_the_kill_of_every_part(platform: Platform) -> None:
    names = [f"small-{i:02d}" for i in range(50)]
    killer = Killer(platform)
    with Client.from_home(platform.home) as client:
        killer.start()
        uids = {flow.insist(client, flow.small_job(name)) for name in names}
        until(lambda: set(VICTIMS) <= set(killer.killed), 120, f"every part killed (seed {SEED}): {killer.killed}")
        killer.done.set()
        killer.join()
        ended = flow.wait_all_over(client, names, 240)
        assert {ended[name] for name in names} == {"Complete"}, ended
        assert len(uids) == 50, "a repeated apply made a second object"
        _recorded_once(client, flow.MODEL, 50)
    _nothing_lost(platform, uids)
    _one_of_each(platform)


def _recorded_once(client: Client, model: str, count: int) -> None:
    until(lambda: len(flow.insist_versions(client, model)) >= count, 60, f"{count} versions")
    recorded = [version["name"] for version in flow.insist_versions(client, model)]
    assert len(recorded) == len(set(recorded)) == count


def _nothing_lost(platform: Platform, uids: set[str]) -> None:
    """Said once, marked, and in the stream. A start is told when it was seen, so at most once."""
    trainer = flow.change_log(platform, "trainer")
    of_ours = {
        kind: _counted(trainer, f"training.trainjob.{kind}.v1", uids) for kind in ("created", "started", "succeeded")
    }
    assert of_ours["created"] == dict.fromkeys(uids, 1)
    assert max(of_ours["started"].values(), default=1) == 1
    assert of_ours["succeeded"] == dict.fromkeys(uids, 1)
    assert not _counted(trainer, "training.trainjob.failed.v1", uids)
    registered = _counted(flow.change_log(platform, "registry"), "registry.modelversion.created.v1", uids)
    assert registered == dict.fromkeys(uids, 1)
    for service in ("trainer", "scheduler", "registry", "serving"):
        until(lambda: all(x.marked for x in flow.change_log(platform, service)), 30, f"{service}: every letter said")  # noqa: B023
    said = {letter.get("id") for letter in broker.letters(platform)}
    for service in ("trainer", "scheduler", "registry", "serving"):
        owed = {letter.id for letter in flow.change_log(platform, service)}
        assert owed <= said, f"{len(owed - said)} letters of {service} are not in the stream"


def _counted(log: list[flow.Said], kind: str, uids: set[str]) -> dict[str, int]:
    return {uid: count for uid, count in flow.counted(log, kind).items() if uid in uids}


def _one_of_each(platform: Platform) -> None:
    """No orphan: one process a part, no job's program, and all but the node descend from the spawner."""
    until(lambda: all(len(pids_of(platform, name)) == 1 for name in VICTIMS), 30, "one process of each part")
    until(lambda: not _programs(platform), 30, "no job's program left")
    [spawner], [node] = pids_of(platform, "spawner"), pids_of(platform, "node")

    def orphans() -> dict[int, str]:
        found = processes_of(platform.home).items()
        return {pid: said for pid, said in found if pid not in (spawner, node) and spawner not in _ancestors(pid)}

    until(lambda: not orphans(), 30, "no orphan is left")  # one that ends while it is looked at has no parents


def _programs(platform: Platform) -> list[int]:
    return [pid for pid, command in processes_of(platform.home).items() if flow.MARK in command]


def _ancestors(pid: int) -> list[int]:
    found: list[int] = []
    while pid > 1:
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
        except OSError:  # ended meanwhile
            return found
        found.append(pid)
    return found


@pytest.mark.timeout(300)
def test_a_wiped_broker_costs_time_and_nothing_else(platform: Platform) -> None:
    names = [f"wipe-{i:02d}" for i in range(12)]
    with Client.from_home(platform.home) as client:
        uids = {flow.insist(client, flow.small_job(name, "wiped")) for name in names[:6]}
        _wipe_broker(platform)
        uids |= {flow.insist(client, flow.small_job(name, "wiped")) for name in names[6:]}
        ended = flow.wait_all_over(client, names, 200)
        assert {ended[name] for name in names} == {"Complete"}
        _recorded_once(client, "wiped", 12)
    _nothing_lost(platform, uids)  # also what was said before: the new stream is told all that is retained


def _wipe_broker(platform: Platform) -> None:
    """Kill the broker and remove everything it kept."""
    [store] = [path for path in Path(platform.home).rglob("jetstream") if path.is_dir()]
    pids = pids_of(platform, "nats")
    assert pids, "no broker runs"
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    shutil.rmtree(store, ignore_errors=True)


@pytest.mark.timeout(300)
def test_up_goes_on_after_down_in_the_middle_and_after_the_loss_of_node_and_spawner(platform: Platform) -> None:
    names = [f"pause-{i:02d}" for i in range(10)]
    with Door() as door:
        jobs = [flow.small_job(name, "paused") for name in names]
        for job in jobs:
            job["spec"]["trainer"]["command"][-1] = f"{door.wait}  # {flow.MARK}"
        with Client.from_home(platform.home) as client:
            uids = {flow.insist(client, job) for job in jobs}
            until(lambda: _programs(platform), 60, "a job running")
        platform.run("down")
        assert processes_of(platform.home) == {}
        platform.run("up", "--detach")
        until(lambda: _programs(platform), 60, "a job running again")
        for pid in pids_of(platform, "node") + pids_of(platform, "spawner"):
            os.kill(pid, signal.SIGKILL)  # now nobody is left to bring anything back
        platform.run("up", "--detach")
    with Client.from_home(platform.home) as client:
        ended = flow.wait_all_over(client, names, 120)
        assert {ended[name] for name in names} == {"Complete"}
        _recorded_once(client, "paused", 10)
    _nothing_lost(platform, uids)
    _one_of_each(platform)
