"""What the trainer's handlers need beside a message: the jobs, in the transaction of that message."""

from typing import Any, Protocol

Job = dict[str, Any]


class Jobs(Protocol):
    async def find(self, namespace: str, name: str) -> Job | None:
        """The TrainJob as stored, None when there is none."""
        ...

    async def set_status(self, job: Job, status: dict[str, Any]) -> None:
        """Writes the status of a job that `find` answered in this same transaction."""
        ...
