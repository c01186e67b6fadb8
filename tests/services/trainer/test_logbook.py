"""What is taken of a log that is read again and again, cut off anywhere: every line once."""

import random

import pytest

from services.trainer.domain.archive.logbook import Limits, Logbook, Misplaced


def log(seed: int, count: int) -> list[str]:
    """Lines of two streams, whose times may go back a little, many within one second and some alike."""
    chance, at, out = random.Random(seed), 0.0, []
    for number in range(count):
        at += chance.choice([0, 0, 0.001, 0.2, 1.5])
        seen = max(0.0, at - chance.choice([0, 0, 0.0005]))
        text = chance.choice([f"line {number}", "the same again"])
        out.append(f"2026-11-22T10:{int(seen) // 60 % 60:02}:{seen % 60:012.9f}Z {text}")
    return out


def told(lines: list[str], since: str | None) -> list[str]:
    """What a node tells of `lines` from a second on."""
    return [line for line in lines if since is None or line[:19] >= since[:19]]


def text(book: Logbook) -> list[str]:
    return bytes(book.pending).decode().splitlines()


@pytest.mark.parametrize("seed", range(30))
def test_a_log_read_in_pieces_is_the_log(seed: int):
    chance, lines, book = random.Random(seed), log(seed, 300), Logbook()
    there = 0
    while there < len(lines):
        there = min(len(lines), there + chance.randint(0, 40))
        session, until = book.session(), chance.randint(1, 60)
        answered = told(lines[:there], book.read_from)
        for line in answered[:until]:  # the connection may break anywhere
            session.told(line)
        book = Logbook.of_row(book.to_row(), bytes(book.pending))  # and the process may be another one
    session = book.session()
    for line in told(lines, book.read_from):
        session.told(line)
    session.done()
    assert text(book) == lines
    assert (book.lines, book.has_gap) == (300, False)


def test_lines_that_the_node_has_dropped_are_noticed_and_no_line_comes_twice():
    lines, book = log(3, 200), Logbook()
    session = book.session()
    for line in lines[:100]:
        session.told(line)
    left = lines[95:]  # rotated away: the second of line 100 is not whole any more
    with pytest.raises(Misplaced):
        _read(book, told(left[20:], book.read_from))
    session = book.session(by_time=True)
    for line in left[20:]:
        session.told(line)
    assert text(book) == [*lines[:100], *lines[115:]]
    assert book.has_gap


def _read(book: Logbook, lines: list[str]) -> None:
    session = book.session()
    for line in lines:
        session.told(line)
    session.done()


def test_of_a_huge_log_the_middle_is_cut_out_and_counted():
    book, limits, seen = Logbook(), Limits(part=100, head=2, tail=3), []
    for number in range(1000):
        book.take(f"2026-11-22T10:00:00.000000000Z line {number:05}")
        if len(book.pending) >= limits.part:
            book.seal("here")
            seen += book.cut(limits)
    assert [part.number for part in book.parts][:2] == [0, 1] and len(book.parts) == 5
    assert [part.number for part in book.parts][2:] == [book.next_part - 3, book.next_part - 2, book.next_part - 1]
    assert book.cut_lines == sum(part.lines for part in seen)
    kept = sum(part.lines for part in book.parts) + book.pending_lines
    assert kept + book.cut_lines == book.lines == 1000


def test_lines_without_a_time_are_taken_once():
    book = Logbook()
    for _ in range(2):
        _read(book, ["alpha", "beta"])
    assert text(book) == ["alpha", "beta"]
