"""Jobs, Deployments and StatefulSets: one transaction counts, creates, deletes and writes the status.

A crash leaves either all of a step or none of it, so nothing is counted or created twice.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from datetime import datetime
from typing import Any

from libs.base.clock import Clock
from libs.base.errors import AlreadyExists
from libs.base.ids import Ids
from libs.resources import Resources
from libs.resources.kinds import Kind
from libs.store import UnitOfWork
from services.node.domain.attempts import Backoff
from services.node.domain.deployments import WorkloadPlan, plan_deployment
from services.node.domain.job_pods import SPARE_NAMES, TRACKING, counted
from services.node.domain.jobs import plan_job
from services.node.domain.owned import Object, controller_uid
from services.node.domain.statefulsets import claims, plan_statefulset
from services.node.reconcile.kinds import CLAIM, DEPLOYMENT, JOB, POD, STATEFULSET
from services.node.reconcile.recorder import Recorder

JOB_BACKOFF = Backoff(first_s=10.0, most_s=360.0)


class Workloads:
    """The controllers of pods' owners. `reconcile_*` take a (namespace, name) key."""

    def __init__(
        self, resources: Resources, clock: Clock, ids: Ids, recorder: Recorder, job_backoff: Backoff = JOB_BACKOFF
    ) -> None:
        self._resources, self._clock, self._ids = resources, clock, ids
        self._recorder, self._job_backoff = recorder, job_backoff

    async def reconcile_job(self, key: Hashable) -> float | None:
        """Counts what ended and makes what is missing."""
        namespace, name = _key(key)
        async with self._resources.store.write() as uow:
            job = await uow.get(JOB.resource, namespace, name)
            if job is None:
                return None
            pods = await _pods_of(uow, job)
            view, now = self._resources.view(uow), self._clock.now()
            if job["metadata"].get("deletionTimestamp"):
                await self._release(view, namespace, [p["metadata"]["name"] for p in pods if counted(p)])
                return None
            spare = self._spare(int(job["spec"].get("parallelism") or 0))
            plan = plan_job(job, pods, now, spare, self._job_backoff)
            await self._release(view, namespace, [*plan.release, *plan.drop])
            await self._delete(view, namespace, plan.delete)
            made = [await self._create(view, POD, pod) for pod in plan.create]
            await view.update_status(JOB, namespace, name, plan.status)
            news = [(*event, "") for event in plan.events] + [_created(p) for p in made if p]
            await self._recorder.tell(uow, job, news)
            if plan.expire:
                await view.delete(JOB, namespace, name)
            return _seconds(plan.wake_at, now)

    async def reconcile_deployment(self, key: Hashable) -> float | None:
        """Rolls the pods towards the template."""
        return await self._workload(
            DEPLOYMENT, key, lambda owner, pods, now: plan_deployment(owner, pods, now, self._spare(64)), _no_claims
        )

    async def reconcile_statefulset(self, key: Hashable) -> float | None:
        """Keeps the pods 0..replicas-1, each with its claims."""
        return await self._workload(STATEFULSET, key, plan_statefulset, claims_of)

    async def _workload(
        self, kind: Kind, key: Hashable, plan_for: Callable[[Object, Sequence[Object], datetime], WorkloadPlan],
        claims_for: Callable[[Object, Object], list[Object]],
    ) -> float | None:  # fmt: skip
        namespace, name = _key(key)
        async with self._resources.store.write() as uow:
            owner = await uow.get(kind.resource, namespace, name)
            if owner is None or owner["metadata"].get("deletionTimestamp"):
                return None
            view, now = self._resources.view(uow), self._clock.now()
            plan = plan_for(owner, await _pods_of(uow, owner), now)
            await self._delete(view, namespace, plan.delete)
            made = []
            for pod in plan.create:
                for claim in claims_for(owner, pod):
                    await self._create(view, CLAIM, claim)
                made.append(await self._create(view, POD, pod))
            if plan.annotations:
                await view.patch(kind, namespace, name, {"metadata": {"annotations": plan.annotations}})
            await view.update_status(kind, namespace, name, plan.status)
            news = [_created(p) for p in made if p] + [
                ("Normal", "SuccessfulDelete", f"Deleted pod: {n}", "") for n in plan.delete
            ]
            await self._recorder.tell(uow, owner, news)
            return _seconds(plan.wake_at, now)

    def _spare(self, wanted: int) -> list[str]:
        return [self._ids.suffix() for _ in range(min(max(wanted, 1), 4 * SPARE_NAMES))]

    async def _create(self, view: Resources, kind: Kind, obj: Object) -> Object | None:
        try:
            return await view.create(kind, obj, field_validation="Ignore")
        except AlreadyExists:
            return None

    async def _release(self, view: Resources, namespace: str, names: Iterable[str]) -> None:
        for name in names:
            await view.remove_finalizer(POD, namespace, name, TRACKING)

    async def _delete(self, view: Resources, namespace: str, names: Iterable[str]) -> None:
        for name in names:
            if await view.find(POD, namespace, name):
                await view.delete(POD, namespace, name)


def claims_of(owner: Object, pod: Object) -> list[Object]:
    """The claims that a StatefulSet's pod needs."""
    return claims(owner, int(pod["metadata"]["name"].rpartition("-")[2]))


def _no_claims(owner: Object, pod: Object) -> list[Object]:
    return []


def _created(pod: Object) -> tuple[str, str, str, str]:
    return "Normal", "SuccessfulCreate", f"Created pod: {pod['metadata']['name']}", ""


async def _pods_of(uow: UnitOfWork, owner: Object) -> list[Object]:
    uid, namespace = owner["metadata"]["uid"], owner["metadata"]["namespace"]
    return [pod for pod in await uow.list(POD.resource, namespace=namespace) if controller_uid(pod) == uid]


def _key(key: Any) -> tuple[str, str]:
    namespace, name = key
    return namespace, name


def _seconds(at: datetime | None, now: datetime) -> float | None:
    return None if at is None else max(0.0, (at - now).total_seconds()) + 0.01
