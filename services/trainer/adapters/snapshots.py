"""Keeps each job's runtime as it was when the job was first looked at, so that an edit changes no job under way.

The rule is Kubeflow's KEP-2599; a job that is suspended and resumed runs by its snapshot as well.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from libs.store import Store
from services.trainer.adapters.tables import RuntimeSnapshotRow

Object = dict[str, Any]


class Snapshots:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def runtime(self, job_uid: str, current: Callable[[], Awaitable[Object | None]]) -> Object | None:
        """The job's runtime: the one kept, else the `current` one, which is kept from now on. None without either."""
        async with self._store.read() as reader:
            await reader.last_seq()  # takes the snapshot before the session's first query
            kept = await reader.session.get(RuntimeSnapshotRow, job_uid)
        if kept is not None:
            return kept.runtime
        found = await current()
        return None if found is None else await self._keep(job_uid, found)

    async def forget(self, job_uid: str) -> None:
        """The job goes; safe to do twice."""
        async with self._store.write() as uow:
            kept = await uow.session.get(RuntimeSnapshotRow, job_uid)
            if kept is not None:
                await uow.session.delete(kept)

    async def _keep(self, job_uid: str, runtime: Object) -> Object:
        """The first one kept wins: another replica may have been faster."""
        async with self._store.write() as uow:
            kept = await uow.session.get(RuntimeSnapshotRow, job_uid)
            if kept is None:
                uow.session.add(RuntimeSnapshotRow(job_uid=job_uid, runtime=runtime))
                return runtime
            return kept.runtime
