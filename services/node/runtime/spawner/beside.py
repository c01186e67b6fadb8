"""Commands run beside a container, in its view: probes and hooks; it must not assume that they end."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from typing import Any, NoReturn

from services.node.runtime import launch, linux, procfs
from services.node.runtime.spawner.container import Container
from services.node.runtime.spawner.loop import Loop

OUTPUT_BYTES_MAX = 64 * 1024
Answer = Callable[[dict[str, Any]], None]


class Beside:
    """One such command; answers {"exit_code", "output", "timed_out"} once."""

    def __init__(self, loop: Loop, container: Container, argv: list[str], timeout_s: float, answer: Answer) -> None:
        self._loop, self._answer = loop, answer
        self._output, self._timed_out, self._over = b"", False, False
        self._read, write = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._read, False)
        self.pid = os.fork()
        if self.pid == 0:
            loop.in_child()
            _become(container, argv, write)
        os.close(write)
        loop.readable(self._read, self._hear)
        loop.later(timeout_s, self._overdue)

    def _hear(self) -> bool:
        with contextlib.suppress(BlockingIOError):
            data = os.read(self._read, 65536)
            self._output = (self._output + data)[:OUTPUT_BYTES_MAX]
            if not data:
                self._loop.forget(self._read)
            return bool(data)
        return False

    def _overdue(self) -> None:
        if not self._over:
            self._timed_out = True
            for pid in procfs.tree([self.pid]):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def ended(self, status: int) -> None:
        while self._hear():
            pass
        self._over = True
        self._loop.forget(self._read)
        os.close(self._read)
        code = os.waitstatus_to_exitcode(status)
        text = self._output.decode(errors="replace")
        self._answer({"exit_code": 128 - code if code < 0 else code, "output": text, "timed_out": self._timed_out})


def _become(container: Container, argv: list[str], write: int) -> NoReturn:
    """In the child: joins the container's namespaces and becomes the command."""
    try:
        request = container.request
        if request["mode"] == "rewrite":
            from services.node.runtime import rewrite

            request = rewrite.rewritten({**request, "argv": argv})
        else:
            _join(container.pid, request["mode"])
        launch.own_session(write, write)
        with contextlib.suppress(OSError):
            os.chdir(request["cwd"])
        launch.execute({**request, "argv": request["argv"] if request["mode"] == "rewrite" else argv})
    except BaseException as error:
        os.write(write, f"exec: {argv[0]}: {error}\n".encode())
        os._exit(126 if isinstance(error, PermissionError) else 127)


def _join(pid: int, mode: str) -> None:
    kinds = [("user", linux.CLONE_NEWUSER)] if mode == "user" else []
    kinds += [("uts", linux.CLONE_NEWUTS), ("mnt", linux.CLONE_NEWNS)]
    namespaces = [(os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY), kind) for name, kind in kinds]
    for fd, kind in namespaces:
        linux.setns(fd, kind)
    if mode == "user":
        linux.drop_capabilities()
