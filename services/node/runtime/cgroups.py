"""Memory and CPU limits through cgroup v1 or v2 where this account may make groups; it must not assume either."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

MOUNT = Path("/sys/fs/cgroup")
PERIOD_US = 100_000


class Group:
    """The groups of one container: by controller name, one folder in v2 ("" controller), several in v1."""

    def __init__(self, folders: dict[str, Path]) -> None:
        self.folders = folders

    def limits_memory(self) -> bool:
        return "memory" in self.folders

    def add(self, pid: int) -> None:
        for folder in self.folders.values():
            with contextlib.suppress(OSError):
                (folder / "cgroup.procs").write_text(str(pid))

    def pids(self) -> list[int]:
        found: set[int] = set()
        for folder in self.folders.values():
            with contextlib.suppress(OSError):
                found.update(int(line) for line in (folder / "cgroup.procs").read_text().split())
        return sorted(found)

    def was_out_of_memory(self) -> bool:
        folder = self.folders.get("memory")
        if folder is None:
            return False
        for name in ("memory.events", "memory.oom_control"):
            with contextlib.suppress(OSError):
                counts = dict(line.split() for line in (folder / name).read_text().splitlines())
                return int(counts.get("oom_kill", 0)) > 0
        return False

    def remove(self) -> None:
        for folder in set(self.folders.values()):
            with contextlib.suppress(OSError):
                folder.rmdir()


def make(home: str, name: str, memory_bytes: int | None, cpu_cores: float | None, mount: Path = MOUNT) -> Group | None:
    """A group with the limits that could be set; None when none could, or none is wanted."""
    folders: dict[str, Path] = {}
    if memory_bytes:
        _try(folders, "memory", _memory, memory_bytes, home, name, mount)
    if cpu_cores:
        _try(folders, "cpu", _cpu, cpu_cores, home, name, mount)
    return Group(folders) if folders else None


def _try(folders: dict[str, Path], controller: str, limit, amount, home: str, name: str, mount: Path) -> None:  # type: ignore[no-untyped-def]
    folder = _folder(controller, home, name, mount)
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        limit(folder, amount)
        folders[controller] = folder
    except OSError:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _folder(controller: str, home: str, name: str, mount: Path) -> Path | None:
    mark = "millstream-" + hashlib.sha256(home.encode()).hexdigest()[:12]
    if (mount / controller / "cgroup.procs").exists():
        return _own_v1(controller, mount) / mark / name
    with contextlib.suppress(OSError):
        if controller in (mount / "cgroup.subtree_control").read_text().split():
            return _v2_parent(mount / mark) / name
    return None


def _own_v1(controller: str, mount: Path) -> Path:
    """Below this process's own group where that is visible, so that limits set on the whole platform hold."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        own = mount / controller / path.lstrip("/")
        if controller in controllers.split(",") and (own / "cgroup.procs").exists():
            return own
    return mount / controller


def _v2_parent(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    with contextlib.suppress(OSError):
        (folder / "cgroup.subtree_control").write_text("+memory +cpu")
    return folder


def _memory(folder: Path, size: int) -> None:
    if (folder / "memory.max").exists():
        (folder / "memory.max").write_text(str(size))
        _optional(folder / "memory.swap.max", "0")
        _optional(folder / "memory.oom.group", "1")
        return
    (folder / "memory.limit_in_bytes").write_text(str(size))
    _optional(folder / "memory.memsw.limit_in_bytes", str(size))


def _cpu(folder: Path, cores: float) -> None:
    quota = max(1000, int(cores * PERIOD_US))
    if (folder / "cpu.max").exists():
        (folder / "cpu.max").write_text(f"{quota} {PERIOD_US}")
    else:
        (folder / "cpu.cfs_quota_us").write_text(str(quota))


def _optional(path: Path, text: str) -> None:
    with contextlib.suppress(OSError):
        path.write_text(text)


def remove_home(home: str, mount: Path = MOUNT) -> None:
    """The empty groups of a home that has ended."""
    for parent in (_own_v1("memory", mount), _own_v1("cpu", mount), mount):
        folder = parent / ("millstream-" + hashlib.sha256(home.encode()).hexdigest()[:12])
        if folder.is_dir():
            for child in [*(path for path in folder.iterdir() if path.is_dir()), folder]:
                with contextlib.suppress(OSError):
                    os.rmdir(child)
