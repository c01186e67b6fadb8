"""Brings TrainJobs towards what they ask for: looks at store and cluster, asks the pure plan, carries it out."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from contracts import admission
from contracts.commands.scheduling.v1 import SubmitWorkload
from libs.base.errors import ApiError, Conflict, NotFound
from libs.cluster import JOB, NAMESPACE, POD, SECRET, SERVICE
from libs.cluster.security import enforces_restricted
from libs.cluster.telling import events_about
from libs.resources import Kind
from libs.resources.plan import Plan, carry_out
from libs.resources.reconcile import Context, Key, Owned, Requeue, by_label
from services.trainer.adapters import measures
from services.trainer.adapters.snapshots import Snapshots
from services.trainer.adapters.tails import tails
from services.trainer.domain import lifetime, registered, ungating, words
from services.trainer.domain.blueprint import blueprint
from services.trainer.domain.frameworks import Framework
from services.trainer.domain.observed import Observed, split
from services.trainer.domain.outcome import failed_pods
from services.trainer.domain.starting import unexplained
from services.trainer.domain.state import is_admitted, is_finished, is_suspended
from services.trainer.domain.tokens import ticket_offset, token_for
from services.trainer.domain.workload import Site
from services.trainer.reconcile import trainjob as pure

SELECTOR = f"{words.JOB_NAME},{words.UID}"

Job = dict[str, Any]


class TrainJobs:
    """The reconciler of TrainJobs. `runtimes` are the two kinds of runtime, `key` answers the trainer's secret;
    `before` hears what a plan will do before it is done: the archive listens to pods that will end; `versions` answers
    what is known of a registered model."""

    def __init__(
        self,
        kind: Kind,
        runtimes: Sequence[Kind],
        frameworks: Sequence[Framework],
        site: Site,
        key: Callable[[], Awaitable[bytes]],
        snapshots: Snapshots,
        before: Callable[[Plan, Job], Awaitable[None]],
        versions: Callable[[str], Awaitable[Sequence[registered.Version]]],
    ) -> None:
        self.kind = kind
        self.owned = [Owned(resource, by_label(words.JOB_NAME), SELECTOR) for resource in (JOB, POD)]
        self._runtimes = {runtime.kind: runtime for runtime in runtimes}
        self._frameworks, self._site, self._key = tuple(frameworks), site, key
        self._asked_at: dict[str, float] = {}
        self._snapshots, self._before, self._versions = snapshots, before, versions

    async def reconcile(self, key: Key, ctx: Context) -> Requeue | None:
        """One step. A conflict means that the job changed meanwhile: look again at once."""
        job = await ctx.resources.find(self.kind, key.namespace, key.name)
        if job is None or (is_finished(job) and not job["metadata"].get("deletionTimestamp")):
            self._asked_at.pop((job or {}).get("metadata", {}).get("uid", ""), None)
            return await self._expire(job, ctx) if job else None
        world = await self._world(job, ctx)
        await _ungate(world, ctx)
        try:
            return await self._carry_out(pure.plan(world), job, ctx)
        except Conflict:
            return Requeue(0.02)
        except ApiError as error:
            if (refused := pure.refused(world, error)) is None:
                raise
            return await self._carry_out(refused, job, ctx)

    async def _carry_out(self, plan: Plan, job: Job, ctx: Context) -> Requeue | None:
        """The status is written only onto what was read: a progress report may have come in between."""
        meta = job["metadata"]
        if plan.done_finalizer:
            await self._snapshots.forget(meta["uid"])
        await self._before(plan, job)
        again = await carry_out(replace(plan, status=None, events=()), job, ctx)
        if plan.events or (plan.status is not None and plan.status != (job.get("status") or {})):
            where = (self.kind, meta["namespace"], meta["name"])
            status = plan.status if plan.status is not None else job.get("status") or {}
            await ctx.resources.update_status(*where, status, expect_rv=meta["resourceVersion"], events=plan.events)
            measures.count(plan.events, status)
        if any(isinstance(event, SubmitWorkload) for event in plan.events):
            self._asked_at[meta["uid"]] = ctx.clock.monotonic()
        return again

    async def _world(self, job: Job, ctx: Context) -> pure.World:
        uid, goes = job["metadata"]["uid"], bool(job["metadata"].get("deletionTimestamp"))
        runtime = None if goes else await self._runtime(job, ctx)
        key = await self._key()
        asked = ctx.clock.monotonic() - self._asked_at.get(uid, float("-inf")) < pure.ASK_AGAIN_S
        observed = await _observe(job, ctx) if _may_run(job) else Observed()
        return pure.World(
            job=job,
            runtime=runtime,
            observed=observed,
            frameworks=self._frameworks,
            site=self._site,
            token=token_for(key, uid),
            first_ticket=ticket_offset(key),
            now=ctx.clock.now(),
            asked=asked,
            known=() if runtime or goes else await self._names(job, ctx),
            restricted=is_admitted(job) and observed.job is None and await _is_restricted(job, ctx),
            versions=await self._named(job, runtime),
        )

    async def _named(self, job: Job, runtime: Job | None) -> Sequence[registered.Version]:
        """The versions of the registered model that the job waits for; nothing is looked up once that is settled."""
        if runtime is None or is_admitted(job):
            return ()
        wish = registered.open_wish(blueprint(job, runtime).initializer)
        return await self._versions(wish.model) if wish else ()

    async def _expire(self, job: Job, ctx: Context) -> Requeue | None:
        """Deletes a job whose time to live after its end is over; until then it comes back."""
        meta, left = job["metadata"], lifetime.seconds_left(job, ctx.clock.now())
        if left is None or left > 0:
            return None if left is None else Requeue(left)
        with suppress(NotFound):
            await ctx.resources.delete(self.kind, meta["namespace"], meta["name"], preconditions={"uid": meta["uid"]})
        return None

    async def _runtime(self, job: Job, ctx: Context) -> Job | None:
        ref = job["spec"]["runtimeRef"]
        kind = self._runtimes[ref.get("kind") or "ClusterTrainingRuntime"]
        place = job["metadata"]["namespace"] if kind.namespaced else ""
        return await self._snapshots.runtime(
            job["metadata"]["uid"], lambda: ctx.resources.find(kind, place, ref["name"])
        )

    async def _names(self, job: Job, ctx: Context) -> list[str]:
        """Of the runtimes that the job could have named, those of the other kind with their kind."""
        wanted, names = job["spec"]["runtimeRef"].get("kind") or "ClusterTrainingRuntime", []
        for kind in self._runtimes.values():
            page = await ctx.resources.list(kind, job["metadata"]["namespace"] if kind.namespaced else None)
            found = [runtime["metadata"]["name"] for runtime in page.items]
            names += found if kind.kind == wanted else [f"{kind.kind} {name}" for name in found]
        return names


async def _ungate(world: pure.World, ctx: Context) -> None:
    """Pods that wait to be told their place are told; one that is gone meanwhile needs none."""
    for name, patch in ungating.patches(world.job, world.observed.pods) if is_admitted(world.job) else ():
        assert ctx.cluster is not None
        with suppress(NotFound):
            await ctx.cluster.patch(POD, world.job["metadata"]["namespace"], name, patch)


def _may_run(job: Job) -> bool:
    """A job that was never admitted has nothing in the cluster to look at."""
    held = is_admitted(job) or admission.is_evicted(job)
    return held or is_suspended(job) or bool(job["metadata"].get("deletionTimestamp"))


async def _observe(job: Job, ctx: Context) -> Observed:
    assert ctx.cluster is not None
    cluster, namespace, name = ctx.cluster, job["metadata"]["namespace"], job["metadata"]["name"]
    jobs, pods, service, secret = await asyncio.gather(
        cluster.list(JOB, namespace, labels=f"{words.JOB_NAME}={name}"),
        cluster.list(POD, namespace, labels=f"{words.JOB_NAME}={name}"),
        cluster.get(SERVICE, namespace, name),
        cluster.get(SECRET, namespace, words.token_secret(name)),
    )
    child, others = split(jobs)
    seen = Observed(job=child, others=others, pods=tuple(pods), service=_is_ours(service), secret=_is_ours(secret))
    if pure.outcome(seen):
        return replace(seen, tails=await tails(failed_pods(seen), cluster))
    silent = unexplained(seen, ctx.clock.now())
    return replace(seen, events=tuple(await events_about(cluster, namespace, silent))) if silent else seen


async def _is_restricted(job: Job, ctx: Context) -> bool:
    assert ctx.cluster is not None
    return enforces_restricted(await ctx.cluster.get(NAMESPACE, None, job["metadata"]["namespace"]))


def _is_ours(found: Job | None) -> bool:
    labels = ((found or {}).get("metadata") or {}).get("labels") or {}
    return words.UID in labels
