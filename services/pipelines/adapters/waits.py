"""Why steps that were begun have no running pod yet, as rows beside their tasks: for people, nobody decides by them."""

from __future__ import annotations

from collections.abc import Mapping

from libs.store import Reader, UnitOfWork, brief
from services.pipelines.domain.engine.records import State, TaskRecord

ALL = "SELECT task_uid, run_id, attempt, message FROM pipeline_waits"
OF_RUN = brief("SELECT task_uid, attempt, message FROM pipeline_waits WHERE run_id = ?1")
PUT = brief(
    "INSERT INTO pipeline_waits (task_uid, run_id, attempt, message) VALUES (?1, ?2, ?3, ?4) "
    "ON CONFLICT (task_uid) DO UPDATE SET attempt = excluded.attempt, message = excluded.message"
)
DROP = brief("DELETE FROM pipeline_waits WHERE task_uid = ?1")
CHANGED = brief(
    "UPDATE pipeline_tasks SET version = "
    "(SELECT coalesce(max(version), 0) + 1 FROM pipeline_tasks WHERE run_id = ?2) WHERE uid = ?1"
)
"""Who looks at the run again shall see it."""
DROP_RUN = brief("DELETE FROM pipeline_waits WHERE run_id = ?1")
MESSAGE_MAX = 2000


class Waits:
    """What the leader knows of them, so that it writes only what is new; a run without any costs nothing."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, int, str]] = {}

    async def load(self, reader: Reader) -> None:
        rows = await reader.rows(ALL)
        self._known = {str(uid): (str(run), int(attempt), str(why)) for uid, run, attempt, why in rows}

    async def put(self, uow: UnitOfWork, run_id: str, uid: str, attempt: int, why: str) -> None:
        told = (run_id, attempt, why[:MESSAGE_MAX])
        if self._known.get(uid) != told:
            self._known[uid] = told
            await uow.later(PUT, uid, *told)
            await uow.later(CHANGED, uid, run_id)

    async def follow(self, uow: UnitOfWork, record: TaskRecord) -> None:
        """A task that goes on, or begins anew, waits for nothing any more."""
        if (known := self._known.get(record.uid)) and (record.state, record.attempt) != (State.PENDING, known[1]):
            del self._known[record.uid]
            await uow.later(DROP, record.uid)

    async def clear(self, uow: UnitOfWork, uid: str) -> None:
        if known := self._known.pop(uid, None):
            await uow.later(DROP, uid)
            await uow.later(CHANGED, uid, known[0])

    async def drop_run(self, uow: UnitOfWork, run_id: str) -> None:
        if found := [uid for uid, known in self._known.items() if known[0] == run_id]:
            for uid in found:
                del self._known[uid]
            await uow.later(DROP_RUN, run_id)


async def of_run(reader: Reader, run_id: str) -> Mapping[str, tuple[int, str]]:
    """By a task's uid: of which attempt it is said, and why."""
    return {str(uid): (int(attempt), str(why)) for uid, attempt, why in await reader.rows(OF_RUN, run_id)}
