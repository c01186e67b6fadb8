"""The Lineage port: which task made an artifact out of which others, in the rows of one transaction."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from libs.store import Reader, UnitOfWork, brief
from services.pipelines.adapters.keyed import rows_for
from services.pipelines.adapters.ledger import PUT_ARTIFACT, PUT_LINEAGE
from services.pipelines.adapters.listing import settled
from services.pipelines.adapters.runs import ARTIFACT_COLUMNS, artifact_of
from services.pipelines.domain.engine.records import TaskRecord
from services.pipelines.domain.lineage import Edge
from services.pipelines.domain.runs import Artifact

GET = brief(f"SELECT {ARTIFACT_COLUMNS} FROM pipeline_artifacts WHERE id = ?1")
GET_ALL = f"SELECT {ARTIFACT_COLUMNS} FROM pipeline_artifacts WHERE id IN ({{keys}})"
FIND = (
    f"SELECT {ARTIFACT_COLUMNS} FROM pipeline_artifacts WHERE namespace = ?1 AND uri = ?2 "
    "ORDER BY created_ms DESC LIMIT 1"
)
TASK = brief("SELECT run_id, body FROM pipeline_tasks WHERE uid = ?1")
OF_ARTIFACT = brief("SELECT task_uid, way, name, artifact_id, run_id FROM pipeline_lineage WHERE artifact_id = ?1")
OF_TASK = brief("SELECT task_uid, way, name, artifact_id, run_id FROM pipeline_lineage WHERE task_uid = ?1")
OF_RUN = brief("SELECT task_uid, way, name, artifact_id, run_id FROM pipeline_lineage WHERE run_id = ?1")


FORGET = (
    brief("DELETE FROM pipeline_artifacts WHERE id = ?1"),
    brief("DELETE FROM pipeline_lineage WHERE artifact_id = ?1"),
)


class SqlLineage:
    """Reads, and notes what people record; what steps tell is the ledger's to write."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def artifact(self, id: str) -> Artifact | None:
        found = await self._reader.rows(GET, id)
        return artifact_of(found[0]) if found else None

    async def artifacts(self, ids: Iterable[str]) -> Sequence[Artifact]:
        return [artifact_of(row) for row in await rows_for(self._reader, GET_ALL, {*ids} - {""})]

    async def newest_at(self, namespace: str, uri: str) -> Artifact | None:
        found = await self._reader.rows(FIND, namespace, uri)
        return artifact_of(found[0]) if found else None

    async def task(self, uid: str) -> tuple[str, TaskRecord] | None:
        found = await self._reader.rows(TASK, uid)
        return (str(found[0][0]), TaskRecord.from_json(json.loads(found[0][1]))) if found else None

    async def of_artifact(self, id: str) -> Sequence[Edge]:
        await settled(self._reader)
        return [Edge(*row) for row in await self._reader.rows(OF_ARTIFACT, id)]

    async def of_task(self, uid: str) -> Sequence[Edge]:
        return [Edge(*row) for row in await self._reader.rows(OF_TASK, uid)]

    async def of_run(self, run_id: str) -> Sequence[Edge]:
        return [Edge(*row) for row in await self._reader.rows(OF_RUN, run_id)]

    async def record(self, artifact: Artifact) -> None:
        told = {**vars(artifact), "metadata": json.dumps(dict(artifact.metadata))}
        assert isinstance(self._reader, UnitOfWork)
        await self._reader.later(PUT_ARTIFACT, *(told[name] for name in ARTIFACT_COLUMNS.split(", ")))

    async def link(self, edge: Edge) -> None:
        assert isinstance(self._reader, UnitOfWork)
        await self._reader.later(PUT_LINEAGE, edge.task_uid, edge.way, edge.name, edge.artifact_id, edge.run_id)

    async def forget(self, artifact_id: str) -> None:
        assert isinstance(self._reader, UnitOfWork)
        for statement in FORGET:
            await self._reader.later(statement, artifact_id)
