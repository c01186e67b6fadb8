"""Kills of the node and of the spawner at any moment lose no container and no exit code, and leave no orphan."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from services.node.ports import HostAlias
from services.node.runtime import procfs, records
from services.node.runtime.control import at_rest, stop_everything
from services.node.runtime.local import LocalRuntime, RuntimeConfig
from services.node.runtime.spawner import strays
from tests.node.runtime.conftest import LIGHT, Bench, bench_in, gone

COLD = RuntimeConfig(warm_platform=False, ml="off", preload=LIGHT)
BRIEF = {"MILLSTREAM_WARM": "python"}
NODE = """
import asyncio, json, sys
from pathlib import Path
from services.node.ports import ContainerSpec, PodSandbox
from services.node.runtime.local import LocalRuntime, RuntimeConfig

async def main(home):
    command = (sys.executable, "-c", sys.argv[2], home, sys.argv[2])
    runtime = await LocalRuntime.open(home, RuntimeConfig(node_command=command, warm_platform=False, ml="off"))
    known = await runtime.adopt()
    with open(f"{home}/starts", "a") as file:
        file.write(json.dumps([type(each).__name__ for each in known]) + "\\n")
    if not known:
        await runtime.start_pod(PodSandbox("u", "ns", "u", "127.0.0.1", "u"))
        await runtime.start_container(ContainerSpec("u", "main", 0, "nats", ("sleep", "99")))
    await asyncio.sleep(99)

asyncio.run(main(sys.argv[1]))
"""


async def test_an_exit_that_no_node_saw_is_told_to_the_next(tmp_path: Path) -> None:
    async with bench_in(tmp_path / "home") as bench:
        running = await bench.start("sleep", "99")
        spec = await bench.start("sh", "-c", "echo start; sleep 0.3; echo end; exit 6")
        pid = (await bench.running(running)).pid
        await bench.close()
        await asyncio.sleep(0.6)
        runtime = await LocalRuntime.open(tmp_path / "home", COLD)
        known = {(each.pod_uid, type(each).__name__): each for each in await runtime.adopt()}
        await runtime.close()
        assert known[running.pod_uid, "ContainerStarted"].pid == pid
        assert known[spec.pod_uid, "ContainerExited"].exit_code == 6
        assert bench.log(spec) == "start\nend"


async def test_a_killed_spawner_is_replaced_and_its_containers_are_lost_not_forgotten(bench: Bench) -> None:
    cold = await bench.start("sh", "-c", "sleep 98 & sleep 99")
    warm = await bench.start("python", "-c", "import time; time.sleep(99)")
    wiped = await bench.start("env", "-i", "sleep", "97")
    pids = [(await bench.running(spec)).pid for spec in (cold, warm, wiped)]
    pids += procfs.children(pids[0])
    os.kill(bench.runtime.info["pid"], signal.SIGKILL)
    for spec in (cold, warm, wiped):
        ended = await bench.end(spec)
        assert (ended.exit_code, ended.reason) == (137, "ContainerStatusUnknown")
    assert len(pids) >= 3
    assert all(gone(pid) or not procfs.alive(pid) for pid in pids)
    again, text = await bench.run("echo", "on it goes", pod=cold.pod_uid, attempt=1)
    assert (again.exit_code, text) == (0, "on it goes")


async def test_what_a_shutdown_ended_is_told_apart_from_what_ended_by_itself(tmp_path: Path) -> None:
    async with bench_in(tmp_path / "home") as bench:
        polite = await bench.start("sh", "-c", "trap 'exit 3' TERM; echo ready; while :; do sleep 0.01; done")
        killed, (done, _) = await bench.start("sleep", "99"), await bench.run("sh", "-c", "exit 4")
        for spec in (polite, killed):
            await bench.running(spec)
        async with asyncio.timeout(30):
            while "ready" not in bench.log(polite):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await bench.close()
        assert await asyncio.to_thread(stop_everything, tmp_path / "home", 2)
        runtime = await LocalRuntime.open(tmp_path / "home", COLD)
        known = {each.pod_uid: (each.exit_code, each.reason) for each in await runtime.adopt()}
        await runtime.close()
        assert known[polite.pod_uid] == (3, "NodeShutdown")
        assert known[killed.pod_uid] == (143, "NodeShutdown")
        assert known[done.pod_uid] == (4, "Error")


async def test_a_killed_fork_server_costs_nothing_but_time(bench: Bench) -> None:
    await bench.run("python", "-c", "print(1)")
    info = await bench.runtime._ask({"op": "info"})
    os.kill(info["zygotes"]["platform"]["pid"], signal.SIGKILL)
    _, text = await bench.run("python", "-c", "print(2)")
    assert text == "2"


def test_a_record_is_written_over_the_old_one_whole_and_makes_no_file_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "records" / "main.0.json"
    for record in ({"pod": "a"}, {"pod": "a", "started_at": 12.3456789}, {"pod": "a", "started_at": 1.5}):
        records.write(path, record)
        assert records.read(path) == record
        assert [found.name for found in path.parent.iterdir()] == [path.name]


async def test_a_new_node_reads_a_pods_address_from_its_hosts_file(bench: Bench) -> None:
    pod = await bench.pod(hosts=(HostAlias("10.0.0.1", ("other", "far")),))
    known = bench.runtime._own(pod)
    bench.runtime._owns.clear()
    assert await bench.runtime.update_hosts(pod, ()) and bench.runtime._own(pod) == known == ("127.0.0.1", pod)
    assert not await bench.runtime.update_hosts("not-started", ())


async def _parked(bench: Bench) -> set[int]:
    """The children of the small fork server that wait for their programs, as soon as there are some."""
    info = await bench.runtime._ask({"op": "info"})
    servers = {server["pid"] for server in info["zygotes"].values()}
    async with asyncio.timeout(30):
        while not (found := set(procfs.children(info["pid"])) - servers):  # noqa: ASYNC110 (nobody tells of forks)
            await asyncio.sleep(0.01)
    return found


async def _all_gone(pids: set[int]) -> None:
    async with asyncio.timeout(30):
        while any(procfs.alive(pid) and not gone(pid) for pid in pids):  # noqa: ASYNC110 (who ends tells its parent)
            await asyncio.sleep(0.01)


async def test_a_child_that_was_forked_ahead_runs_one_program_and_its_death_costs_nothing(bench: Bench) -> None:
    async def pid() -> int:
        return int((await bench.run("python", "-c", "import os; print(os.getpid())", env=BRIEF))[1])

    await pid()
    waiting = await _parked(bench)
    used = [await pid() for _ in waiting]
    assert set(used) == waiting and len(used) > 1, "each runs one program, and all are used before there are others"
    waiting = await _parked(bench)
    for each in waiting:
        os.kill(each, signal.SIGKILL)
    await _all_gone(waiting)
    assert await pid() not in waiting
    waiting, info = await _parked(bench), await bench.runtime._ask({"op": "info"})
    os.kill(info["zygotes"]["python"]["pid"], signal.SIGKILL)
    assert await pid() not in waiting
    await _all_gone(waiting)


def _node(home: Path, **more: Any) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    return subprocess.Popen([sys.executable, "-c", NODE, str(home), NODE], env=environment, **more)


async def _starts(home: Path, count: int) -> list[list[str]]:
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(OSError):
                lines = (home / "starts").read_text().splitlines()
                if len(lines) >= count:
                    return [json.loads(line) for line in lines]
            await asyncio.sleep(0.02)


async def test_a_killed_node_is_started_again_and_adopts_what_runs(tmp_path: Path) -> None:
    home = tmp_path / "home"
    node = _node(home)
    try:
        await _starts(home, 1)
        async with asyncio.timeout(30):
            while not strays.marked(_paths(home), also_servers=False):  # noqa: ASYNC110 (the process is nobody's child)
                await asyncio.sleep(0.02)
        node.kill()
        node.wait()
        assert (await _starts(home, 2)) == [[], ["ContainerStarted"]]
    finally:
        assert await asyncio.to_thread(stop_everything, home, 0.5)
    assert _of_home(home) == []


def _paths(home: Path):  # type: ignore[no-untyped-def]
    from services.node.runtime.paths import HomePaths

    return HomePaths(home)


def _of_home(home: Path) -> list[int]:
    mark = str(home).encode()
    return [pid for pid in procfs.all_pids() if mark in procfs._read(f"/proc/{pid}/cmdline") and procfs.alive(pid)]


async def test_a_shutdown_ends_everything_also_without_a_spawner(tmp_path: Path) -> None:
    for kill_spawner in (False, True):
        home = tmp_path / f"home-{kill_spawner}"
        bench = Bench(await LocalRuntime.open(home, COLD))
        graceful = await bench.start("sh", "-c", "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.02; done")
        await bench.logged(graceful, "up")
        detached = await bench.start("bash", "-c", "setsid -f sleep 98; echo up; sleep 99")
        await bench.logged(detached, "up")
        pids = strays.marked(bench.runtime.paths)
        assert len(pids) >= 3
        await bench.close()
        if kill_spawner:
            os.kill(bench.runtime.info["pid"], signal.SIGKILL)
        assert await asyncio.to_thread(stop_everything, home, 5)
        assert not any(procfs.alive(pid) for pid in pids)
        assert strays.marked(bench.runtime.paths) == []
        assert kill_spawner or bench.log(graceful) == "up\nbye"


async def test_a_shutdown_ends_a_node_whose_spawner_was_killed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    node = _node(home)
    await _starts(home, 1)
    os.kill(_spawners(node.pid)[0], signal.SIGKILL)
    assert await asyncio.to_thread(stop_everything, home, 0.5)
    await asyncio.to_thread(node.wait)
    assert _of_home(home) == []
    assert await asyncio.to_thread(stop_everything, home, 0.5)


async def test_a_spawner_that_could_not_take_the_node_is_asked_again(tmp_path: Path) -> None:
    home, record = tmp_path / "home", _paths(tmp_path / "home").node_record
    with (tmp_path / "words").open("w") as words:
        node = _node(home, stderr=words)
    try:
        await _starts(home, 1)
        record.unlink()
        (record / "in the way").mkdir(parents=True)  # the spawner cannot write down who its node is
        os.kill(_spawners(node.pid)[0], signal.SIGKILL)
        async with asyncio.timeout(30):
            while "no spawner for" not in (tmp_path / "words").read_text():  # noqa: ASYNC110 (a file tells nobody)
                await asyncio.sleep(0.02)
        shutil.rmtree(record)
        async with asyncio.timeout(30):
            while not record.is_file():  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert json.loads(record.read_text())["pid"] == node.pid
    finally:
        assert await asyncio.to_thread(stop_everything, home, 0.5)
        await asyncio.to_thread(node.wait)


async def test_a_new_spawner_brings_back_a_node_that_was_killed_before_it_could_say_a_word(tmp_path: Path) -> None:
    home = tmp_path / "home"
    node = _node(home)
    try:
        await _starts(home, 1)
        [old] = _spawners(node.pid)
        os.kill(old, signal.SIGKILL)
        async with asyncio.timeout(30):
            while not (new := [pid for pid in _spawners(node.pid) if pid != old]):  # noqa: ASYNC110
                await asyncio.sleep(0)
        os.kill(new[0], signal.SIGSTOP)  # it is only just beginning
        node.kill()
        await asyncio.to_thread(node.wait)
        os.kill(new[0], signal.SIGCONT)
        await _starts(home, 2)
    finally:
        assert await asyncio.to_thread(stop_everything, home, 0.5)


def _spawners(node: int) -> list[int]:
    """Those that this node has begun; not what they have forked, which for a moment looks like them."""
    mine = [pid for pid in procfs.children(node) if procfs.alive(pid)]
    return [pid for pid in mine if b"services.node.runtime.spawner" in procfs.command_line(pid)]


async def test_a_home_whose_node_and_spawner_died_together_is_put_to_rest(tmp_path: Path) -> None:
    home = tmp_path / "home"
    bench = Bench(await LocalRuntime.open(home, COLD))
    left = await bench.start("bash", "-c", "setsid -f sleep 98; echo up; sleep 99")
    await bench.logged(left, "up")
    pids = strays.marked(bench.runtime.paths)
    assert pids and not at_rest(home)
    spawner = bench.runtime.info["pid"]
    await bench.close()
    os.kill(spawner, signal.SIGKILL)
    async with asyncio.timeout(30):
        while procfs.alive(spawner):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert at_rest(home)
    assert not any(procfs.alive(pid) for pid in pids)
    assert await asyncio.to_thread(stop_everything, home, 0.5)


async def test_a_shutdown_finds_what_runs_for_a_home_that_was_deleted(tmp_path: Path) -> None:
    bench = Bench(await LocalRuntime.open(tmp_path / "home", COLD))
    pid = (await bench.running(await bench.start("sleep", "99"))).pid
    spawner = bench.runtime.info["pid"]
    await bench.close()
    await asyncio.to_thread(shutil.rmtree, tmp_path / "home")
    assert await asyncio.to_thread(stop_everything, tmp_path / "home", 0.5)
    assert not procfs.alive(pid)
    assert not procfs.alive(spawner)


async def test_users_pods_stop_before_services_and_services_before_infrastructure(tmp_path: Path) -> None:
    bench = Bench(await LocalRuntime.open(tmp_path / "home", COLD))
    script = "trap 'date +%s%N; exit 0' TERM; echo up; while :; do sleep 0.02; done"
    specs = []
    for image, trusted in (("nats:2", True), ("millstream/trainer", True), ("python:3", False)):
        specs.append(await bench.start("sh", "-c", script, image=image, trusted=trusted))
        await bench.logged(specs[-1], "up")
    await bench.close()
    assert await asyncio.to_thread(stop_everything, tmp_path / "home", 5)
    ends = [int(bench.log(spec).splitlines()[-1]) for spec in specs]
    assert ends == sorted(ends, reverse=True)


async def test_a_home_deeper_than_a_socket_name_works(tmp_path: Path) -> None:
    async with bench_in(tmp_path / ("d" * 120) / "home") as bench:
        assert (await bench.run("echo", "deep"))[1] == "deep"


async def test_an_idle_spawner_sleeps(bench: Bench) -> None:
    await bench.start("sleep", "99")
    async with asyncio.timeout(30):  # a busy machine is a while with what was begun
        before = None
        while before != (now := (procfs._stat(bench.runtime.info["pid"])[11:13], _switches(bench))):
            before = now
            await asyncio.sleep(1.5)


def _switches(bench: Bench) -> str:
    status = Path(f"/proc/{bench.runtime.info['pid']}/status").read_text()
    return next(line for line in status.splitlines() if line.startswith("voluntary_ctxt"))
