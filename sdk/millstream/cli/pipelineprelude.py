"""What kfp's own executor prints before a step's program does: about thirty lines, of which a person wants none.

It is left out where a person looks, never where it is kept. It must not assume that a log has it, nor that it ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

MARK = "[KFP Executor "
GIVEN = "Got executor_input:"
LINES_MAX = 10_000
"""A document of more is told as it is."""
Line = tuple[int, str]
"""With its number in the whole log."""


def folded(lines: Iterable[Line]) -> Iterator[Line]:
    """The lines without the prelude, and in its place one that says so; each as soon as it is known not to belong."""
    rest, kept, given = iter(lines), list[Line](), False
    for number, line in rest:
        kept.append((number, line))
        given = given or (line.startswith(MARK) and GIVEN in line)
        ended = given and line.rstrip() == "}"
        if ended:
            kept = [(number, f"({len(kept)} lines of kfp's executor are left out: --all shows them)\n")]
        if ended or len(kept) > LINES_MAX or not line.startswith((MARK, " ", "{") if given else MARK):
            break
    yield from kept
    yield from rest
