"""What a spawner that was killed left behind; it must not touch processes of another home or another account."""

from __future__ import annotations

import contextlib
import os
import signal
import time

from services.node.runtime import procfs, records
from services.node.runtime.paths import HOME_MARK, POD_MARK, HomePaths

UNKNOWN = {"exit_code": 137, "signal": 9, "reason": "ContainerStatusUnknown"}
WHY = "the container's parent was killed; nobody saw it end"
PATIENCE_S = 5.0


def marked(paths: HomePaths, also_servers: bool = True) -> list[int]:
    """Processes that bear this home's marks: containers' (with a pod's mark) and, if asked for, fork servers."""
    home, found = str(paths.home).encode(), []
    for pid in procfs.all_pids():
        if pid == os.getpid() or not ours(pid):
            continue
        marks = procfs.environment(pid)
        mine = marks.get(HOME_MARK.encode()) == home
        if mine and (POD_MARK.encode() in marks or (also_servers and b"MILLSTREAM_PADDING" in marks)):
            found.append(pid)
    return found


def ours(pid: int) -> bool:
    """Whether the process belongs to this account."""
    try:
        return os.stat(f"/proc/{pid}").st_uid == os.getuid()
    except OSError:
        return False


def reap(paths: HomePaths) -> list[int]:
    """Kills all strays and what descends from them; returns their pids once they are gone (or after 5 s).

    One that is dying shows its marks no more while it still lives, hence the look at those that were killed.
    """
    killed: dict[int, int | None] = {}
    deadline = time.monotonic() + PATIENCE_S
    while True:
        found = [pid for pid in {*procfs.tree(marked(paths)), *_recorded(paths)} if procfs.alive(pid)]
        dying = [pid for pid, ticks in killed.items() if procfs.alive(pid) and procfs.start_ticks(pid) == ticks]
        if not (found or dying) or time.monotonic() > deadline:
            return sorted(killed)
        for pid in found:
            killed[pid] = procfs.start_ticks(pid)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def _recorded(paths: HomePaths) -> list[int]:
    """Processes named by records without an end: also those that wiped their environment."""
    return [
        record["pid"]
        for record in records.attempts(paths)
        if "exit_code" not in record and record.get("pid") and procfs.start_ticks(record["pid"]) == record.get("ticks")
    ]


def take_stock(paths: HomePaths, now: float) -> list[records.Record]:
    """All attempts on disk; those without an end get one that says that it is unknown."""
    found = []
    for record in records.attempts(paths):
        if "exit_code" not in record:
            record |= {**UNKNOWN, "message": WHY, "finished_at": now}
            records.write(records.attempt_path(paths, record), record)
        found.append(record)
    return found
