"""The memory limit where no cgroup enforces it: sampling; it must not wake up for containers without a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.node.runtime import procfs
from services.node.runtime.spawner import ending
from services.node.runtime.spawner.container import Container

if TYPE_CHECKING:
    from services.node.runtime.spawner.supervisor import Supervisor

SAMPLE_S = 0.25


def watch(supervisor: Supervisor, container: Container) -> None:
    """Samples the container's process tree until it ends, unless the kernel does the work or there is no limit."""
    enforced = container.group is not None and container.group.limits_memory()
    if container.request["memory"] and not enforced:
        supervisor.loop.later(SAMPLE_S, lambda: _sample(supervisor, container))


def _sample(supervisor: Supervisor, container: Container) -> None:
    if container.state != "running":
        return
    if used_bytes(container.pid, container.request["memory"]) > container.request["memory"]:
        container.over_memory = True
        ending.kill(supervisor, container, 0)
        return
    watch(supervisor, container)


def used_bytes(pid: int, limit_bytes: int) -> int:
    """Resident size of the tree; only when that exceeds the limit the dearer proportional size is asked for."""
    pids = procfs.tree([pid])
    resident = sum(procfs.resident_bytes(each) for each in pids)
    return resident if resident <= limit_bytes else sum(procfs.proportional_bytes(each) for each in pids)
