"""The spawner's half of the mutual watch: a node that vanished is started again; it must not start a second one."""

from __future__ import annotations

import os
import sys
from typing import Any

from services.node.runtime import procfs, records
from services.node.runtime.paths import HomePaths
from services.node.runtime.spawner.loop import Loop

PATIENCE_S = 0.3
BACK_OFF_S_MAX = 30.0
STEADY_S = 10.0
"""A node that was connected for so long did start well: its next end counts as the first."""


class NodeWatch:
    """`connected` and `lost` are told by the server; `pause` ends the watch for good (a shutdown).

    `expect` is for the time before the node that started this spawner has connected: it may be gone by then.
    """

    def __init__(self, loop: Loop, paths: HomePaths) -> None:
        self._loop, self._paths = loop, paths
        self._command: dict[str, Any] | None = None
        self._connected_at: float | None = None
        self._failures = 0
        self._losses = 0
        self._paused = False
        self.pid = 0
        self._ticks: int | None = None

    def expect(self, pid: int, ticks: int | None, command: dict[str, Any]) -> None:
        self.pid, self._ticks, self._command = pid, ticks, command
        self._look_later()

    def connected(self, pid: int, command: dict[str, Any] | None) -> None:
        self.pid, self._ticks = pid, procfs.start_ticks(pid)
        self._command, self._connected_at = command, self._loop.now()
        if command is not None:
            records.write(self._paths.node_record, {"pid": pid, "ticks": self._ticks})

    def lost(self) -> None:
        lasted = self._loop.now() - (self._connected_at or 0)
        self._connected_at = None
        if lasted > STEADY_S:
            self._failures = 0
        self._losses += 1
        self._look_later()

    def _look_later(self) -> None:
        """Only the looks that belong to the last loss count: those of an earlier one would not have the patience."""
        life = self._losses
        self._loop.later(self._patience(), lambda: self._look() if life == self._losses else None)

    def _patience(self) -> float:
        return min(BACK_OFF_S_MAX, PATIENCE_S * 2.0 ** min(max(0, self._failures - 1), 7))

    def alive(self) -> bool:
        """Whether a node that this home may start and stop lives; one without a command is somebody else's process."""
        return self._command is not None and bool(self.pid) and self._lives()

    def _lives(self) -> bool:
        return procfs.alive(self.pid) and procfs.start_ticks(self.pid) == self._ticks

    def _look(self) -> None:
        if self._paused or self._connected_at is not None or self._command is None:
            return
        if not self.alive():
            self._start(self._command)
            self._failures += 1
        self._look_later()

    def _start(self, command: dict[str, Any]) -> None:
        log = os.open(self._paths.logs / "node.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        actions = [(os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2)]
        os.chdir(command["cwd"])
        argv = command["argv"]
        try:
            self.pid = os.posix_spawn(argv[0], argv, command["env"], file_actions=actions, setsid=True)
            self._ticks = procfs.start_ticks(self.pid)
        except OSError as error:
            print(f"cannot restart the node: {error}", file=sys.stderr)
        finally:
            os.close(log)

    def pause(self) -> None:
        self._paused = True
