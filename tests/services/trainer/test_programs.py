"""The programs that plugins put into pods, as processes."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.trainer.plugins.several import PROGRAMS
from tests.platform import free_ports

AGENT, PROCESSES = PROGRAMS / "agent.py", PROGRAMS / "processes.py"


def _environment(folder: Path, port: int, token: str) -> dict[str, str]:
    (folder / token).write_text(token)
    told = {"PORT": str(port), "ADDRESS": "127.0.0.1", "TOKEN": str(folder / token)}
    return {**os.environ, **{f"MILLSTREAM_AGENT_{name}": value for name, value in told.items()}}


@pytest.fixture
def node(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """An agent that serves, and its port."""
    (port,) = free_ports(1)
    environment = _environment(tmp_path, port, "right")
    process = subprocess.Popen(
        [sys.executable, str(AGENT), "serve"], env=environment, text=True, stdout=subprocess.PIPE
    )
    assert process.stdout and "waiting" in process.stdout.readline()
    yield process, port
    process.kill()
    process.wait()


def _call(folder: Path, port: int, token: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(AGENT), "call", "127.0.0.1", *words]
    return subprocess.run(command, env=_environment(folder, port, token), text=True, capture_output=True, timeout=30)


def test_a_command_runs_on_the_node_and_its_words_and_end_come_back(node, tmp_path: Path):
    done = _call(tmp_path, node[1], "right", "echo", "$((6 * 7));", "exit", "3")
    assert (done.stdout, done.returncode) == ("42\n", 3)


def test_who_does_not_know_the_jobs_token_gets_no_shell(node, tmp_path: Path):
    done = _call(tmp_path, node[1], "wrong", "touch", str(tmp_path / "made"))
    assert done.returncode == 255 and "does not know this job's token" in done.stdout
    assert not (tmp_path / "made").exists()


def test_a_node_that_was_told_that_all_is_over_ends_well(node, tmp_path: Path):
    assert _call(tmp_path, node[1], "right", "\0bye".replace("\0", "")).returncode == 127, "that is only a word"
    code = "import sys; sys.path.insert(0, sys.argv[1]); import agent; sys.exit(agent.ask('127.0.0.1', agent.BYE))"
    environment = _environment(tmp_path, node[1], "right")
    assert subprocess.run([sys.executable, "-c", code, str(PROGRAMS)], env=environment, timeout=30).returncode == 0
    assert node[0].wait(10) == 0


def _run(count: int, code: str, **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PROCESSES), str(count), "RANK", "TF_CONFIG", "--", sys.executable, "-c", code]
    environment = {**os.environ, "JOB_COMPLETION_INDEX": "1", **more}
    return subprocess.run(command, env=environment, text=True, capture_output=True, timeout=30)


def test_copies_on_a_node_are_numbered_among_all_of_the_job():
    words = "{os.environ['RANK']} {os.environ['LOCAL_RANK']} {json.loads(os.environ['TF_CONFIG'])}"
    code = f'import os, json; os.write(1, f"{words}\\n".encode())'
    told = json.dumps({"task": {"type": "worker", "index": 1}})
    done = _run(2, code, TF_CONFIG=told)
    ranks = sorted(line.split(" {")[0] for line in done.stdout.splitlines())
    assert done.returncode == 0 and ranks == ["2 0", "3 1"]
    assert "'index': 3" in done.stdout


def test_the_first_copy_that_fails_ends_the_others():
    code = "import os, sys, time; sys.exit(7) if os.environ['LOCAL_RANK'] == '1' else time.sleep(60)"
    assert _run(2, code, TF_CONFIG="").returncode == 7
