"""How a container ends: grace, then force, then its leftovers; it must not touch a process of anybody else."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from services.node.runtime import procfs
from services.node.runtime.launch import START_ERROR_CODE
from services.node.runtime.spawner.container import Container

if TYPE_CHECKING:
    from services.node.runtime.spawner.supervisor import Supervisor

SHUT_DOWN = "NodeShutdown"
LOOK_AGAIN_S = 0.05
GIVE_UP_S = 5.0  # a process in uninterruptible sleep must not hide the exit for ever


def kill(supervisor: Supervisor, container: Container, grace_s: float) -> None:
    """SIGTERM now and SIGKILL at the deadline; a second order can only bring the deadline forward."""
    first = container.kill_at is None
    deadline = supervisor.loop.now() + max(0.0, grace_s)
    container.kill_at = deadline if container.kill_at is None else min(container.kill_at, deadline)
    if not container.pid:
        return  # still queued or forking: it will find kill_at set
    if grace_s <= 0:
        force(supervisor, container)
    elif first and container.state != "ending":
        _send([container.pid], signal.SIGTERM)
    supervisor.loop.later(max(0.0, grace_s), lambda: _overdue(supervisor, container))


def _overdue(supervisor: Supervisor, container: Container) -> None:
    if container.state != "ended" and container.kill_at is not None and supervisor.loop.now() >= container.kill_at:
        force(supervisor, container)


def force(supervisor: Supervisor, container: Container) -> None:
    """SIGKILL to the first process and all that came from it."""
    roots = [container.pid] if container.state != "ending" else []
    _send([*procfs.tree(roots), *leftovers(supervisor, container)], signal.SIGKILL)


def leftovers(supervisor: Supervisor, container: Container) -> list[int]:
    """Living processes that outlived their parent within this container: orphans come to the spawner, a subreaper."""
    orphans = [pid for pid in procfs.children(os.getpid()) if pid not in supervisor.known_pids()]
    found = procfs.tree([pid for pid in orphans if container.owns(pid)])
    grouped = container.group.pids() if container.group is not None else []
    return [pid for pid in {*found, *grouped} - {container.pid} if procfs.alive(pid)]


def leftovers_remain(supervisor: Supervisor, container: Container) -> bool:
    """As the end of PID 1 does in a cluster: leftovers are killed, or given the rest of a grace that was ordered."""
    left = leftovers(supervisor, container)
    now = supervisor.loop.now()
    container.left_since = container.left_since or now
    if not left or now > max(container.left_since, container.kill_at or 0) + GIVE_UP_S:
        return False
    if container.kill_at is None or now >= container.kill_at:
        _send(left, signal.SIGKILL)
    else:
        _send([pid for pid in left if pid not in container.warned], signal.SIGTERM)
        container.warned.update(left)
    supervisor.loop.later(LOOK_AGAIN_S, lambda: supervisor.settle(container))
    return True


def _send(pids: Iterable[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def verdict(container: Container) -> dict[str, Any]:
    """exit_code, signal, reason, message of a container whose first process was reaped."""
    code = os.waitstatus_to_exitcode(container.status)
    number = -code if code < 0 else None
    shell_code = 128 + number if number else code
    if container.error and shell_code == START_ERROR_CODE:
        return {"exit_code": START_ERROR_CODE, "signal": None, "reason": "StartError", "message": container.error}
    out_of_memory = container.over_memory or (container.group is not None and container.group.was_out_of_memory())
    if out_of_memory and shell_code != 0:
        return {"exit_code": shell_code, "signal": number, "reason": "OOMKilled", "message": ""}
    return {"exit_code": shell_code, "signal": number, "reason": "Error" if shell_code else "Completed", "message": ""}
