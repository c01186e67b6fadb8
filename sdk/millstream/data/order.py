"""In which order rows come, and who reads which of them: pure functions of sizes, a seed and positions.

An epoch is a sequence of slices of pieces (row groups), shuffled as a whole. Readers, one for each worker of each rank,
get contiguous shares of that sequence, of equal numbers of rows to within one. A reader goes through its share in
windows of several slices, and the rows of a window come in an order of their own. So a position is two numbers, and
what is left of an epoch can be shared out anew among any other number of readers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Even = Literal["drop", "pad"] | None
Position = tuple[int, int]
"""A window of a reader's share, and how many of its rows have been given out."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Rows `start` to `stop` of a piece."""

    piece: int
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Window:
    """What is read together. Its rows come in the order that `key` seeds, in their own without one."""

    parts: tuple[Slice | Rest, ...]
    key: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class Rest:
    """Rows of a window, counted in its order, that another number of readers left over. `stop` is None where filters
    decide how many rows there are; such a rest is never cut."""

    window: Window
    start: int
    stop: int | None


Part = Slice | Rest


@dataclass(frozen=True)
class Share:
    """Which reader of how many: `worker` of `workers` of `rank` of `world`."""

    rank: int = 0
    world: int = 1
    worker: int = 0
    workers: int = 1

    @property
    def reader(self) -> int:
        return self.rank * self.workers + self.worker


@dataclass(frozen=True)
class Order:
    """How an epoch is shuffled and shared out. `filtered` tells that a piece may give fewer rows than it has."""

    sizes: tuple[int, ...]
    seed: int
    shuffle: bool
    buffer_rows: int
    even: Even
    filtered: bool = False

    def windows(self, epoch: int, share: Share, history: Sequence[dict[str, Any]] = ()) -> list[Window]:
        """A reader's whole share of what `history` left of the epoch."""
        return self._windows(self._remaining(epoch, history), epoch, share, len(history))

    def total(self, share: Share) -> int:
        """Rows of an epoch that one rank gets; with filters, at most."""
        low, high = bounds(sum(self.sizes), share, self.even)
        return high - low

    def _epoch(self, epoch: int) -> list[Part]:
        indexes: Iterable[int] = range(len(self.sizes))
        if self.shuffle:
            indexes = _chance(self.seed, epoch).permutation(len(self.sizes)).tolist()
        return [Slice(index, 0, self.sizes[index]) for index in indexes if self.sizes[index]]

    def _windows(self, parts: list[Part], epoch: int, share: Share, generation: int) -> list[Window]:
        mine = _shared(parts, share, self.even)
        if not self.shuffle:
            return [Window((part,), None) for part in mine]
        grouped = _grouped(mine, self.buffer_rows)
        return [
            Window(tuple(group), (self.seed, epoch, generation, share.reader, number))
            for number, group in enumerate(grouped)
        ]

    def _remaining(self, epoch: int, history: Sequence[dict[str, Any]]) -> list[Part]:
        """What is left after each change of the number of readers, replayed: states keep positions, not rows."""
        parts = self._epoch(epoch)
        for generation, step in enumerate(history):
            left = []
            for reader, position in enumerate(step["positions"]):
                rank, worker = divmod(reader, step["workers"])
                share = Share(rank, step["world"], worker, step["workers"])
                left += self._left(self._windows(parts, epoch, share, generation), tuple(position))
            if self.even == "drop":  # what was too little for all is enough for some now
                total = sum(map(weight, parts))
                left += cut(parts, total // step["world"] * step["world"], total)
            parts = left
        return parts

    def _left(self, windows: list[Window], position: Position) -> Iterator[Part]:
        number, given = position
        for window in windows[number:]:
            if given:
                yield Rest(window, given, None if self.filtered else rows(window))
            else:
                yield from window.parts
            given = 0


def rows(window: Window) -> int:
    """Rows of a window before filters."""
    return sum(map(weight, window.parts))


def weight(part: Part) -> int:
    """Rows of a part before filters."""
    if isinstance(part, Slice):
        return part.stop - part.start
    return max(0, (rows(part.window) if part.stop is None else part.stop) - part.start)


def taken(windows: Sequence[Window], position: Position) -> int:
    """Rows that a reader has given out at a position, without filters."""
    return sum(map(rows, windows[: position[0]])) + position[1]


def position(windows: Sequence[Window], given: int) -> Position:
    """Where a reader is that has given out so many rows, without filters."""
    for number, window in enumerate(windows):
        if given < rows(window):
            return number, given
        given -= rows(window)
    return len(windows), 0


def permutation(window: Window, count: int) -> np.ndarray | None:
    """The order of the `count` rows that a window gave; None for their own."""
    return None if window.key is None else _chance(*window.key).permutation(count)


def bounds(total: int, share: Share, even: Even) -> tuple[int, int]:
    """From where to where a rank's rows reach; with `pad` beyond the end, which means from the beginning again."""
    if even is None:
        return share.rank * total // share.world, (share.rank + 1) * total // share.world
    each = total // share.world if even == "drop" else -(-total // share.world)
    return share.rank * each, (share.rank + 1) * each


def cut(parts: Sequence[Part], start: int, stop: int) -> list[Part]:
    """The parts between two rows. A part that cannot be cut goes whole to where its first row is."""
    found: list[Part] = []
    first = 0
    for part in parts:
        size = weight(part)
        low, high = max(start - first, 0), min(stop - first, size)
        if isinstance(part, Rest) and part.stop is None:
            if start <= first < stop:
                found.append(part)
        elif low < high:
            found.append(_narrowed(part, low, high))
        first += size
    return found


def _narrowed(part: Part, low: int, high: int) -> Part:
    if isinstance(part, Slice):
        return Slice(part.piece, part.start + low, part.start + high)
    return Rest(part.window, part.start + low, part.start + high)


def _shared(parts: list[Part], share: Share, even: Even) -> list[Part]:
    total = sum(map(weight, parts))
    low, high = bounds(total, share, even)
    count = high - low
    start = low + share.worker * count // share.workers
    stop = low + (share.worker + 1) * count // share.workers
    found: list[Part] = []
    while start < stop and total:  # more than once around only where ranks are more than rows
        begin, end = start % total, min(stop - start + start % total, total)
        found += cut(parts, begin, end)
        start += end - begin
    return found


def _grouped(parts: Iterable[Part], least: int) -> Iterator[list[Part]]:
    group: list[Part] = []
    size = 0
    for part in parts:
        group.append(part)
        size += weight(part)
        if size >= least:
            yield group
            group, size = [], 0
    if group:
        yield group


def _chance(*words: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(words)))
