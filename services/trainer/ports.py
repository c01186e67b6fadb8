"""What the trainer's handlers need beside a message: jobs and model versions, in the transaction of that message."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Protocol

from services.trainer.domain.registered import Version

Job = dict[str, Any]


class Jobs(Protocol):
    async def find(self, kind: str, namespace: str, name: str) -> Job | None:
        """The job as stored, None when there is none or when jobs of this kind are not the trainer's."""
        ...

    async def set_status(self, job: Job, status: dict[str, Any]) -> None:
        """Writes the status of a job that `find` answered in this same transaction."""
        ...

    async def suspend(self, job: Job, suspended: bool) -> None:
        """Suspends or resumes it, as its user would."""
        ...


class Versions(Protocol):
    """The model versions that the registry announced."""

    async def put(self, known: Version) -> None: ...


@dataclass(frozen=True)
class Needs:
    jobs: Jobs
    versions: Versions


@dataclass(frozen=True)
class LogWish:
    """What of a log is wanted; `since` is an RFC 3339 time without its zone, whose text sorts like those of the
    lines."""

    timestamps: bool = False
    tail: int | None = None
    since: str = ""
    limit_bytes: int | None = None


class History(Protocol):
    """What is kept of jobs; None for what nothing is kept of."""

    async def jobs(self, namespace: str, resource: str, limit: int) -> list[Job]: ...

    async def job(self, namespace: str, resource: str, name: str, uid: str | None = None) -> Job | None: ...

    async def figures(self, namespace: str, resource: str, name: str, uid: str | None = None) -> list[Job] | None: ...

    async def events(self, namespace: str, job_uid: str | None = None) -> list[Job]: ...

    async def find(self, namespace: str, name: str) -> Any:
        """The newest job of that name, of whatever kind: `resource` and `uid`."""
        ...

    async def pods(self, job_uid: str) -> list[Job]: ...

    async def pod(self, namespace: str, name: str, uid: str = "") -> Any:
        """`uid`, `body` and `gone_at` of the newest pod of that name, or of the one with that uid."""
        ...

    async def log(self, pod_uid: str, container: str, attempt: int | None = None) -> Any: ...

    def lines(self, row: Any, wish: LogWish) -> AsyncIterator[bytes]: ...
