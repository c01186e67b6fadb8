"""Reading a container's log as it grows, rotates and goes with its pod."""

from __future__ import annotations

import asyncio
from pathlib import Path

from services.node.api.loglines import LogWish, read_log
from services.node.runtime.logfile import LogFile, Stream


async def test_a_followed_log_is_read_to_its_end_though_it_is_deleted_with_its_pod(tmp_path: Path) -> None:
    path, over, naps = tmp_path / "0.log", False, 0
    stream = Stream("stdout", LogFile(path))
    stream.feed(b"first\n")

    async def sleep(_: float) -> None:
        nonlocal over, naps
        naps += 1
        if naps == 1:
            stream.feed(b"last words\n")
            path.unlink()
            over = True

    told = b"".join([chunk async for chunk in read_log(path, LogWish(follow=True), lambda: over, sleep)])
    assert told == b"first\nlast words\n"


async def test_a_followed_log_goes_on_in_the_file_after_a_rotation(tmp_path: Path) -> None:
    path, naps = tmp_path / "0.log", 0
    stream = Stream("stdout", LogFile(path, bytes_max=300))
    stream.feed(b"line 0\n")

    async def sleep(_: float) -> None:
        nonlocal naps
        naps += 1
        for number in range(4):
            stream.feed(b"line %d\n" % (4 * naps + number - 3))
        await asyncio.sleep(0)

    wish = LogWish(follow=True)
    told = b"".join([chunk async for chunk in read_log(path, wish, lambda: naps >= 5, sleep)])
    assert told.split(b"\n")[:-1] == [b"line %d" % number for number in range(21)]


async def test_a_long_line_bears_one_time_not_one_a_part(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    stream = Stream("stdout", LogFile(path), lambda: 0)
    stream.feed(b"x" * 50_000 + b"\nshort\n")
    told = b"".join([chunk async for chunk in read_log(path, LogWish(timestamps=True), lambda: True, asyncio.sleep)])
    stamp = b"1970-01-01T00:00:00.000000000Z "
    assert told == stamp + b"x" * 50_000 + b"\n" + stamp + b"short\n"
