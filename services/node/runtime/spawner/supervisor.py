"""Starts, watches and ends containers; it must not assume that a process dies when it is told to."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable, Iterable
from typing import Any

from services.node.runtime import cgroups, launch, procfs, records
from services.node.runtime.paths import HomePaths
from services.node.runtime.spawner import ending, memory
from services.node.runtime.spawner.container import Container, Key
from services.node.runtime.spawner.loop import Loop
from services.node.runtime.spawner.zygotes import Zygote

Say = Callable[[dict[str, Any]], None]


class Supervisor:
    """All containers of one home. `say` carries events to the node.

    `mode` is how views are made here, `users_mode` for the pods of users.
    """

    def __init__(
        self, loop: Loop, paths: HomePaths, zygotes: dict[str, Zygote], mode: str, users_mode: str, say: Say
    ) -> None:
        self.loop, self.paths, self.zygotes, self.say = loop, paths, zygotes, say
        self.mode, self.users_mode = mode, users_mode
        self.containers: dict[Key, Container] = {}
        self.past: dict[Key, records.Record] = {}
        self.by_pid: dict[int, Container] = {}
        self.helpers: dict[int, Callable[[int], None]] = {}  # other children, by what hears their end
        self._unclaimed: dict[int, int] = {}  # ends of children whose pid the fork server has not told yet
        self._leaving: list[tuple[str, Callable[[], None]]] = []

    # starting

    def start(self, request: dict[str, Any]) -> None:
        """Records the start, then runs it as soon as its fork server is warm. The same key twice is one start."""
        container = Container(request, self.paths)
        if container.key in self.containers or container.key in self.past:
            return
        request["mode"] = self.mode if request["trusted"] else self.users_mode
        self.containers[container.key] = container
        container.save()
        ready = self._warmest(request)
        if ready is not None or not request["await"]:
            self._launch(container, ready)
        else:  # one import for all who wait costs less than one import each
            self.zygotes[request["await"]].when_settled(lambda: self._launch(container, self._warmest(request)))

    def _warmest(self, request: dict[str, Any]) -> Zygote | None:
        ready = (self.zygotes.get(name) for name in request["zygotes"])
        return next((zygote for zygote in ready if zygote is not None and zygote.state == "ready"), None)

    def _launch(self, container: Container, zygote: Zygote | None) -> None:
        if container.kill_at is not None:
            self._failed(container, "it was stopped before it started", signal.SIGKILL)
            return
        try:
            out, err = container.open_streams(self.loop)
        except OSError as error:
            self._failed(container, f"cannot open its log: {error}")
            return
        container.control, theirs = socket.socketpair()
        container.state = "starting"
        try:
            if zygote is not None:
                zygote.fork(container, (out, err, theirs.fileno()), self._forked)
            else:
                self._forked(container, self._fork(container, theirs, out, err))
        except OSError as error:
            self._release_control(container)
            self._failed(container, f"cannot fork: {error}")
        finally:
            for fd in (out, err):
                os.close(fd)
            theirs.close()

    def _fork(self, container: Container, theirs: socket.socket, out: int, err: int) -> int:
        pid = os.fork()
        if pid == 0:
            self.loop.in_child()
            assert container.control is not None
            container.control.close()  # else it would hold its own line open and wait for ever for a dead spawner
            launch.run(container.request, theirs, out, err, warm=False)
        return pid

    def _forked(self, container: Container, pid: int) -> None:
        """The child exists and waits; once its record is on disk it may go on."""
        if pid == 0:
            self._release_control(container)
            container.end_streams()
            self._launch(container, None)
            return
        container.pid = pid
        self.by_pid[pid] = container
        limits = (container.request["memory"], container.request["cpu"])
        container.group = cgroups.make(str(self.paths.home), "-".join(map(str, container.key)), *limits)
        if container.group is not None:
            container.group.add(pid)
        container.save(pid=pid, ticks=procfs.start_ticks(pid), started_at=time.time())
        assert container.control is not None
        self.loop.readable(container.control.fileno(), lambda: self._hear_control(container))
        if container.kill_at is None:
            with contextlib.suppress(OSError):
                container.control.send(b"g")
        else:
            os.kill(pid, signal.SIGKILL)
        if pid in self._unclaimed:
            self.child_ended(pid, self._unclaimed.pop(pid))

    def _hear_control(self, container: Container) -> None:
        """End of line: user code runs. Text: why it cannot."""
        if container.control is None:
            return
        with contextlib.suppress(OSError):
            container.error = container.control.recv(4096).decode(errors="replace")
        self._release_control(container)
        if not container.error and container.state == "starting":
            container.state = "running"
            container.view = procfs.mount_namespace(container.pid) if self.mode != "rewrite" else None
            self.say({"event": "started", "record": container.record})
            memory.watch(self, container)

    def _release_control(self, container: Container) -> None:
        if container.control is not None:
            self.loop.forget(container.control.fileno())
            container.control.close()
            container.control = None

    def _failed(self, container: Container, why: str, number: int | None = None) -> None:
        code = 128 + (number or 0)
        self._finish(container, exit_code=code, signal=number, reason="Error" if number else "StartError", message=why)

    # ending

    def child_ended(self, pid: int, status: int) -> None:
        """Any child of the spawner was reaped: a container, a helper, or somebody's orphan."""
        container = self.by_pid.pop(pid, None)
        if container is not None:
            self._hear_control(container)
            container.status, container.state = status, "ending"
            container.record["finished_at"] = time.time()
        elif pid in self.helpers:
            self.helpers.pop(pid)(status)
        else:
            self._unclaimed[pid] = status
            if len(self._unclaimed) > 256:
                self._unclaimed.pop(next(iter(self._unclaimed)))
        for other in [c for c in self.containers.values() if c.state == "ending"]:
            self.settle(other)

    def settle(self, container: Container) -> None:
        """Ends a container whose first process is gone once nothing it started is left."""
        if container.state != "ending" or ending.leftovers_remain(self, container):
            return
        self._finish(container, **ending.verdict(container))

    def _finish(self, container: Container, **end: Any) -> None:
        container.state = "ended"
        container.end_streams()
        if container.group is not None:
            container.group.remove()
        if container.shut_down and end["reason"] in ("Completed", "Error"):
            end["reason"] = ending.SHUT_DOWN
        container.save(**{"finished_at": time.time(), **end, **_only(container.record, "finished_at")})
        del self.containers[container.key]
        self.past[container.key] = container.record
        self.say({"event": "exited", "record": container.record})
        leaving, self._leaving = self._leaving, []
        for pod, forgotten in leaving:
            self.forget(pod, forgotten)

    def signal(self, pod: str, name: str, number: int) -> None:
        for container in self._of(pod, name):
            if container.state in ("starting", "running"):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(container.pid, number)

    def kill(self, pod: str, name: str | None, grace_s: float) -> None:
        for container in self._of(pod, name):
            ending.kill(self, container, grace_s)

    def _of(self, pod: str, name: str | None) -> list[Container]:
        return [c for key, c in self.containers.items() if key[0] == pod and name in (None, key[1])]

    def running(self, pod: str, name: str) -> Container | None:
        return next((container for container in self._of(pod, name) if container.state == "running"), None)

    def forget(self, pod: str, forgotten: Callable[[], None]) -> None:
        """Drops the pod's records and calls back once its last container has ended."""
        if self._of(pod, None):
            self._leaving.append((pod, forgotten))
            return
        self.past = {key: record for key, record in self.past.items() if key[0] != pod}
        forgotten()

    def known_pids(self) -> set[int]:
        """The spawner's own children that are nobody's orphan."""
        return {*self.by_pid, *self.helpers, *(zygote.pid for zygote in self.zygotes.values())}

    def all_records(self) -> Iterable[records.Record]:
        yield from self.past.values()
        yield from (container.record for container in self.containers.values())


def _only(record: records.Record, key: str) -> records.Record:
    return {key: record[key]} if key in record else {}
