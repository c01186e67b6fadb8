"""Container output as CRI log lines with rotation by size; it must not assume that output ends its lines.

Format: `<rfc3339nano> <stream> <F|P> <text>`, as kubelet reads it (kubernetes/pkg/kubelet/kuberuntime/logs).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

LINE_BYTES_MAX = 16 * 1024
LOG_BYTES_MAX = 10 * 1024 * 1024
ROTATED_MAX = 3


def stamp(now_ns: int) -> str:
    """RFC 3339 with nanoseconds, UTC."""
    seconds, nanos = divmod(now_ns, 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{nanos:09d}Z"


class LogFile:
    """One attempt's log, appended to by the relays of its two streams."""

    def __init__(self, path: Path, bytes_max: int = LOG_BYTES_MAX) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.bytes_max = bytes_max
        self._open()

    def _open(self) -> None:
        self._fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        self._size = os.fstat(self._fd).st_size

    def append(self, data: bytes) -> None:
        """A full disk loses lines, never the container: the relay must go on reading."""
        if self._size and self._size + len(data) > self.bytes_max:
            self._rotate()
        try:
            os.write(self._fd, data)
        except OSError:
            return
        self._size += len(data)

    def _rotate(self) -> None:
        os.close(self._fd)
        for index in range(ROTATED_MAX, 0, -1):
            older = self.path if index == 1 else Path(f"{self.path}.{index - 1}")
            if older.exists():
                older.replace(f"{self.path}.{index}")
        self._open()

    def close(self) -> None:
        os.close(self._fd)


class Stream:
    """Cuts the bytes of stdout or stderr into log lines."""

    def __init__(self, name: str, log: LogFile, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._tag = f" {name} ".encode()
        self._log = log
        self._now_ns = now_ns
        self._rest = b""

    def feed(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        head = stamp(self._now_ns()).encode() + self._tag
        out = [part for line in lines for part in self._cut(head, line)]
        while len(self._rest) >= LINE_BYTES_MAX:
            out.append(head + b"P " + self._rest[:LINE_BYTES_MAX] + b"\n")
            self._rest = self._rest[LINE_BYTES_MAX:]
        if out:
            self._log.append(b"".join(out))

    def _cut(self, head: bytes, line: bytes) -> list[bytes]:
        parts = [line[at : at + LINE_BYTES_MAX] for at in range(0, len(line), LINE_BYTES_MAX)] or [b""]
        return [head + b"P " + part + b"\n" for part in parts[:-1]] + [head + b"F " + parts[-1] + b"\n"]

    def finish(self) -> None:
        """The last words of a process need no newline to be kept."""
        if self._rest:
            self.feed(b"\n")
