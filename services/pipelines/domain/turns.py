"""Who is next: everything that waits in a line of its own owner, and the owners take turns; pure.

A run of ten thousand steps must not keep one of ten waiting until it is done.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Turns(Generic[T]):
    """First come, first served within an owner; each step costs the same however many wait."""

    def __init__(self) -> None:
        self._lines: OrderedDict[str, deque[T]] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[T]:
        return (item for line in self._lines.values() for item in line)

    def put(self, owner: str, item: T) -> None:
        self._lines.setdefault(owner, deque()).append(item)
        self._count += 1

    def take(self) -> T:
        """Raises KeyError where nothing waits."""
        owner, line = next(iter(self._lines.items()), ("", None))
        if line is None:
            raise KeyError("nothing waits")
        item = line.popleft()
        self._count -= 1
        if line:
            self._lines.move_to_end(owner)
        else:
            del self._lines[owner]
        return item

    def clear(self) -> None:
        self._lines.clear()
        self._count = 0
