"""The machine of one run: told what happened, it answers what to store, start and stop; it does none of it itself."""

from collections.abc import Iterable
from datetime import datetime
from typing import Self

from services.pipelines.domain.engine.records import TaskRecord
from services.pipelines.domain.engine.words import Decision, Observation, RunFacts
from services.pipelines.domain.ir.model import Pipeline


class Machine:
    """`load`, then `advance` once; after that `tell` and `advance` for ever. One thread at a time."""

    @classmethod
    def load(cls, pipeline: Pipeline, run: RunFacts, records: Iterable[TaskRecord] = ()) -> Self:
        """A machine that knows what is recorded: it decides as the one that lived through it."""
        raise NotImplementedError

    def tell(self, seen: Observation) -> None:
        """Takes note; the next `advance` draws the conclusions."""
        raise NotImplementedError

    def advance(self, now: datetime) -> list[Decision]:
        """All that follows from what was told and from the time; store it in one transaction, then act."""
        raise NotImplementedError

    def due(self) -> datetime | None:
        """When to call `advance` again though nothing was told: a retry that waits, the run's deadline."""
        raise NotImplementedError

    def retry(self) -> None:
        """Takes a failed or canceled run up again: all that failed, was canceled or left out for it waits anew."""
        raise NotImplementedError

    def expects(self, path: str, attempt: int) -> bool:
        """Whether a result of this attempt would change anything."""
        raise NotImplementedError

    def active(self) -> list[TaskRecord]:
        """The steps that should have a pod now: whoever takes a run over starts those that have none."""
        raise NotImplementedError

    @property
    def records(self) -> list[TaskRecord]:
        """All records as they stand."""
        raise NotImplementedError
