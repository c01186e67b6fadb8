"""Runs the step's program, passes on what it prints and keeps the end of it; a signal to the launcher is passed on too.

A Python function is run in a fork of this interpreter where that is the same as the new one that kfp would start.
"""

from __future__ import annotations

import gc
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from .kept import Kept

CHUNK_BYTES = 65536
PRINTS_AT_ONCE = {"PYTHONUNBUFFERED": "1"}
"""Else a Python program's prints would be seen when it is over, and below the error that they led to."""
LEFT_OPEN_S = 1.0
"""How long what a program left behind is listened to after the program has ended."""


class Program:
    """One process. `status` is its exit code, negative for a signal, as subprocess tells it."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept
        self._pid = 0
        self.stopped = False

    def run_command(self, words: list[str], environment: dict[str, str]) -> int:
        """Raises OSError when there is no such program."""

        def begin(out: int, err: int) -> Callable[[bool], int | None]:
            variables = {**PRINTS_AT_ONCE, **environment}
            process = subprocess.Popen(words, env=variables, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
            self._pid = process.pid

            def ended(wait: bool) -> int | None:
                return process.wait() if wait else process.poll()

            return ended

        return self._run(begin)

    def run_function(self, body: Callable[[], Any]) -> int:
        """`body` never returns: it ends the forked process."""

        def begin(out: int, err: int) -> Callable[[bool], int | None]:
            sys.stdout.flush()
            sys.stderr.flush()
            gc.freeze()  # else the fork's search for garbage would copy all that both share
            self._pid = os.fork()
            if self._pid == 0:
                _child(out, err, body)
            return self._wait

        return self._run(begin)

    def _wait(self, wait: bool) -> int | None:
        pid, status = os.waitpid(self._pid, 0 if wait else os.WNOHANG)
        if pid == 0:
            return None
        return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)

    def _run(self, begin: Callable[[int, int], Callable[[bool], int | None]]) -> int:
        before = {number: signal.signal(number, self._pass_on) for number in (signal.SIGTERM, signal.SIGINT)}
        pipes = [os.pipe(), os.pipe()]
        try:
            ended = begin(pipes[0][1], pipes[1][1])
        finally:
            for _, write in pipes:
                os.close(write)
        try:
            status = self._relay({pipes[0][0]: 1, pipes[1][0]: 2}, ended)
            return ended(True) if status is None else status  # type: ignore[return-value]
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _relay(self, pipes: dict[int, int], ended: Callable[[bool], int | None]) -> int | None:
        """Until both pipes are closed; what the program left behind, which may print for ever, is not waited for."""
        with selectors.DefaultSelector() as selector:
            for read in pipes:
                selector.register(read, selectors.EVENT_READ)
            status, until = None, 0.0
            while selector.get_map():
                events = selector.select(LEFT_OPEN_S)
                if status is None and (status := ended(False)) is not None:
                    until = time.monotonic() + LEFT_OPEN_S
                if status is not None and (not events or time.monotonic() > until):
                    break
                for key, _ in events:
                    data = os.read(key.fd, CHUNK_BYTES)
                    if not data:
                        selector.unregister(key.fd)
                        continue
                    _write_all(pipes[key.fd], data)
                    self._kept.write(data, error=pipes[key.fd] == 2)
        for read in pipes:
            os.close(read)
        return status

    def _pass_on(self, number: int, frame: Any) -> None:
        self.stopped = True
        if self._pid:
            try:
                os.kill(self._pid, number)
            except ProcessLookupError:
                pass


def _write_all(target: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(target, view) :]


def _child(out: int, err: int, body: Callable[[], Any]) -> None:
    """In the fork: a process as a shell would have started it."""
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.closerange(3, 256)
        body()
    finally:
        os._exit(70)
