"""The warm fork servers as the spawner sees them; it must not assume that one lives as long as its use."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from services.node.runtime import wire
from services.node.runtime.paths import HOME_MARK, SYSTEM_PATH, HomePaths
from services.node.runtime.spawner.container import Container
from services.node.runtime.spawner.loop import Loop

ROOT = Path(__file__).resolve().parents[4]
PADDING_BYTES = 3072
FAILURES_MAX = 3
CODE = (
    "import sys; fresh = sys.path[1:]; sys.path[1:1] = {!r}; "
    "from services.node.runtime.zygote import main; main({!r}, {!r}, fresh)"
)
"""A variable for our own folders would keep those away that a fresh interpreter has from its path files."""

Forked = Callable[[Container, int], None]  # pid 0: the server died before it forked


class Zygote:
    """One fork server. States: off -> warming -> ready, and failed after it died too often while warming."""

    def __init__(self, profile: str, loop: Loop, paths: HomePaths, idle_s: float | None = None) -> None:
        self.preload: list[str] | None = None  # None: what the profile names
        self.profile, self._loop, self._paths, self._idle_s = profile, loop, paths, idle_s
        self.state = "off"
        self.pid = 0
        self._failures = 0
        self._line: socket.socket | None = None
        self._waiting: list[Callable[[], None]] = []
        self._pending: dict[int, tuple[Container, Forked]] = {}
        self._serial = 0

    def warm(self) -> None:
        if self.state == "off":
            self._start()

    def when_settled(self, callback: Callable[[], None]) -> None:
        """Calls back once it is ready or has failed."""
        self.warm()
        if self.state == "warming":
            self._waiting.append(callback)
        else:
            callback()

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        log = os.open(self._paths.logs / f"zygote-{self.profile}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
        code = CODE.format([str(ROOT), str(ROOT / "sdk")], self.profile, self.preload)
        environment = {"PATH": SYSTEM_PATH, HOME_MARK: str(self._paths.home), "HOME": str(self._paths.home)}
        environment["MILLSTREAM_PADDING"] = "x" * PADDING_BYTES
        actions = [(os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2)]
        actions.append((os.POSIX_SPAWN_DUP2, theirs.fileno(), 3))
        argv = [sys.executable, "-c", code, "x" * PADDING_BYTES]
        if theirs.fileno() == 3:
            theirs.set_inheritable(True)
        self.pid = os.posix_spawn(sys.executable, argv, environment, file_actions=actions, setsid=True)
        os.close(log)
        theirs.close()
        self._line, self.state, self._frames = ours, "warming", wire.Frames()
        self._loop.readable(ours.fileno(), self._read)

    def _read(self) -> None:
        assert self._line is not None
        data = self._line.recv(65536)
        if not data:
            self.died()
            return
        for message in self._frames.feed(data):
            if "ready" in message:
                self.state, self._failures = "ready", 0
                self._settled()
                self._stop_when_idle(self._serial)
            else:
                container, forked = self._pending.pop(message["id"])
                forked(container, message["pid"])

    def _settled(self) -> None:
        waiting, self._waiting = self._waiting, []
        for callback in waiting:
            callback()

    def fork(self, container: Container, fds: tuple[int, int, int], forked: Forked) -> None:
        """Asks for a child with stdout, stderr, control; `forked` hears its pid."""
        assert self._line is not None
        self._serial += 1
        self._pending[self._serial] = (container, forked)
        try:
            wire.send_with_fds(self._line, {"id": self._serial, "request": container.request}, fds)
        except OSError:
            self.died()
        if self._idle_s is not None:
            self._stop_when_idle(self._serial)

    def _stop_when_idle(self, serial: int) -> None:
        if self._idle_s is not None:
            self._loop.later(self._idle_s, lambda: self._stop_if_unused(serial))

    def _stop_if_unused(self, serial: int) -> None:
        if serial == self._serial and self.state == "ready":
            self.stop()

    def died(self) -> None:
        if self._line is None:
            return
        self._failures += self.state == "warming"
        self.state = "failed" if self._failures >= FAILURES_MAX else "off"
        self._loop.forget(self._line.fileno())
        self._line.close()
        self._line, pending, self._pending = None, self._pending, {}
        for container, forked in pending.values():
            forked(container, 0)
        self._settled()

    def stop(self) -> None:
        if self._line is not None:
            os.kill(self.pid, signal.SIGKILL)
            self.died()
