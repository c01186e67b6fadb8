"""What the trainer's handlers need beside a message: the jobs, in the transaction of that message."""

from typing import Any, Protocol

Job = dict[str, Any]


class Jobs(Protocol):
    async def find(self, kind: str, namespace: str, name: str) -> Job | None:
        """The job as stored, None when there is none or when jobs of this kind are not the trainer's."""
        ...

    async def set_status(self, job: Job, status: dict[str, Any]) -> None:
        """Writes the status of a job that `find` answered in this same transaction."""
        ...
