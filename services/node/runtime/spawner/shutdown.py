"""The ordered end of a home: node, users' pods, services, infrastructure, leftovers; it must not leave a process."""

from __future__ import annotations

import contextlib
import os
import signal

from services.node.runtime import cgroups, procfs
from services.node.runtime.spawner import strays
from services.node.runtime.spawner.loop import Loop
from services.node.runtime.spawner.nodewatch import NodeWatch
from services.node.runtime.spawner.supervisor import Supervisor

LOOK_S = 0.05
NODE_PATIENCE_S = 5.0
SLACK_S = 6.0


class Shutdown:
    """Waves by `stop_order` of the containers, lowest first, each with the whole grace; then force."""

    def __init__(self, loop: Loop, supervisor: Supervisor, watch: NodeWatch, grace_s: float) -> None:
        self._loop, self._supervisor, self._watch, self._grace_s = loop, supervisor, watch, grace_s
        self._wave: int | None = None
        self._deadline = loop.now() + NODE_PATIENCE_S

    def begin(self) -> None:
        """The node goes first: it would start again what ends."""
        self._signal_node(signal.SIGTERM)
        self._loop.later(0, self._await_node)

    def _signal_node(self, number: int) -> None:
        if self._watch.alive() and self._watch.pid != os.getpid():
            with contextlib.suppress(OSError):
                os.kill(self._watch.pid, number)

    def _await_node(self) -> None:
        if self._watch.alive() and self._loop.now() < self._deadline:
            self._loop.later(LOOK_S, self._await_node)
            return
        self._signal_node(signal.SIGKILL)
        self._next()

    def _next(self) -> None:
        living = list(self._supervisor.containers.values())
        if not living:
            self._finish()
            return
        wave = min(container.request["stop_order"] for container in living)
        if wave != self._wave:
            self._wave, self._deadline = wave, self._loop.now() + self._grace_s + SLACK_S
            for container in living:
                if container.request["stop_order"] == wave:
                    container.shut_down = True
                    self._supervisor.kill(container.key[0], container.key[1], self._grace_s)
        elif self._loop.now() > self._deadline:
            self._finish()
            return
        self._loop.later(LOOK_S, self._next)

    def _finish(self) -> None:
        for zygote in self._supervisor.zygotes.values():
            zygote.stop()
        for pid in procfs.tree(procfs.children(os.getpid())):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        strays.reap(self._supervisor.paths)
        cgroups.remove_home(str(self._supervisor.paths.home))
        self._loop.stop()
