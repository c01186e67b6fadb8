"""What a container owes its owner, whatever it runs."""

from __future__ import annotations

import asyncio
import signal

import pytest

from services.node.ports import Limits
from services.node.runtime import cgroups
from tests.node.runtime.conftest import Bench, gone


async def test_the_exit_code_and_both_streams_of_a_program_arrive(bench: Bench) -> None:
    ended, _ = await bench.run(
        "sh", "-c", "echo out; echo err >&2; printf last; exit 3", pod=(pod := await bench.pod())
    )
    assert (ended.exit_code, ended.signal, ended.reason) == (3, None, "Error")
    spec = await bench.start("sh", "-c", "echo out; echo err >&2; printf last", pod=pod, attempt=1)
    assert (await bench.end(spec)).reason == "Completed"
    assert bench.log(spec, "stdout") == "out\nlast"
    assert bench.log(spec, "stderr") == "err"


async def test_a_program_that_is_not_there_is_a_start_error_with_its_name(bench: Bench) -> None:
    ended, _ = await bench.run("no-such-program")
    assert (ended.exit_code, ended.reason) == (128, "StartError")
    assert "no-such-program" in ended.message
    assert "executable file not found in $PATH" in ended.message


async def test_a_python_program_is_forked_from_the_warm_server(bench: Bench) -> None:
    code = "import sys, os; print('xml.dom' in sys.modules, os.getsid(0) == os.getpid(), sys.argv, os.environ['X'])"
    ended, text = await bench.run("python", "-c", code, "a", env={"X": "y"})
    assert text == "True True ['-c', 'a'] y"
    assert ended.exit_code == 0


async def test_grace_ends_in_force(bench: Bench) -> None:
    spec = await bench.start("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done")
    await bench.logged(spec, "ready")
    await bench.runtime.kill_pod(spec.pod_uid, 0.3)
    ended = await bench.end(spec)
    assert (ended.exit_code, ended.signal, ended.reason) == (137, 9, "Error")


async def test_a_program_may_use_its_grace(bench: Bench) -> None:
    spec = await bench.start("sh", "-c", "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.05; done")
    await bench.logged(spec, "ready")
    await bench.runtime.kill_pod(spec.pod_uid, 20)
    assert (await bench.end(spec)).exit_code == 0
    assert bench.log(spec) == "ready\nbye"


async def test_what_a_container_leaves_behind_ends_with_it(bench: Bench) -> None:
    daemon = "import os,time; os.fork() and os._exit(0); os.setsid(); os.fork() and os._exit(0);"
    daemon += "print(os.getpid(), flush=True); time.sleep(99)"
    ended, text = await bench.run("bash", "-c", f'setsid python -c "{daemon}"; sleep 0.3')
    assert ended.exit_code == 0
    assert gone(int(text))


async def test_the_same_start_twice_runs_once(bench: Bench) -> None:
    spec = await bench.start("sh", "-c", "echo once")
    await bench.runtime.start_container(spec)
    await bench.end(spec)
    await bench.runtime.start_container(spec)
    await asyncio.sleep(0.1)
    assert bench.log(spec) == "once"


async def test_a_signal_reaches_the_first_process(bench: Bench) -> None:
    spec = await bench.start("sh", "-c", "trap 'echo got; exit 7' USR1; echo ready; while :; do sleep 0.02; done")
    await bench.logged(spec, "ready")
    await bench.runtime.signal(spec.pod_uid, "main", signal.SIGUSR1)
    assert (await bench.end(spec)).exit_code == 7


async def test_too_much_memory_is_a_kill_named_oomkilled(bench: Bench) -> None:
    limits = Limits(memory_bytes=64 << 20)
    ended, _ = await bench.run("python", "-c", "x = bytearray(1 << 28); import time; time.sleep(9)", limits=limits)
    assert (ended.exit_code, ended.reason) == (137, "OOMKilled")


async def test_a_command_beside_the_container_sees_what_it_sees(bench: Bench) -> None:
    spec = await bench.start("sh", "-c", "echo hi > /tmp/mine; echo ready; sleep 99", env={"WHO": "me"})
    await bench.logged(spec, "ready")
    answer = await bench.runtime.exec(spec.pod_uid, "main", ["sh", "-c", "echo $WHO; cat /tmp/mine; exit 4"], 5)
    assert (answer.exit_code, answer.output, answer.timed_out) == (4, "me\nhi\n", False)
    late = await bench.runtime.exec(spec.pod_uid, "main", ["sleep", "30"], 0.2)
    assert late.timed_out


async def test_a_removed_pod_leaves_nothing(bench: Bench) -> None:
    spec = await bench.start("sleep", "99")
    pid = (await bench.running(spec)).pid
    await bench.runtime.remove_pod(spec.pod_uid)
    assert gone(pid)
    assert not bench.runtime.pod_path(spec.pod_uid).exists()
    assert await bench.runtime.adopt() == []


async def test_a_cpu_limit_is_a_quota_where_groups_may_be_made(bench: Bench) -> None:
    spec = await bench.start("sh", "-c", "sleep 99", limits=Limits(cpu_cores=0.5, memory_bytes=64 << 20))
    pid = (await bench.running(spec)).pid
    probe = cgroups.make(str(bench.runtime.paths.home), "probe", None, 1.0)
    if probe is None:
        pytest.skip("this account may make no cgroups")
    probe.remove()
    folder = probe.folders["cpu"].with_name(f"{spec.pod_uid}-main-0")
    assert int((folder / "cgroup.procs").read_text().split()[0]) == pid
    quota = folder / "cpu.cfs_quota_us"
    assert (quota if quota.exists() else folder / "cpu.max").read_text().split()[0] == "50000"
    await bench.runtime.remove_pod(spec.pod_uid)
    assert not folder.exists()


async def test_a_kill_before_the_start_is_done_runs_nothing(bench: Bench) -> None:
    spec = await bench.start("python", "-c", "print('ran')")
    await bench.runtime.kill_pod(spec.pod_uid, 0)
    ended = await bench.end(spec)
    assert (ended.exit_code, ended.signal) == (137, 9)
    answer = await bench.runtime.exec(spec.pod_uid, "main", ["true"], 1)
    assert answer.exit_code == 126
