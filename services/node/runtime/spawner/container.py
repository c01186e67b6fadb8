"""One attempt of one container as the spawner holds it: its streams, its process, its record on disk."""

from __future__ import annotations

import os
import socket
import time
from typing import Any

from services.node.runtime import procfs, records
from services.node.runtime.cgroups import Group
from services.node.runtime.logfile import LogFile, Stream
from services.node.runtime.paths import CONTAINER_MARK, POD_MARK, HomePaths
from services.node.runtime.spawner.loop import Loop

Key = tuple[str, str, int]


class Relay:
    """Carries one pipe into the log."""

    def __init__(self, loop: Loop, fd: int, stream: Stream) -> None:
        self._loop, self._fd, self._stream = loop, fd, stream
        os.set_blocking(fd, False)
        loop.readable(fd, self._read)

    def _read(self) -> bool:
        try:
            data = os.read(self._fd, 65536)
        except BlockingIOError:
            return False
        if data:
            self._stream.feed(data)
        else:
            self.close()
        return bool(data)

    def drain(self) -> None:
        """Everything that was written before now. A writer that never stops must not hold up the exit."""
        for _ in range(64):
            if self._fd < 0 or not self._read():
                return

    def close(self) -> None:
        if self._fd >= 0:
            self._loop.forget(self._fd)
            os.close(self._fd)
            self._stream.finish()
            self._fd = -1


class Container:
    """States: queued -> starting -> running -> ending -> ended."""

    def __init__(self, request: dict[str, Any], paths: HomePaths) -> None:
        self.request = request
        self.key: Key = (request["pod"], request["name"], request["attempt"])
        self.state = "queued"
        self.pid = 0
        self.view: int | None = None  # inode of its mount namespace
        self.control: socket.socket | None = None
        self.group: Group | None = None
        self.status = 0
        self.error = ""
        self.over_memory = False
        self.kill_at: float | None = None  # monotonic; None while nobody asked for its end
        self.shut_down = False  # its end was ordered by the end of the whole platform
        self.warned: set[int] = set()  # leftovers that got SIGTERM
        self.left_since: float | None = None
        self.record: records.Record = {
            **{"pod": request["pod"], "name": request["name"], "attempt": request["attempt"]},
            "started_at": time.time(),
        }
        self._paths = paths
        self._relays: list[Relay] = []

    def open_streams(self, loop: Loop) -> tuple[int, int]:
        """Write ends for stdout and stderr; the caller closes them after the fork."""
        self._log = LogFile(self._paths.log(*self.key), self.request["log_bytes_max"])
        ends = []
        for name in ("stdout", "stderr"):
            read, write = os.pipe2(os.O_CLOEXEC)
            self._relays.append(Relay(loop, read, Stream(name, self._log)))
            ends.append(write)
        return ends[0], ends[1]

    def end_streams(self) -> None:
        for relay in self._relays:
            relay.drain()
            relay.close()
        if self._relays:
            self._log.close()
        self._relays = []

    def save(self, **more: Any) -> None:
        self.record |= more
        if self._paths.pod(self.key[0]).is_dir():  # a removed pod stays removed
            records.write(records.attempt_path(self._paths, self.record), self.record)

    def owns(self, pid: int) -> bool:
        """Whether a process that lost its parent came from here: by namespace, session, or marks it inherited."""
        if self.view is not None and procfs.mount_namespace(pid) == self.view:
            return True
        if procfs.session(pid) == self.pid:
            return True
        marks = procfs.environment(pid)
        return marks.get(POD_MARK.encode()) == self.key[0].encode() and (
            marks.get(CONTAINER_MARK.encode()) == self.key[1].encode()
        )
