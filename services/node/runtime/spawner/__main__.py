"""`... spawner HOME [OPTIONS-JSON]` becomes the spawner of a home; it must not assume to be the first.

On its standard input comes the node that starts it: `{"pid": ..., "ticks": ..., "command": ...}`, or nothing.
"""

from __future__ import annotations

import fcntl
import gc
import json
import os
import signal
import sys
import time
from typing import Any

from services.node.runtime import linux, sandbox
from services.node.runtime.paths import HomePaths, listen
from services.node.runtime.spawner import strays
from services.node.runtime.spawner.loop import Loop
from services.node.runtime.spawner.nodewatch import NodeWatch
from services.node.runtime.spawner.server import Server
from services.node.runtime.spawner.supervisor import Supervisor
from services.node.runtime.spawner.zygotes import Zygote

ALREADY_THERE = 3
PYTHON_IDLE_S = 600.0


def main(home: str, options: dict[str, Any], node: dict[str, Any] | None) -> int:
    paths = HomePaths(home)
    paths.make()
    lock = os.open(paths.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return ALREADY_THERE
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # only an order on the socket ends it
    linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 1)
    strays.reap(paths)
    supervisor, loop = _build(paths, options, node)
    gc.collect()
    gc.freeze()
    loop.run()
    paths.socket.unlink(missing_ok=True)
    _ = supervisor
    return 0


def _told() -> dict[str, Any] | None:
    """What standard input says, which no program started later may read: a node's environment holds its secrets."""
    text = sys.stdin.read()
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return dict(json.loads(text)) if text else None


def _build(paths: HomePaths, options: dict[str, Any], node: dict[str, Any] | None) -> tuple[Supervisor, Loop]:
    scratch = str(paths.run / "probe")
    mode = options.get("mode") or sandbox.probe(scratch) or "rewrite"
    confined = mode == "mount" and not options.get("mode") and sandbox.confines(scratch)
    loop = Loop(lambda pid, status: supervisor.child_ended(pid, status))
    watch = NodeWatch(loop, paths)
    zygotes = {
        "platform": Zygote("platform", loop, paths),
        "ml": Zygote("ml", loop, paths, idle_s=options.get("ml_idle_s")),
        "python": Zygote("python", loop, paths, idle_s=PYTHON_IDLE_S),
    }
    for name, modules in (options.get("preload") or {}).items():
        zygotes[name].preload = modules
    past = strays.take_stock(paths, time.time())
    server = Server(loop, listen(paths.socket), watch)
    supervisor = Supervisor(loop, paths, zygotes, mode, "user" if confined else mode, server.say)
    supervisor.past = {(record["pod"], record["name"], record["attempt"]): record for record in past}
    server.supervisor = supervisor
    if node is not None:
        watch.expect(node["pid"], node["ticks"], node["command"])
    return supervisor, loop


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], json.loads(sys.argv[2]) if len(sys.argv) > 2 else {}, _told()))
