"""Runs as rows of one transaction, as the API reads and changes them; what follows for their tasks is the conductor's.

Whoever changes a run leaves a wish in the same transaction. The replica that leads follows the store's feed, so nobody
has to be woken.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from contracts.events.pipelines.v1 import (
    RunArchived,
    RunCreated,
    RunDeleted,
    RunRetried,
    RunTerminated,
    RunUnarchived,
)
from contracts.messages import Event
from libs.base import Clock, Conflict, Ids, NotFound, milliseconds
from libs.store import Reader, UnitOfWork, brief
from services.pipelines.adapters.waits import of_run
from services.pipelines.domain import runs as words
from services.pipelines.domain.catalog.run_text import Change
from services.pipelines.domain.engine.records import TaskRecord
from services.pipelines.domain.runs import Artifact, NewRun, Run, RunOptions, drafted

RESOURCE = "runs.pipelines"
COLUMNS = (
    "id, namespace, experiment_id, name, description, pipeline_name, pipeline_id, version_id, recurring_run_id, spec, "
    "parameters, root, service_account, options, state, storage_state, error, history, created_ms, scheduled_ms, "
    "finished_ms"
)
GET = brief(f"SELECT {COLUMNS} FROM pipeline_runs WHERE id = ?1")
INSERT = brief(
    f"INSERT INTO pipeline_runs ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, "
    "?16, ?17, ?18, ?19, ?20, ?21)"
)
SET_STATE = brief("UPDATE pipeline_runs SET state = ?2, error = ?3, history = ?4, finished_ms = ?5 WHERE id = ?1")
SET_STORAGE = brief("UPDATE pipeline_runs SET storage_state = ?2 WHERE id = ?1")
WISH = brief("INSERT INTO pipeline_wishes (run_id, wish, body) VALUES (?1, ?2, ?3)")
TASKS = "SELECT body, cache FROM pipeline_tasks WHERE run_id = ?1 ORDER BY number"
NEXT_VERSION = "(SELECT coalesce(max(version), 0) + 1 FROM pipeline_tasks WHERE run_id = ?2)"
"""What a change of one of the run's tasks is numbered with; ?2 is the run's id."""
CHANGES = (
    "SELECT t.version, t.number, t.body, t.cache, coalesce(w.attempt, 0), coalesce(w.message, '') "
    "FROM pipeline_tasks t LEFT JOIN pipeline_waits w ON w.task_uid = t.uid "
    "WHERE t.run_id = ?1 AND (t.version, t.number) > (?2, ?3) ORDER BY t.version, t.number LIMIT ?4"
)
ARTIFACT_COLUMNS = "id, namespace, run_id, task_uid, name, kind, uri, digest, size, metadata, created_ms"
ARTIFACTS = f"SELECT {ARTIFACT_COLUMNS} FROM pipeline_artifacts WHERE run_id = ?1 ORDER BY created_ms, id"
MAY_CLEAN_UP = "SELECT 1 FROM pipeline_specs WHERE digest = ?1 AND body LIKE '%ALL_UPSTREAM_TASKS_COMPLETED%'"
"""Whether a pipeline has tasks that run whatever became of those before; exit tasks are among them."""
OF_RUN = ("pipeline_lineage", "pipeline_artifacts", "pipeline_waits", "pipeline_tasks")

ADVANCE, TERMINATE, RETRY, FORGET = "advance", "terminate", "retry", "forget"
"""What may be wished: look at it, end it, take it up again, drop it since it is deleted."""

Say = Callable[[Event], None]


class ReadRuns:
    """What anyone may look at; `reader` may be a transaction that writes."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def get(self, id: str) -> Run | None:
        found = await self._reader.rows(GET, id)
        return run_of(found[0]) if found else None

    async def tasks(self, id: str) -> Sequence[TaskRecord]:
        return [TaskRecord.from_json(json.loads(body)) for body, _ in await self._reader.rows(TASKS, id)]

    async def changes(self, id: str, seen: tuple[int, int], most: int) -> Sequence[Change]:
        rows = await self._reader.rows(CHANGES, id, *seen, most)
        return [
            (int(at), int(number), str(body), str(why), int(turn), str(wait))
            for at, number, body, why, turn, wait in rows
        ]

    async def cache_reasons(self, id: str) -> dict[str, str]:
        """Why a task's outputs came from the cache or not, by its uid, as far as anybody looked."""
        rows = await self._reader.rows("SELECT uid, cache FROM pipeline_tasks WHERE run_id = ?1 AND cache <> ''", id)
        return {str(uid): str(why) for uid, why in rows}

    async def waits(self, id: str) -> Mapping[str, tuple[int, str]]:
        return await of_run(self._reader, id)

    async def artifacts(self, id: str) -> Sequence[Artifact]:
        return [artifact_of(row) for row in await self._reader.rows(ARTIFACTS, id)]


class SqlRuns(ReadRuns):
    """`home` is the URI below which namespaces keep their runs' outputs, `say` the outbox of this transaction."""

    def __init__(self, uow: UnitOfWork, clock: Clock, ids: Ids, say: Say, home: str) -> None:
        super().__init__(uow)
        self._uow, self._clock, self._ids, self._say, self._home = uow, clock, ids, say, home

    async def create(self, new: NewRun) -> Run:
        now, id = self._now(), new.id or self._ids.uid()
        run = drafted(new, id, now, self._home)
        await self._uow.later(INSERT, *_values(run))
        await self._wish(id, ADVANCE)
        self._say(_created(run))
        return run

    async def terminate(self, id: str) -> Run:
        run = await self._present(id)
        if run.is_over:
            return run
        await self._wish(id, TERMINATE)
        if run.state == words.CANCELING:
            return run  # asked again: its exit tasks end as well
        self._say(RunTerminated(**about(run)))
        return await set_state(self._uow, run, words.CANCELING, self._now())

    async def retry(self, id: str) -> Run:
        run = await self._present(id)
        if run.state not in (words.FAILED, words.CANCELED):
            raise Conflict.about(RESOURCE, id, f"the run is {run.state}; only a failed or canceled one is retried")
        await self._wish(id, RETRY)
        self._say(RunRetried(**about(run)))
        return await set_state(self._uow, run, words.PENDING, self._now())

    async def archive(self, id: str, archived: bool) -> Run:
        run = await self._present(id)
        if not run.is_over:
            raise Conflict.about(RESOURCE, id, f"the run is {run.state}; wait for its end or terminate it")
        state = words.ARCHIVED if archived else words.AVAILABLE
        if state != run.storage_state:
            await self._uow.later(SET_STORAGE, id, state)
            self._say(RunArchived(**about(run)) if archived else RunUnarchived(**about(run)))
        found = await self.get(id)
        assert found is not None
        return found

    async def delete(self, id: str) -> bool:
        run = await self._present(id)
        if not (run.is_over or run.is_leaving) and await self._uow.rows(MAY_CLEAN_UP, run.spec):
            await self._uow.later(SET_STORAGE, id, words.LEAVING)
            await (self._wish(id, ADVANCE) if run.state == words.CANCELING else self.terminate(id))
            return False
        await erase(self._uow, id)
        await self._wish(id, FORGET)
        self._say(RunDeleted(**about(run)))
        return True

    async def _present(self, id: str) -> Run:
        run = await self.get(id)
        if run is None:
            raise NotFound.about(RESOURCE, id)
        return run

    async def _wish(self, id: str, wish: str) -> None:
        await self._uow.later(WISH, id, wish, "")

    def _now(self) -> int:
        return milliseconds(self._clock.now())


async def erase(uow: UnitOfWork, id: str) -> None:
    """The rows of a run; the bytes of its artifacts stay where they are."""
    for table in OF_RUN:
        await uow.later(f"DELETE FROM {table} WHERE run_id = ?1", id)
    await uow.later("DELETE FROM pipeline_runs WHERE id = ?1", id)


async def set_state(uow: UnitOfWork, run: Run, state: str, now_ms: int, error: str = "") -> Run:
    """The run in its new state, which is also written."""
    history = (*run.history, (now_ms, state))
    finished = now_ms if state in words.OVER else None
    await uow.later(SET_STATE, run.id, state, error, json.dumps(history), finished)
    return Run(**{**vars(run), "state": state, "error": error, "history": history, "finished_ms": finished})


def about(run: Run) -> dict[str, Any]:
    """What every event of a run says of it."""
    return {"namespace": run.namespace, "name": run.name[:253] or run.id, "uid": run.id}


def run_of(row: Sequence[Any]) -> Run:
    """`row` has the values of COLUMNS."""
    told = dict(zip(COLUMNS.split(", "), row, strict=True))
    told["parameters"] = json.loads(told["parameters"])
    told["options"] = RunOptions.from_json(json.loads(told["options"]))
    told["history"] = tuple((ms, state) for ms, state in json.loads(told["history"]))
    return Run(**told)


def artifact_of(row: Sequence[Any]) -> Artifact:
    """`row` has the values of ARTIFACT_COLUMNS."""
    told = dict(zip(ARTIFACT_COLUMNS.split(", "), row, strict=True))
    return Artifact(**{**told, "metadata": json.loads(told["metadata"])})


def _values(run: Run) -> list[Any]:
    texts = {
        "parameters": json.dumps(dict(run.parameters)),
        "options": json.dumps(run.options.to_json()),
        "history": json.dumps(run.history),
    }
    return [texts.get(name, getattr(run, name)) for name in COLUMNS.split(", ")]


def _created(run: Run) -> RunCreated:
    return RunCreated(
        **about(run),
        pipeline=run.pipeline_name,
        pipeline_id=run.pipeline_id,
        version_id=run.version_id,
        experiment_id=run.experiment_id,
        recurring_run_id=run.recurring_run_id,
        spec=run.spec,
    )
