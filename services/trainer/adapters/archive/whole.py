"""The archive put together: what the trainer's other rooms ask of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

from libs.blobs import Blobs
from libs.cluster import JOB, POD, Cluster
from libs.resources import Kind, Resources
from libs.resources.plan import Ensure, Plan, Remove
from libs.store import UnitOfWork
from services.trainer.adapters.archive import records
from services.trainer.adapters.archive.bodies import Bodies
from services.trainer.adapters.archive.history import History
from services.trainer.adapters.archive.jobs import Jobs
from services.trainer.adapters.archive.keeper import Keeper, Keeping

Object = dict[str, Any]
Loop = Callable[[], Awaitable[None]]


class Archive:
    """`kinds` are those of the jobs that are kept, `keepings` their pods; `keep_for` is how long both outlive a job."""

    def __init__(
        self,
        resources: Resources,
        cluster: Cluster | None,
        blobs: Blobs | None,
        kinds: Sequence[Kind],
        keepings: Sequence[Keeping],
        keep_for: timedelta,
    ) -> None:
        store, clock = resources.store, resources.clock
        bodies = Bodies(store, blobs)
        self.history = History(store, bodies)
        self._store, self._kinds, self._keepings = store, tuple(kinds), tuple(keepings)
        self._keeper = Keeper(cluster, store, bodies, clock) if cluster is not None else None
        self._jobs = Jobs(resources, store, self._keeper, bodies, clock, keep_for) if self._keeper else None

    def loops(self) -> list[Loop]:
        """What runs where the trainer leads."""
        if self._keeper is None or self._jobs is None:
            return []
        keeper = self._keeper
        pods = [_following(keeper, keeping) for keeping in self._keepings]
        return [*pods, *(self._jobs.following(kind) for kind in self._kinds), self._jobs.forget_old]

    async def before(self, plan: Plan, job: Object) -> None:
        """Call it before a plan is carried out: where it ends pods, their logs are heard first."""
        if self._keeper is not None and any(_ends_pods(action) for action in plan.actions):
            await self._keeper.before_removal(job["metadata"]["uid"])

    async def report(self, uow: UnitOfWork, resource: str, job: Object, status: Object) -> None:
        """Keeps what a job has just said of its progress."""
        told = status.get("trainerStatus") or {}
        figures = {metric["name"]: metric["value"] for metric in told.get("metrics") or []}
        kept = {"time": told.get("lastUpdatedTime"), "metrics": figures}
        for key in ("progressPercentage", "estimatedRemainingSeconds"):
            if key in told:
                kept[key] = told[key]
        uid = job["metadata"]["uid"]
        if await records.add_figures(uow, uid, kept) == 0:
            await records.put_job(uow, resource, job)


def _following(keeper: Keeper, keeping: Keeping) -> Loop:
    async def follow_pods() -> None:
        await keeper.follow(keeping)

    return follow_pods


def _ends_pods(action: Any) -> bool:
    if isinstance(action, Remove):
        return action.resource in (JOB, POD)
    suspends = isinstance(action, Ensure) and action.obj.get("kind") == "Job"
    return suspends and bool((action.obj.get("spec") or {}).get("suspend"))
