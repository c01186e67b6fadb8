"""Lines of a log: none is lost, none is larger than what memory is given."""

import random
from collections.abc import AsyncIterator

from libs.cluster.loglines import Lines, bounded


def cut(data: bytes, most: int | None, sizes: random.Random) -> list[bytes]:
    lines, out, at = Lines(most), [], 0
    while at < len(data):
        size = sizes.randint(1, 700)
        out += lines.feed(data[at : at + size])
        at += size
    rest = lines.rest()
    return out if rest is None else [*out, rest]


def test_lines_are_the_same_however_the_stream_is_cut():
    chance = random.Random(7)
    data = b"".join(chance.randbytes(chance.randint(0, 900)) + b"\n" for _ in range(200)) + b"end"
    for seed in range(20):
        assert cut(data, None, random.Random(seed)) == data.split(b"\n")


def test_a_line_of_a_hundred_megabytes_keeps_its_ends_and_little_memory():
    lines, chunk = Lines(64 * 1024), b"x" * 2**20
    found = lines.feed(b"begin" + chunk)
    for _ in range(100):
        found += lines.feed(chunk)
        assert sum(map(len, lines._parts)) <= 4 * 64 * 1024 + len(chunk)
    (line,) = found + lines.feed(b"end\n")
    assert line.startswith(b"beginxxx") and line.endswith(b"xxxend")
    assert b" bytes of this line are cut out) " in line and len(line) < 65 * 1024
    told = int(line.split(b"(")[1].split(b" ")[0])
    shown = line.replace(b" ... (%d bytes of this line are cut out) ... " % told, b"")
    assert told + len(shown) == 101 * 2**20 + len(b"beginend")


def test_short_lines_after_a_long_one_are_whole():
    lines = Lines(10)
    assert lines.feed(b"a" * 100 + b"\nshort\n")[1:] == [b"short"]
    assert lines.rest() is None


async def test_what_nothing_has_ended_yet_is_left_for_later():
    async def chunks() -> AsyncIterator[bytes]:
        yield b"one\ntwo\nthr"
        yield b"ee"

    assert [line async for line in bounded(chunks(), 100, whole=True)] == [b"one", b"two"]
    assert [line async for line in bounded(chunks(), 100, whole=False)] == [b"one", b"two", b"three"]
