"""Clears away what nobody has needed for long: environments by their last use and their size, the workspaces of runs
that failed, parts of results and of outputs that never became whole, hearsay that leads nowhere. Runs' own outputs are
never touched.

It may stop anywhere: what it left is there the next time.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from libs.base import Clock, milliseconds
from libs.base.errors import ApiError
from libs.blobs import BlobError, Blobs
from libs.cluster import Cluster
from libs.cluster.resource import NAMESPACE, PERSISTENTVOLUMECLAIM
from libs.store import Store, brief
from services.pipelines.adapters.claims import clear_workspace
from services.pipelines.adapters.jobs import SqlJobs
from services.pipelines.adapters.making import PUT
from services.pipelines.adapters.releases import SqlReleases
from services.pipelines.adapters.runs import ReadRuns
from services.pipelines.adapters.sharing import INCOMING
from services.pipelines.domain.steps.pod import MANAGED_BY, MANAGER, RUN
from services.pipelines.domain.steps.workspace import claim_name

log = logging.getLogger(__name__)

EVERY_S = 3600.0
SPARED_S = 3600.0
"""What was used within that time is in use, whatever its size."""
INCOMING_S = 86_400.0
NAMESPACES = "SELECT DISTINCT namespace FROM pipeline_runs"
ALL = "SELECT key, used_ms, size FROM pipeline_environments ORDER BY used_ms DESC"
DROP = brief("DELETE FROM pipeline_environments WHERE key = ?1")


@dataclass(frozen=True)
class Limits:
    """Environments go when nobody has used them for so long, or when all together are larger; 0 bytes is no limit."""

    keep_environments_s: float
    environments_bytes_max: int
    keep_workspaces_s: float


class Housekeeping:
    """`run` while leading."""

    def __init__(self, store: Store, blobs: Blobs, cluster: Cluster, clock: Clock, limits: Limits) -> None:
        self._store, self._blobs, self._cluster, self._clock, self._limits = store, blobs, cluster, clock, limits
        self._incoming: dict[str, float] = {}
        """Parts that were seen, and when first."""
        self._idle: set[tuple[str, str]] = set()
        """Uploads in parts that nobody went on with when it was looked last."""

    async def run(self) -> None:
        while True:
            await self._clock.sleep(EVERY_S)
            try:
                await self.clear()
            except (ApiError, BlobError) as error:
                log.warning("not all could be cleared away, it is tried again: %s", error)

    async def clear(self) -> None:
        await self._clear_hearsay()
        spaces = await self._spaces()
        await self._note(spaces)
        await self._clear_environments()
        await self._clear_incoming(spaces)
        await self._clear_workspaces()
        await self._clear_uploads()

    async def _clear_hearsay(self) -> None:
        """What others told of jobs and endpoints that nothing here leads to any more."""
        async with self._store.read() as reader:
            jobs, endpoints = await SqlJobs(reader).unneeded(), await SqlReleases(reader).unneeded()
        async with self._store.write() as uow:
            await SqlJobs(uow).drop(jobs)
            await SqlReleases(uow).drop(endpoints)

    async def _spaces(self) -> list[str]:
        """Those with runs, and those that may have been brought results before their first."""
        async with self._store.read() as reader:
            found = {str(space) for (space,) in await reader.rows(NAMESPACES)}
        return sorted(found | {each["metadata"]["name"] for each in await self._cluster.list(NAMESPACE)})

    async def _note(self, spaces: list[str]) -> None:
        """Environments of which no row tells count as used now."""
        async with self._store.read() as reader:
            known = {str(key) for key, _, _ in await reader.rows(ALL)}
        for space in spaces:
            for each in await self._blobs.list(f"pipelines/{space}/.environments/"):
                if each.key not in known:
                    async with self._store.write() as uow:
                        await uow.later(PUT, each.key, "", 0, self._now_ms(), each.size)

    async def _clear_environments(self) -> None:
        async with self._store.read() as reader:
            rows = [(str(key), int(used), int(size)) for key, used, size in await reader.rows(ALL)]
        total, now = 0, self._now_ms()
        for key, used, size in rows:
            total += size
            idle_s, most = (now - used) / 1000, self._limits.environments_bytes_max
            if idle_s > self._limits.keep_environments_s or (most and total > most and idle_s > SPARED_S):
                log.info("environment %s of %d bytes goes: unused for %.0f h", key, size, idle_s / 3600)
                await self._blobs.delete(key)
                total -= size
                async with self._store.write() as uow:
                    await uow.later(DROP, key)

    async def _clear_incoming(self, spaces: list[str]) -> None:
        now, before = self._clock.monotonic(), self._incoming
        self._incoming = {}
        for space in spaces:
            for each in await self._blobs.list(f"pipelines/{space}/{INCOMING}/"):
                first = before.get(each.key, now)
                if now - first > INCOMING_S:
                    await self._blobs.delete(each.key)
                else:
                    self._incoming[each.key] = first

    async def _clear_workspaces(self) -> None:
        """Of runs that are over for long, or deleted. A run that is taken up again later gets an empty one."""
        oldest = self._now_ms() - self._limits.keep_workspaces_s * 1000
        for claim in await self._cluster.list(PERSISTENTVOLUMECLAIM, labels=f"{MANAGED_BY}={MANAGER}"):
            meta = claim["metadata"]
            run_id = (meta.get("labels") or {}).get(RUN, "")
            if meta["name"] != claim_name(run_id):
                continue
            async with self._store.read() as reader:
                run = await ReadRuns(reader).get(run_id)
            if run is None or (run.finished_ms is not None and run.finished_ms < oldest):
                await clear_workspace(self._cluster, meta["namespace"], run_id)

    async def _clear_uploads(self) -> None:
        """Of large outputs that never became whole, once their run is over or gone and has been for a while."""
        idle = set()
        for key, upload in await self._blobs.begun_parts("pipelines/"):
            if await self._goes_on(key):
                continue
            if (key, upload) in self._idle:
                log.info("an upload of %s that never became whole goes", key)
                await self._blobs.drop_parts(key, upload)
            else:
                idle.add((key, upload))
        self._idle = idle

    async def _goes_on(self, key: str) -> bool:
        """Whether a run that goes on keeps its outputs there: its id is a part of their place."""
        async with self._store.read() as reader:
            for part in key.split("/"):
                run = await ReadRuns(reader).get(part)
                if run is not None:
                    return not run.is_over
        return False

    def _now_ms(self) -> int:
        return milliseconds(self._clock.now())
