"""What Tilt's live update relies on: a changed file is in force as soon as the process can start again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from libs.testing.bus_server import NatsServer
from tests.platform import free_ports, until

ROOT = Path(__file__).resolve().parents[2]
RELOAD = ROOT / "sdk" / "millstream" / "dev" / "reload.py"
MOST_S = 2.0


@contextmanager
def reloading(folder: Path, *command: str, **environ: str) -> Iterator[subprocess.Popen[bytes]]:
    """`reload.py FOLDER -- COMMAND`, ended afterwards."""
    words = [sys.executable, str(RELOAD), str(folder), "--", *command]
    process = subprocess.Popen(words, cwd=folder, env={**os.environ, **environ}, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


def test_a_command_starts_again_when_a_file_changes_and_ends_with_the_reloader(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    code = tmp_path / "code"
    code.mkdir()
    (code / "say.py").write_text("WORD = 'one'\n")
    program = f"import os, time, say; open({str(out)!r} + '/' + say.WORD, 'w').write(str(os.getpid())); time.sleep(60)"
    with reloading(code, sys.executable, "-c", program) as process:
        until(lambda: (out / "one").exists(), 30, "the first start")
        (code / "say.py").write_text("WORD = 'another'\n")
        until(lambda: (out / "another").exists(), MOST_S, "the second start")
        (code / "say.py").write_text("this is no Python\n")
        time.sleep(1)
        assert process.poll() is None, "a broken edit must not end the pod"
        (code / "say.py").write_text("WORD = 'mended'\n")
        until(lambda: (out / "mended").exists(), MOST_S + 1, "the start after a broken one")
        last = int((out / "mended").read_text() or 0)
    assert process.returncode == -signal.SIGTERM or process.returncode in (143, 241)
    assert not Path(f"/proc/{last}").exists(), "the command outlived the reloader"


@pytest.mark.timeout(120)
async def test_a_real_service_is_replaced_at_once_and_answers_with_the_changed_code(tmp_path: Path) -> None:
    """What is ours is from the edit to the new process; from there it is the service's own start, printed beside."""
    for name in ("contracts", "libs", "services"):
        shutil.copytree(ROOT / name, tmp_path / "code" / name)
    server = NatsServer(tmp_path / "nats")
    await server.start()
    [port] = free_ports(1)
    environ = {
        "MILLSTREAM_STORE_URL": f"sqlite:///{tmp_path}/registry.db",
        "MILLSTREAM_NATS_URL": server.url,
        "MILLSTREAM_NATS_MONITOR_URL": server.monitor_url,
        "MILLSTREAM_INSECURE": "true",
        "MILLSTREAM_PORT": str(port),
        "MILLSTREAM_LINGER_S": "0",
    }
    probes = tmp_path / "code" / "libs" / "service" / "probes.py"
    try:
        began = time.monotonic()
        with reloading(tmp_path / "code", sys.executable, "-m", "services.registry", **environ) as process:
            until(lambda: live(port) == "ok", 60, "the service's start")
            start_s, before = time.monotonic() - began, children(process.pid)
            began = time.monotonic()
            probes.write_text(probes.read_text().replace('b"ok"', 'b"changed"'))
            until(lambda: children(process.pid) not in (before, []), 30, "another process", every_s=0.02)
            replaced_s = time.monotonic() - began
            until(lambda: live(port) == "changed", 60, "the service with the changed code", every_s=0.02)
            took_s = time.monotonic() - began
    finally:
        server.kill()
    print(f"start {start_s:.2f} s; from the edit: new process {replaced_s:.2f} s, first answer {took_s:.2f} s")
    assert replaced_s < MOST_S


def children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def live(port: int) -> str:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/livez", trust_env=False, timeout=2).text
    except httpx.HTTPError:
        return ""
