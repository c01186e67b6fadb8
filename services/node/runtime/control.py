"""Starting and ending the spawner of a home, also for the `millstream` command; it must not assume a living node."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from services.node.runtime import cgroups, wire
from services.node.runtime.paths import SYSTEM_PATH, HomePaths, dial
from services.node.runtime.spawner import strays

ROOT = Path(__file__).resolve().parents[3]


def start_spawner(paths: HomePaths, options: Mapping[str, Any]) -> subprocess.Popen[bytes]:
    """Starts it detached; one that finds another alive leaves by itself."""
    paths.make()
    environment = {"PATH": SYSTEM_PATH, "PYTHONPATH": str(ROOT), "HOME": str(paths.home)}
    argv = [sys.executable, "-S", "-m", "services.node.runtime.spawner", str(paths.home), json.dumps(dict(options))]
    with (paths.logs / "spawner.log").open("ab") as log:
        return subprocess.Popen(
            argv, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/"
        )


def stop_everything(home: str | Path, grace_s: float = 10.0, patience_s: float = 60.0) -> bool:
    """Ends the node, all containers and the spawner of `home`; True when nothing of it is left. Safe to repeat."""
    paths = HomePaths(home)
    if not paths.node.exists():
        return True
    deadline = time.monotonic() + patience_s
    _order_shutdown(paths, grace_s, deadline)
    strays.reap(paths)
    cgroups.remove_home(str(paths.home))
    return not strays.marked(paths) and not _listening(paths)


def _order_shutdown(paths: HomePaths, grace_s: float, deadline: float) -> None:
    """Orders it and reads until the spawner hangs up, which it does last of all."""
    try:
        line = dial(paths.socket)
    except OSError:
        return
    with line:
        line.sendall(wire.pack({"op": "shutdown", "grace_s": grace_s, "id": 1}))
        while (left := deadline - time.monotonic()) > 0:
            line.settimeout(left)
            try:
                if not line.recv(4096):
                    return
            except (ConnectionError, TimeoutError):
                return


def _listening(paths: HomePaths) -> bool:
    try:
        dial(paths.socket).close()
    except OSError:
        return False
    return True
