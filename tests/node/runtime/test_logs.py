"""Logs: nothing a container said is lost, lines are cut and rotated as the format says."""

from __future__ import annotations

from pathlib import Path

from services.node.runtime.local import RuntimeConfig
from services.node.runtime.logfile import LINE_BYTES_MAX, LogFile, Stream, stamp
from tests.node.runtime.conftest import LIGHT, Bench, bench_in


def test_a_stamp_is_rfc3339_with_nanoseconds() -> None:
    assert stamp(1_700_000_000_000_000_007) == "2023-11-14T22:13:20.000000007Z"


def test_pieces_become_lines_and_a_last_line_needs_no_newline(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "a.log")
    stream = Stream("stdout", log, lambda: 0)
    for piece in (b"one\ntw", b"o\n\n", b"end"):
        stream.feed(piece)
    stream.finish()
    head = "1970-01-01T00:00:00.000000000Z stdout F "
    assert (tmp_path / "a.log").read_text() == "".join(f"{head}{line}\n" for line in ("one", "two", "", "end"))


def test_a_long_line_is_cut_into_partial_lines_that_join_to_the_whole(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "a.log")
    stream = Stream("stderr", log)
    text = bytes(range(97, 123)) * 4000
    for at in range(0, len(text), 9999):
        stream.feed(text[at : at + 9999])
    stream.feed(b"\n")
    parts = [line.split(" ", 3) for line in (tmp_path / "a.log").read_text().splitlines()]
    assert "".join(part[3] for part in parts).encode() == text
    assert [part[2] for part in parts] == ["P"] * (len(text) // LINE_BYTES_MAX) + ["F"]


def test_rotation_keeps_the_newest_and_forgets_the_oldest(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "a.log", bytes_max=1000)
    stream = Stream("stdout", log, lambda: 0)
    for number in range(200):
        stream.feed(b"line %d\n" % number)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["a.log", "a.log.1", "a.log.2", "a.log.3"]
    assert all((tmp_path / name).stat().st_size <= 1000 for name in names)
    text = "".join((tmp_path / name).read_text() for name in ("a.log.3", "a.log.2", "a.log.1", "a.log"))
    numbers = [int(line.rsplit(" ", 1)[1]) for line in text.splitlines()]
    assert numbers == list(range(numbers[0], 200))


async def test_the_last_of_many_lines_before_an_exit_is_there(bench: Bench) -> None:
    spec = await bench.start("sh", "-c", "seq 1 200000; echo end >&2")
    await bench.end(spec)
    assert bench.log(spec, "stdout").splitlines() == [str(number) for number in range(1, 200001)]
    assert bench.log(spec, "stderr") == "end"


async def test_a_small_limit_rotates_a_containers_log(tmp_path: Path) -> None:
    async with bench_in(
        tmp_path / "home", RuntimeConfig(warm_platform=False, ml="off", preload=LIGHT, log_bytes_max=20_000)
    ) as bench:
        spec = await bench.start("sh", "-c", "seq 1 1000; sleep 0.1; seq 1001 2000")
        await bench.end(spec)
        assert bench.log(spec).splitlines()[-1] == "2000"
        path = bench.runtime.log_path(spec.pod_uid, "main", 0)
        assert path.with_name("0.log.1").exists()
