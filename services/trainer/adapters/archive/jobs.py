"""Follows the jobs themselves: keeps them as they ended, and forgets what was kept when its time is over."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from libs.base.clock import Clock, rfc3339
from libs.blobs import BlobError
from libs.resources import Kind, Resources
from libs.resources.selectors import selectors
from libs.store import Store
from services.trainer.adapters.archive import records
from services.trainer.adapters.archive.bodies import Bodies
from services.trainer.adapters.archive.keeper import Keeper

_log = logging.getLogger(__name__)

Object = dict[str, Any]
LOOK_EVERY_S, FIRST_LOOK_S = 3600.0, 30.0
PAGE = 100
OVER = ("Complete", "Failed", "Succeeded")
"""Conditions that end a job, of any kind that the trainer serves."""


def is_over(job: Object) -> bool:
    found = (job.get("status") or {}).get("conditions") or []
    return any(condition["type"] in OVER and condition["status"] == "True" for condition in found)


class Jobs:
    """`keep_for` is how long a job's archive outlives the job."""

    def __init__(
        self, resources: Resources, store: Store, keeper: Keeper, bodies: Bodies, clock: Clock, keep_for: timedelta
    ) -> None:
        self._resources, self._store, self._keeper, self._bodies = resources, store, keeper, bodies
        self._clock, self._keep_for = clock, keep_for

    def following(self, kind: Kind) -> Callable[[], Any]:
        async def follow_jobs() -> None:
            await self._follow(kind)

        return follow_jobs

    async def _follow(self, kind: Kind) -> None:
        """Every end is kept, and every deletion noted, also those that happened while nobody looked."""
        await self._note_missed(kind)
        async with self._store.read() as reader:
            ended = await records.finished_uids(reader)
        batches: Any = await self._resources.changes(kind, None, None, selectors(), False, None, None)
        try:
            async for batch in batches:
                for happening in batch:
                    if happening.type == "ERROR":
                        return
                    await self._note(kind, happening.type, happening.obj, ended)
        finally:
            await batches.aclose()

    async def _note(self, kind: Kind, change: str, job: Object, ended: set[str]) -> None:
        uid, now = job["metadata"]["uid"], rfc3339(self._clock.now())
        over, deleted = is_over(job), change == "DELETED"
        if not deleted and (not over or uid in ended):
            return
        async with self._store.write() as uow:
            times = {"finished_at": now if over else None, "deleted_at": now if deleted else None}
            await records.put_job(uow, kind.resource, job, **times)
        if over:
            ended.add(uid)
        self._keeper.ask_events(uid, job["metadata"]["namespace"], [uid])

    async def _note_missed(self, kind: Kind) -> None:
        async with self._store.read() as reader:
            known = [row for row in await records.undeleted(reader) if row[1] == kind.resource]
            there = {job["metadata"]["uid"] for job in await reader.list(kind.resource)} if known else set()
        for uid, _, _, _ in known:
            if uid not in there:
                async with self._store.write() as uow:
                    await records.mark_deleted(uow, uid, rfc3339(self._clock.now()))

    async def forget_old(self) -> None:
        """Now and then removes what was kept of jobs that are gone for longer than it is to be kept."""
        await self._clock.sleep(FIRST_LOOK_S)
        while True:
            while await self.forget_page():
                pass
            await self._clock.sleep(LOOK_EVERY_S)

    async def forget_page(self) -> int:
        """Answers how many jobs were forgotten; bodies first, so that nothing lies about that no row tells of."""
        before = rfc3339(self._clock.now() - self._keep_for)
        async with self._store.read() as reader:
            uids = await records.deleted_before(reader, before, PAGE)
        forgotten = 0
        for uid in uids:
            try:
                await self._forget(uid)
                forgotten += 1
            except BlobError as error:
                _log.warning("the archive of job %s stays until the bucket answers: %s", uid, error)
        return forgotten

    async def _forget(self, uid: str) -> None:
        async with self._store.read() as reader:
            folders = {log.spot.folder for log in await records.logs_of_job(reader, uid)}
        for folder in sorted(folders):
            await self._bodies.forget(folder)
        async with self._store.write() as uow:
            await records.forget(uow, uid)
