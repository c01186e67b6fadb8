"""What the processes of the benchmark tell each other: a few numbers in a mapped file, each written by one side alone.

The owner writes the virtual time; the scheduler's process writes how far it is. Every number only grows.
"""

from __future__ import annotations

import mmap
from datetime import UTC, datetime, timedelta
from pathlib import Path

from libs.base.clock import SystemClock

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ("ms", "taken", "rested", "head", "decisions", "published", "cycles", "deciding_us", "commits")


class Table:
    """`ms`: the virtual time. `taken`: letters whose effect is committed. `head`: the newest change of the store.
    `rested`: the change up to which the loop had seen all when it last went to rest."""

    def __init__(self, path: Path) -> None:
        size = 8 * len(NAMES)
        if not path.exists():
            path.write_bytes(bytes(size))
        with path.open("r+b") as file:
            self._file = mmap.mmap(file.fileno(), size)
        self._numbers = memoryview(self._file).cast("q")

    def __getitem__(self, name: str) -> int:
        return self._numbers[NAMES.index(name)]

    def __setitem__(self, name: str, value: int) -> None:
        self._numbers[NAMES.index(name)] = value


class Virtual(SystemClock):
    """The time of day stands still until the owner moves it; waiting takes real time."""

    def __init__(self, table: Table) -> None:
        self._table, self._ms, self._now = table, 0, EPOCH

    def now(self) -> datetime:
        if (ms := self._table["ms"]) != self._ms:
            self._ms, self._now = ms, EPOCH + timedelta(milliseconds=ms)
        return self._now
