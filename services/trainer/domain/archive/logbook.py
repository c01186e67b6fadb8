"""What has been read of one container's log: where to read on, which lines are new, what of it is kept.

A log is append-only and every line begins with its time, so a reader that begins anew at a whole second is told lines
that it knows already: as many as were taken since that second. The last of them must be the same as before; where it is
not, the node has dropped lines in between, and what is younger than all that was taken is new.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from typing import Any

SECOND = len("2026-11-22T10:00:00")


class Misplaced(Exception):
    """The lines told are not those known: read again with `by_time`."""


@dataclass(frozen=True)
class Limits:
    """A log is kept in parts of `part` bytes; of one with more than `head` + `tail` parts the middle is cut out."""

    part: int
    head: int
    tail: int


@dataclass
class Part:
    """`number` counts from 0 over all parts that there ever were; `place` says who holds it."""

    number: int
    size: int
    lines: int
    place: str = ""


@dataclass
class Logbook:
    """`since` is the second from which on `known` lines were taken, the last of them with this `digest` and `stamp`.
    `pending` are lines that make no whole part yet."""

    since: str = ""
    known: int = 0
    digest: str = ""
    stamp: str = ""
    lines: int = 0
    size: int = 0
    cut_lines: int = 0
    cut_size: int = 0
    cut_at: int = -1
    parts: list[Part] = field(default_factory=list)
    next_part: int = 0
    has_gap: bool = False
    pending: bytearray = field(default_factory=bytearray)
    pending_lines: int = 0

    @property
    def read_from(self) -> str | None:
        """The whole second to read on from, as RFC 3339; None for the beginning."""
        return f"{self.since}Z" if self.since else None

    def session(self, *, by_time: bool = False) -> Session:
        return Session(self, by_time)

    def take(self, line: str) -> None:
        """Adds a line that is new."""
        data, stamp = line.encode(), stamp_of(line)
        second = stamp[:SECOND]
        if second > self.since:
            self.since, self.known = second, 1
        elif second == self.since:
            self.known += 1
        self.stamp, self.digest = max(stamp, self.stamp), digest(line)
        self.pending += data + b"\n"
        self.pending_lines += 1
        self.lines += 1
        self.size += len(data) + 1

    def seal(self, place: str) -> Part:
        """Makes a part of what is pending."""
        part = Part(self.next_part, len(self.pending), self.pending_lines, place)
        self.parts.append(part)
        self.next_part += 1
        self.pending, self.pending_lines = bytearray(), 0
        return part

    def cut(self, limits: Limits) -> list[Part]:
        """The parts that are too many, oldest of the tail first; they count as cut out from now on."""
        out = []
        while len(self.parts) > limits.head + limits.tail:
            part = self.parts.pop(limits.head)
            self.cut_lines += part.lines
            self.cut_size += part.size
            self.cut_at = limits.head
            out.append(part)
        return out

    def to_row(self) -> dict[str, Any]:
        """All but what is pending, as JSON."""
        return {**asdict(self), "pending": None}

    @classmethod
    def of_row(cls, row: dict[str, Any], pending: bytes) -> Logbook:
        return cls(**{**row, "parts": [Part(**part) for part in row["parts"]], "pending": bytearray(pending)})


class Session:
    """One reading from `Logbook.read_from` on."""

    def __init__(self, book: Logbook, by_time: bool) -> None:
        self._book, self._by_time = book, by_time
        self._skip, self._after = book.known, book.stamp
        self._digest = book.digest

    def told(self, line: str) -> bool:
        """Whether the line is new; then it is taken. Raises Misplaced."""
        if self._by_time:
            if self._skip and stamp_of(line) <= self._after:
                return False
            if self._skip:
                self._book.has_gap = True
            self._skip = 0
        elif self._skip:
            self._skip -= 1
            if not self._skip and digest(line) != self._digest:
                raise Misplaced
            return False
        self._book.take(line)
        return True

    def done(self) -> None:
        """Called at the end of a reading that was not cut off: fewer lines than are known raise Misplaced."""
        if self._skip and not self._by_time:
            raise Misplaced


def stamp_of(line: str) -> str:
    """The time that a line begins with, empty for one that begins with something else."""
    stamp = line.partition(" ")[0]
    return stamp if len(stamp) >= SECOND and stamp[4:5] == "-" and stamp[10:11] == "T" else ""


def digest(line: str) -> str:
    return blake2b(line.encode(), digest_size=12).hexdigest()
