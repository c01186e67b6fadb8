"""What the tuner's handlers need beside a message: its trials, in the transaction of that message."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

Object = dict[str, Any]


class Trials(Protocol):
    async def find(self, namespace: str, name: str) -> Object | None: ...

    async def set_status(self, trial: Object, status: Object) -> None:
        """Writes the status of a trial that `find` answered in this same transaction."""
        ...


@dataclass(frozen=True)
class Needs:
    trials: Trials
