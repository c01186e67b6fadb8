"""Writes what was decided about a run into the transaction: tasks, artifacts, lineage, cache, events and the end."""

from __future__ import annotations

import json
from datetime import datetime

from contracts.events.pipelines.v1 import RunDeleted, RunStarted
from contracts.messages import Event
from libs.base import from_milliseconds, milliseconds
from libs.service.app import Ports
from libs.service.pipeline import say
from libs.store import UnitOfWork, brief
from services.pipelines.adapters.catalog import SqlCatalog
from services.pipelines.adapters.live import LiveRun
from services.pipelines.adapters.runs import ARTIFACT_COLUMNS, NEXT_VERSION, about, erase, set_state
from services.pipelines.domain import announce
from services.pipelines.domain import runs as words
from services.pipelines.domain.cache import Fingerprint
from services.pipelines.domain.engine.records import Artifact, Kind, State, TaskRecord, Values
from services.pipelines.domain.engine.words import End
from services.pipelines.domain.lineage import READ, REUSED, WROTE
from services.pipelines.domain.runs import Run

SOURCE = "millstream/pipelines"
PUT_TASK = brief(
    "INSERT INTO pipeline_tasks (uid, run_id, path, number, state, attempt, cache, body, version) "
    f"VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, {NEXT_VERSION}) ON CONFLICT (uid) DO UPDATE SET state = excluded.state, "
    "attempt = excluded.attempt, cache = excluded.cache, body = excluded.body, version = excluded.version"
)
"""`body` is the engine's record, the columns beside it are for who looks a task up. `cache` says why its outputs were
taken from the cache, or why not. `version` grows within a run with every change of any of its tasks, so that who has
seen some asks for the later ones; 0 is of a release that did not number them."""
PUT_ARTIFACT = brief(
    f"INSERT INTO pipeline_artifacts ({ARTIFACT_COLUMNS}) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT DO NOTHING"
)
PUT_LINEAGE = brief(
    "INSERT INTO pipeline_lineage (task_uid, way, name, artifact_id, run_id) VALUES (?1, ?2, ?3, ?4, ?5) "
    "ON CONFLICT DO NOTHING"
)
PUT_CACHE = brief(
    "INSERT INTO pipeline_cache (namespace, key, pipeline, task, run_id, task_uid, outputs, parts, created_ms) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (namespace, key) DO UPDATE SET "
    "pipeline = excluded.pipeline, task = excluded.task, run_id = excluded.run_id, task_uid = excluded.task_uid, "
    "outputs = excluded.outputs, parts = excluded.parts, created_ms = excluded.created_ms"
)
"""What a step with this fingerprint, `key`, came to; `parts` is what that was made of, to explain a miss."""
FIND_CACHE = brief("SELECT task_uid, outputs FROM pipeline_cache WHERE namespace = ?1 AND key = ?2")
DROP_DAMAGED = "DELETE FROM pipeline_cache WHERE namespace = ?1 AND outputs LIKE ?2 ESCAPE '!'"
NEWEST_CACHE = brief(
    "SELECT parts FROM pipeline_cache WHERE namespace = ?1 AND pipeline = ?2 AND task = ?3 "
    "ORDER BY created_ms DESC LIMIT ?4"
)


class Ledger:
    """One transaction's pen. Everything goes past SQLAlchemy's session, and is sent with the commit."""

    def __init__(self, uow: UnitOfWork, ports: Ports, now: datetime) -> None:
        self.uow, self._ports, self._now = uow, ports, now
        self._ms = milliseconds(now)

    async def throw_away(self, namespace: str, uri: str) -> None:
        """What is kept with this artifact is not given out any more: its bytes are damaged."""
        named = json.dumps(uri)[1:-1]
        for letter in "!%_":
            named = named.replace(letter, f"!{letter}")
        await self.uow.later(DROP_DAMAGED, namespace, f'%"{named}"%')

    async def begin(self, run: Run) -> Run:
        """A run that waited to be looked at is RUNNING from now on."""
        self._say(RunStarted(**about(run)))
        return await set_state(self.uow, run, words.RUNNING, self._ms)

    async def started(self, live: LiveRun, record: TaskRecord) -> None:
        self._say(announce.started(live.run, record))

    async def put(self, live: LiveRun, record: TaskRecord, fingerprint: Fingerprint | None) -> None:
        """The new truth about one task. `fingerprint` is what its outputs are kept under, if they are."""
        before, cache = live.stored.get(record.path), live.caches.get(record.path, "")
        body = json.dumps(record.to_json(), separators=(",", ":"))
        number = live.number(record.path)
        values = (record.uid, live.run.id, record.path, number, str(record.state), record.attempt, cache, body)
        await self.uow.later(PUT_TASK, *values)
        for news in announce.of_task(live.run, before, record, cache):
            self._say(news)
        if record.state == State.SUCCEEDED and (before is None or before.state != State.SUCCEEDED):
            await self._made(live, record)
            if fingerprint is not None:
                await self._keep(live, record, fingerprint)

    async def log(self, live: LiveRun, record: TaskRecord, made: Artifact) -> None:
        """The kept output of an attempt that failed."""
        await self._artifact(live, record, made)

    async def end(self, run: Run, end: End) -> Run:
        """With it goes a run that somebody deleted before."""
        message = end.error.message if end.error else ""
        created_at = from_milliseconds(run.created_ms)
        self._say(announce.of_end(run, end.state, message, created_at, self._now))
        over = await set_state(self.uow, run, str(end.state), self._ms, message)
        if run.is_leaving:
            await erase(self.uow, run.id)
            await SqlCatalog(self.uow).sweep(run.spec)
            self._say(RunDeleted(**about(run)))
        return over

    async def _made(self, live: LiveRun, record: TaskRecord) -> None:
        if record.kind not in (Kind.STEP, Kind.IMPORTER):
            return
        await self._lineage(live, record, READ, record.inputs)
        await self._lineage(live, record, REUSED if record.cached_from else WROTE, record.outputs)
        if record.cached_from:
            return
        for many in record.outputs.artifacts.values():
            for made in many:
                await self._artifact(live, record, made)
                self._say(announce.of_artifact(live.run, record, made))

    async def _lineage(self, live: LiveRun, record: TaskRecord, way: str, values: Values) -> None:
        for name, many in values.artifacts.items():
            for one in many:
                if one.id:
                    await self.uow.later(PUT_LINEAGE, record.uid, way, name, one.id, live.run.id)

    async def _artifact(self, live: LiveRun, record: TaskRecord, made: Artifact) -> None:
        run, metadata = live.run, json.dumps(dict(made.metadata))
        where = (made.id, run.namespace, run.id, record.uid, made.name, made.schema_title)
        await self.uow.later(PUT_ARTIFACT, *where, made.uri, made.digest, made.size, metadata, self._ms)

    async def _keep(self, live: LiveRun, record: TaskRecord, made: Fingerprint) -> None:
        run = live.run
        outputs, parts = json.dumps(record.outputs.to_json()), json.dumps(dict(made.parts))
        told = (run.namespace, made.key, run.pipeline_name, record.name, run.id, record.uid, outputs, parts, self._ms)
        await self.uow.later(PUT_CACHE, *told)

    def _say(self, fact: Event) -> None:
        say(self.uow, fact, self._ports, source=SOURCE)
