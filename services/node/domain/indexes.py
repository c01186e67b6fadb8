"""Completed indexes as text, `0,2-4,7`; pure. Source: batch/v1 JobStatus.completedIndexes."""

from collections.abc import Iterable


def parse_indexes(text: str | None) -> set[int]:
    """The numbers in `text`."""
    found: set[int] = set()
    for part in (text or "").split(","):
        first, _, last = part.partition("-")
        if first:
            found.update(range(int(first), int(last or first) + 1))
    return found


def format_indexes(numbers: Iterable[int]) -> str:
    """The shortest text for a set of numbers."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)
