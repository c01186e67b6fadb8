"""Reads a container's log as `kubectl logs` asks for it; lines are CRI: `<time> <stream> <F|P> <text>`."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

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
    lines, rest, at, inode = await asyncio.to_thread(_whole, path)
    chosen = [line for line in lines if _recent(line, wish.since)]
    if wish.tail is not None:
        chosen = _last(chosen, wish.tail)
    yield b"".join(_shown(line, wish.timestamps) for line in chosen)
    while wish.follow:
        over = ended()
        data, at, inode = await asyncio.to_thread(_more, path, at, inode)
        *lines, rest = (rest + data).split(b"\n")
        if lines:
            yield b"".join(_shown(line, wish.timestamps) for line in lines)
        elif over:
            return
        else:
            await sleep(FOLLOW_S)


def _whole(path: Path) -> tuple[list[bytes], bytes, int, int]:
    """All lines, rotated files included; the unfinished rest; where reading goes on."""
    older = [path.with_name(f"{path.name}.{n}") for n in (3, 2, 1)]
    before = b"".join(p.read_bytes() for p in older if p.exists())
    try:
        with path.open("rb") as log:
            inode = path.stat().st_ino
            now = log.read()
    except FileNotFoundError:
        return [], b"", 0, 0
    *lines, rest = (before + now).split(b"\n")
    return lines, rest, len(now), inode


def _more(path: Path, at: int, inode: int) -> tuple[bytes, int, int]:
    try:
        with path.open("rb") as log:
            found = path.stat().st_ino
            before = b""
            if inode and found != inode:
                before, at = _rotated(path, at, inode), 0
            log.seek(at)
            data = log.read(16 * CHUNK)
    except FileNotFoundError:
        return b"", at, inode
    return before + data, at + len(data), found


def _rotated(path: Path, at: int, inode: int) -> bytes:
    """What was still to be read of the file that has since been renamed."""
    older = path.with_name(f"{path.name}.1")
    if not older.exists() or older.stat().st_ino != inode:
        return b""
    with older.open("rb") as log:
        log.seek(at)
        return log.read()


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


def _shown(line: bytes, timestamps: bool) -> bytes:
    stamp, flag, text = _parts(line)
    end = b"" if flag == b"P" else b"\n"
    return (stamp + b" " if timestamps else b"") + text + end
