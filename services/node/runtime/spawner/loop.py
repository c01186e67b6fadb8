"""One epoll loop with timers and child reaping; it must not wake up when nothing happens."""

from __future__ import annotations

import heapq
import itertools
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable

Callback = Callable[[], object]


class Loop:
    """Callbacks by descriptor, by time and by child exit. A failing callback is printed and costs only itself."""

    def __init__(self, on_child: Callable[[int, int], None]) -> None:
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callback] = {}
        self._timers: list[tuple[float, int, Callback]] = []
        self._order = itertools.count()
        self._on_child = on_child
        self._stopped = False
        self._watch_children()

    def now(self) -> float:
        return time.monotonic()

    def _watch_children(self) -> None:
        woken, self._waker = socket.socketpair()
        woken.setblocking(False)
        self._waker.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        self.readable(woken.fileno(), lambda: self._reap(woken))

    def _reap(self, woken: socket.socket) -> None:
        woken.recv(4096)
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._safely(lambda pid=pid, status=status: self._on_child(pid, status))  # type: ignore[misc]

    def readable(self, fd: int, callback: Callback) -> None:
        self._callbacks[fd] = callback
        self._epoll.register(fd, select.EPOLLIN)

    def writable_too(self, fd: int, wanted: bool) -> None:
        self._epoll.modify(fd, select.EPOLLIN | (select.EPOLLOUT if wanted else 0))

    def forget(self, fd: int) -> None:
        if self._callbacks.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def later(self, seconds: float, callback: Callback) -> None:
        heapq.heappush(self._timers, (self.now() + seconds, next(self._order), callback))

    def stop(self) -> None:
        self._stopped = True

    def run(self) -> None:
        while not self._stopped:
            for fd, _ in self._epoll.poll(self._patience()):
                if fd in self._callbacks:
                    self._safely(self._callbacks[fd])
            while self._timers and self._timers[0][0] <= self.now():
                self._safely(heapq.heappop(self._timers)[2])

    def _patience(self) -> float:
        return max(0.0, self._timers[0][0] - self.now()) + 0.001 if self._timers else -1

    def _safely(self, callback: Callback) -> None:
        try:
            callback()
        except Exception:
            traceback.print_exc(file=sys.stderr)

    def in_child(self) -> None:
        """To be called after a fork: the child must not hear the parent's signals."""
        signal.set_wakeup_fd(-1)
        self._epoll.close()
