"""Starting and ending the spawner of a home, also for the `millstream` command; it must not assume a living node."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from services.node.runtime import cgroups, procfs, records, wire
from services.node.runtime.paths import SYSTEM_PATH, HomePaths, dial
from services.node.runtime.spawner import strays

ROOT = Path(__file__).resolve().parents[3]
ROUNDS_MAX = 3
CALM_LOOKS, LOOK_S = 3, 0.02


def start_spawner(
    paths: HomePaths, options: Mapping[str, Any], command: Mapping[str, Any] | None
) -> subprocess.Popen[bytes]:
    """Starts it detached; one that finds another alive leaves by itself.

    It is born with the `command` that brings this process back, so that the two never wait for each other.
    """
    paths.make()
    environment = {"PATH": SYSTEM_PATH, "PYTHONPATH": str(ROOT), "HOME": str(paths.home)}
    argv = [sys.executable, "-S", "-m", "services.node.runtime.spawner", str(paths.home), json.dumps(dict(options))]
    with (paths.logs / "spawner.log").open("ab") as log, open(os.memfd_create("node"), "w+b") as told:
        if command is not None:
            pid = os.getpid()
            told.write(json.dumps({"pid": pid, "ticks": procfs.start_ticks(pid), "command": command}).encode())
            told.seek(0)  # whole before the program begins: this process may end at any moment
        return subprocess.Popen(
            argv, env=environment, stdin=told, stdout=log, stderr=log, start_new_session=True, cwd="/"
        )


def stop_everything(home: str | Path, grace_s: float = 10.0, patience_s: float = 60.0) -> bool:
    """Ends the node, all containers and the spawner of `home`; True when nothing of it is left. Safe to repeat.

    A node that lost its spawner is about to start another, hence the rounds; one that is only just starting has no
    door yet, and no containers: it is killed.
    """
    paths = HomePaths(home)
    if not paths.node.exists():
        _kill_spawners(paths)
        strays.reap(paths)
        return not strays.marked(paths)
    deadline = time.monotonic() + patience_s
    for _ in range(ROUNDS_MAX):
        _order_shutdown(paths, grace_s, deadline)
        _kill_node(paths)
        _kill_spawners(paths)
        strays.reap(paths)
        if not _listening(paths) and not strays.marked(paths) and not _programs(paths):
            break
    cgroups.remove_home(str(paths.home))
    return not _listening(paths) and not strays.marked(paths) and not _programs(paths)


def _order_shutdown(paths: HomePaths, grace_s: float, deadline: float) -> None:
    """Orders it and reads until the spawner hangs up, which it does last of all; one that never does is killed."""
    try:
        line = dial(paths.socket)
    except OSError:
        return
    with line:
        line.sendall(wire.pack({"op": "shutdown", "grace_s": grace_s, "id": 1}))
        try:
            while True:
                line.settimeout(max(0.1, deadline - time.monotonic()))
                if not line.recv(4096):
                    return
        except TimeoutError:
            pid = struct.unpack("3i", line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
            os.kill(pid, signal.SIGKILL)
        except ConnectionError:
            return


def _kill_node(paths: HomePaths) -> None:
    """A node that is still there after an orderly shutdown had no spawner to tell it."""
    record = records.read(paths.node_record) or {}
    pid = record.get("pid")
    if pid and pid != os.getpid() and procfs.start_ticks(pid) == record.get("ticks"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def at_rest(home: str | Path) -> bool:
    """False while a spawner is there. What one left behind that was killed together with its node is ended first."""
    paths = HomePaths(home)
    if _listening(paths):
        return False
    strays.reap(paths)
    return True


def _kill_spawners(paths: HomePaths) -> None:
    """Also one without a door, since it has none yet or its folder was deleted: it is known by its command line.

    A killed node's last child may only be on its way to become one, hence the looks after nothing was found.
    """
    deadline, calm = time.monotonic() + strays.PATIENCE_S, 0
    while calm < CALM_LOOKS and time.monotonic() < deadline:
        found = _programs(paths)
        calm = 0 if found else calm + 1
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(LOOK_S)


def _programs(paths: HomePaths) -> list[int]:
    """Living nodes and spawners of this home."""
    home = str(paths.home).encode()
    names = {b"services.node", b"services.node.runtime.spawner"}
    found = []
    for pid in procfs.all_pids():
        words = procfs.command_line(pid)
        if pid != os.getpid() and home in words and names & set(words) and strays.ours(pid) and procfs.alive(pid):
            found.append(pid)
    return found


def _listening(paths: HomePaths) -> bool:
    try:
        dial(paths.socket).close()
    except OSError:
        return False
    return True
