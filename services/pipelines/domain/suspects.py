"""Which run it is that nothing can be stored of, found by taking runs one at a time after a turn over many has failed.

It guards against what nobody thought of: one such run must not hold up all others for ever. Pure.
"""

from __future__ import annotations

ENDED_AT, LEFT_AT = 2, 4
"""How often a run has failed alone when it is ended, and when not even that could be stored."""


class Suspects:
    def __init__(self) -> None:
        self._turns = 0
        self._failures: dict[str, int] = {}

    @property
    def looked_for(self) -> bool:
        """Whether runs are taken one at a time now."""
        return self._turns > 0

    def passed(self) -> None:
        """A turn was stored."""
        self._turns = max(0, self._turns - 1)

    def blame(self, run_id: str | None, many: int) -> None:
        """A turn failed: over this run alone, or over one of so many."""
        self._turns = 1 + many
        if run_id is not None:
            self._failures[run_id] = self._failures.get(run_id, 0) + 1

    def forgive(self, run_id: str) -> None:
        """Somebody wants to try it again."""
        self._failures.pop(run_id, None)

    def is_spoilt(self, run_id: str) -> bool:
        """It is to be ended, and nothing else stored of it."""
        return self._failures.get(run_id, 0) >= ENDED_AT

    def is_hopeless(self, run_id: str) -> bool:
        """It is to be left alone."""
        return self._failures.get(run_id, 0) >= LEFT_AT
