"""Reads a container's log as `kubectl logs` asks for it; lines are CRI: `<time> <stream> <F|P> <text>`."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Self

FOLLOW_S = 0.1
CHUNK = 64 * 1024

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True)
class LogWish:
    """What of a log is wanted."""

    follow: bool = False
    tail: int | None = None
    since: datetime | None = None
    timestamps: bool = False
    limit_bytes: int | None = None


async def read_log(path: Path, wish: LogWish, ended: Callable[[], bool], sleep: Sleep) -> AsyncIterator[bytes]:
    """The wanted lines, then (when followed) new ones until `ended` and nothing more comes; `sleep` is a Clock's."""
    left = wish.limit_bytes
    async for chunk in _chunks(path, wish, ended, sleep):
        if left is not None and len(chunk) >= left:
            yield chunk[:left]
            return
        left = left if left is None else left - len(chunk)
        yield chunk


async def _chunks(path: Path, wish: LogWish, ended: Callable[[], bool], sleep: Sleep) -> AsyncIterator[bytes]:
    with _Tail(path) as tail:
        lines, rest = await asyncio.to_thread(tail.whole, wish.since)
        chosen = [line for line in lines if _recent(line, wish.since)]
        if wish.tail is not None:
            chosen = _last(chosen, wish.tail)
        show = _Show(wish.timestamps)
        yield show(chosen)
        while wish.follow:
            over = ended()
            data = await asyncio.to_thread(tail.more)
            *lines, rest = (rest + data).split(b"\n")
            if lines:
                yield show(lines)
            elif over:
                return
            else:
                await sleep(FOLLOW_S)


class _Tail:
    """One log as it grows. It keeps the file open: what is deleted with its pod is read to its end all the same."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def whole(self, since: datetime | None) -> tuple[list[bytes], bytes]:
        """All lines, those of rotated files included that may hold one so young; the unfinished rest."""
        older = [self._path.with_name(f"{self._path.name}.{n}") for n in (3, 2, 1)]
        before = b"".join(p.read_bytes() for p in older if p.exists() and _is_recent(p, since))
        *lines, rest = (before + self.more(-1)).split(b"\n")
        return lines, rest

    def more(self, most: int = 16 * CHUNK) -> bytes:
        """What has been written since; of a file that was renamed meanwhile its end first, then the new one."""
        if self._file is None and not self._open():
            return b""
        assert self._file is not None
        data = self._file.read(most)
        if data or self._is_same():
            return data
        data = self._file.read()  # nothing is appended to it any more
        self._file.close()
        self._file = None
        return data + (self._file.read(most) if self._open() and self._file else b"")

    def _open(self) -> bool:
        try:
            self._file = self._path.open("rb")
        except FileNotFoundError:
            return False
        return True

    def _is_same(self) -> bool:
        """Whether the log is still this file, or gone."""
        assert self._file is not None
        try:
            return self._path.stat().st_ino == os.fstat(self._file.fileno()).st_ino
        except FileNotFoundError:
            return True


def _is_recent(path: Path, since: datetime | None) -> bool:
    return since is None or path.stat().st_mtime >= since.timestamp()


def _recent(line: bytes, since: datetime | None) -> bool:
    if since is None:
        return True
    stamp = line.partition(b" ")[0].decode("latin-1")
    try:
        return datetime.fromisoformat(stamp[:26].rstrip("Z") + "+00:00") >= since
    except ValueError:
        return True


def _last(lines: list[bytes], wanted: int) -> list[bytes]:
    """The last whole lines; partial ones belong to the line that they begin."""
    if wanted == 0:
        return []
    seen, at = 0, len(lines)
    while at > 0:
        if _parts(lines[at - 1])[1] == b"F":
            seen += 1
            if seen > wanted:
                break
        at -= 1
    return lines[at:]


def _parts(line: bytes) -> tuple[bytes, bytes, bytes]:
    stamp, _, rest = line.partition(b" ")
    _, _, rest = rest.partition(b" ")
    flag, _, text = rest.partition(b" ")
    return stamp, flag, text


class _Show:
    """Lines as they are asked for. The parts of a long one follow each other without a time between them."""

    def __init__(self, timestamps: bool) -> None:
        self._timestamps = timestamps
        self._begins = True

    def __call__(self, lines: list[bytes]) -> bytes:
        return b"".join(self._shown(line) for line in lines)

    def _shown(self, line: bytes) -> bytes:
        stamp, flag, text = _parts(line)
        head = stamp + b" " if self._timestamps and self._begins else b""
        self._begins = flag != b"P"
        return head + text + (b"\n" if self._begins else b"")
