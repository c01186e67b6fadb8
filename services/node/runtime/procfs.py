"""Questions to /proc about processes; it must not assume that a process still exists when it is asked about."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

Marks = dict[bytes, bytes]
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def _stat(pid: int) -> list[bytes]:
    """Fields of /proc/pid/stat from the state on: state, ppid, pgrp, session, ..."""
    text = _read(f"/proc/{pid}/stat")
    return text[text.rfind(b")") + 2 :].split()


def start_ticks(pid: int) -> int | None:
    """Kernel start time of the process: with the pid it names a process for one boot. None when there is none."""
    fields = _stat(pid)
    return int(fields[19]) if len(fields) > 19 else None


def alive(pid: int) -> bool:
    fields = _stat(pid)
    return bool(fields) and fields[0] not in (b"Z", b"X")


def parent(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[1]) if fields else 0


def session(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[3]) if fields else 0


def all_pids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def children(pid: int) -> list[int]:
    """Direct children of all threads of `pid`; falls back to a scan where the kernel lists none."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    if os.path.exists(f"/proc/{pid}/task/{pid}/children"):
        return [int(word) for thread in threads for word in _read(f"/proc/{pid}/task/{thread}/children").split()]
    return [other for other in all_pids() if parent(other) == pid]


def tree(roots: Iterable[int]) -> list[int]:
    """The processes `roots` and all their descendants, parents first."""
    found = list(roots)
    for pid in found:
        found.extend(child for child in children(pid) if child not in found)
    return found


def environment(pid: int) -> Marks:
    """The environment block of a process; empty for one that is gone or not ours."""
    pairs = (pair.partition(b"=") for pair in _read(f"/proc/{pid}/environ").split(b"\0"))
    return {key: value for key, found, value in pairs if found}


def command_line(pid: int) -> list[bytes]:
    return _read(f"/proc/{pid}/cmdline").split(b"\0")


def mount_namespace(pid: int) -> int | None:
    try:
        return os.stat(f"/proc/{pid}/ns/mnt").st_ino
    except OSError:
        return None


def resident_bytes(pid: int) -> int:
    fields = _read(f"/proc/{pid}/statm").split()
    return int(fields[1]) * PAGE_BYTES if fields else 0


def proportional_bytes(pid: int) -> int:
    """PSS: shared pages count by their share, so forks of a warm server are not charged for it each."""
    for line in _read(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith(b"Pss:"):
            return int(line.split()[1]) * 1024
    return resident_bytes(pid)
