"""What the pipelines' rooms need of one another: runs as the API changes them, and the desk where steps report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from services.pipelines.domain.engine.records import TaskRecord
from services.pipelines.domain.runs import Artifact, NewRun, Run
from services.pipelines.domain.steps.values import StepOrder, StepResult


class Runs(Protocol):
    """The runs inside one transaction. What is changed here is told and, after the commit, carried out by the conductor
    of whichever replica leads. Lists with filters are the API's own reading of the table."""

    async def create(self, new: NewRun) -> Run:
        """A PENDING run with a fresh id; its event is said."""
        ...

    async def get(self, id: str) -> Run | None: ...

    async def tasks(self, id: str) -> Sequence[TaskRecord]:
        """In the order in which they came to be."""
        ...

    async def artifacts(self, id: str) -> Sequence[Artifact]:
        """Made or imported by the run's tasks, in their order."""
        ...

    async def terminate(self, id: str) -> Run:
        """CANCELING from now on; nothing happens to one that is over. Raises NotFound."""
        ...

    async def retry(self, id: str) -> Run:
        """A failed or canceled run goes on from what failed. Raises NotFound, Conflict for one that goes on or
        succeeded."""
        ...

    async def archive(self, id: str, archived: bool) -> Run:
        """Raises NotFound, Conflict for one that goes on."""
        ...

    async def delete(self, id: str) -> None:
        """Its pods are stopped, its tasks and artifacts' rows go; the bytes stay where they are. Raises NotFound."""
        ...


class StepDesk(Protocol):
    """Where the step door hands on what a pod asks and tells. Each call is a transaction of its own."""

    async def order_of(self, uid: str, attempt: int) -> StepOrder | None:
        """What the attempt is to do; None when there is no such task, or it is not this attempt that counts now."""
        ...

    async def finish(self, uid: str, attempt: int, result: StepResult) -> bool:
        """Returns when the result is committed: True if this attempt's result is recorded, now or before; False when
        another attempt counts by now, or the run no longer wants it: the pod may end, its words change nothing."""
        ...
