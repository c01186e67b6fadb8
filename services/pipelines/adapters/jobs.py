"""Jobs as rows, filled from events alone; each event writes the columns that it tells of. What is gone and leads from
nothing that is known to nothing that is known goes after a while: an Experiment's trials leave thousands of such."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from libs.store import Reader, UnitOfWork, brief
from services.pipelines.adapters.keyed import rows_for
from services.pipelines.domain.jobs import Job

COLUMNS = "uid, namespace, name, kind, task_uid, dataset_uri, model_uri, started, ended, gone, body"
MAX = 200
"""Of one artifact or task: more are not looked at."""
FIRST = brief(
    f"INSERT INTO pipeline_jobs ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, '', '', '', 0, '', 0, '{{}}') "
    "ON CONFLICT (uid) DO NOTHING"
)
MADE = brief("UPDATE pipeline_jobs SET task_uid = ?1 WHERE uid = ?2")
READS = brief("UPDATE pipeline_jobs SET dataset_uri = ?1 WHERE uid = ?2")
STARTED = brief("UPDATE pipeline_jobs SET started = 1 WHERE uid = ?1")
ENDED = brief("UPDATE pipeline_jobs SET ended = ?1, model_uri = ?2, body = ?3 WHERE uid = ?4")
GONE = brief("UPDATE pipeline_jobs SET gone = 1 WHERE uid = ?1 AND gone = 0")
MARK = "UPDATE pipeline_jobs SET gone = 2 WHERE gone = 1"
"""An hour before they may go: what is told late of them has come by then."""
LEADS_NOWHERE = (
    "gone = 2 AND NOT EXISTS (SELECT 1 FROM pipeline_tasks t WHERE t.uid = j.task_uid) "
    "AND NOT EXISTS (SELECT 1 FROM pipeline_releases r WHERE r.uri = j.model_uri AND r.uri <> '') "
    "AND NOT EXISTS (SELECT 1 FROM pipeline_artifacts a WHERE a.namespace = j.namespace AND a.uri <> '' "
    "AND a.uri IN (j.dataset_uri, j.dataset_uri || '/', j.model_uri, j.model_uri || '/'))"
)
UNNEEDED = f"SELECT uid FROM pipeline_jobs j WHERE {LEADS_NOWHERE}"
DROP = brief(f"DELETE FROM pipeline_jobs AS j WHERE uid = ?1 AND {LEADS_NOWHERE}")
"""It is looked again: since it was asked which, something may have come that a job leads to."""
FIND = f"SELECT {COLUMNS} FROM pipeline_jobs WHERE "
BY_UIDS = f"{FIND}uid IN ({{keys}})"
OF_TASK = brief(f"{FIND}namespace = ?1 AND task_uid = ?2 ORDER BY uid LIMIT {MAX}")
READING = brief(f"{FIND}namespace = ?1 AND dataset_uri = ?2 ORDER BY uid LIMIT {MAX}")
MAKING = brief(f"{FIND}namespace = ?1 AND model_uri = ?2 ORDER BY uid LIMIT {MAX}")


class SqlJobs:
    """The Jobs port; `reader` is a transaction that writes for who notes something."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def note(self, job: Job) -> None:
        """What is not known of it here is left as it was."""
        assert isinstance(self._reader, UnitOfWork)
        write = self._reader.later
        await write(FIRST, job.uid, job.namespace, job.name, job.kind)
        if job.task_uid:
            await write(MADE, job.task_uid, job.uid)
        if job.dataset_uri:
            await write(READS, job.dataset_uri, job.uid)
        if job.started:
            await write(STARTED, job.uid)
        if job.ended:
            await write(ENDED, job.ended, job.model_uri, json.dumps(dict(job.body)), job.uid)
        if job.gone:
            await write(GONE, job.uid)

    async def unneeded(self) -> Sequence[str]:
        """The uids of those that may go."""
        return [str(uid) for (uid,) in await self._reader.rows(UNNEEDED)]

    async def drop(self, uids: Iterable[str]) -> None:
        """Those go, and what is gone now may be unneeded when it is looked next."""
        assert isinstance(self._reader, UnitOfWork)
        for uid in uids:
            await self._reader.later(DROP, uid)
        await self._reader.later(MARK)

    async def named(self, uids: Iterable[str]) -> Sequence[Job]:
        return [_job(row) for row in await rows_for(self._reader, BY_UIDS, uids)]

    async def of_task(self, namespace: str, uid: str) -> Sequence[Job]:
        return await self._found(OF_TASK, namespace, uid)

    async def reading(self, namespace: str, uri: str) -> Sequence[Job]:
        return await self._found(READING, namespace, uri) if uri else []

    async def making(self, namespace: str, uri: str) -> Sequence[Job]:
        return await self._found(MAKING, namespace, uri) if uri else []

    async def _found(self, query: str, *words: str) -> Sequence[Job]:
        return [_job(row) for row in await self._reader.rows(query, *words)]


def _job(row: Sequence[Any]) -> Job:
    *words, started, ended, gone, body = row
    return Job(*words, bool(started), ended, bool(gone), json.loads(body))
