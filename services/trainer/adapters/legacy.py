"""Brings the Training Operator's jobs towards what they ask for: looks at store and cluster, carries out the plan."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

from contracts import admission
from contracts.commands.scheduling.v1 import SubmitWorkload
from libs.base.errors import ApiError, Conflict, NotFound
from libs.cluster import NAMESPACE, POD, SECRET, SERVICE
from libs.cluster.obstacles import pod_obstacle
from libs.cluster.security import enforces_restricted
from libs.cluster.telling import events_about
from libs.resources import Kind
from libs.resources.plan import Plan, carry_out
from libs.resources.reconcile import Context, Key, Owned, Requeue
from services.trainer.adapters.tails import tails
from services.trainer.domain.legacy import restarts, state, words
from services.trainer.domain.legacy.crew import crew
from services.trainer.domain.legacy.family import Family
from services.trainer.domain.legacy.frameworks.mpi import TOKEN
from services.trainer.domain.legacy.observed import Observed, is_leaving, phase
from services.trainer.domain.legacy.pods import holder
from services.trainer.domain.state import is_admitted, is_finished, is_suspended
from services.trainer.domain.tokens import ticket_offset, token_for
from services.trainer.reconcile import legacy as pure

LATE_AFTER_S = 5.0
"""What starts as it should is never asked about: reading Events costs a call."""
ASK_PODS_MAX = 3

Job = dict[str, Any]


class LegacyJobs:
    """The reconciler of one of the kinds; `before` hears what a plan will do before it is done, as TrainJobs' does.

    `programs` lie beside a job's own files where its family has some, and `key` answers the trainer's secret.
    """

    def __init__(
        self,
        kind: Kind,
        family: Family,
        before: Callable[[Plan, Job], Awaitable[None]],
        programs: Mapping[str, str],
        key: Callable[[], Awaitable[bytes]],
    ) -> None:
        self.kind, self._family, self._before = kind, family, before
        self._programs, self._key = programs, key
        chosen = f"{words.JOB_NAME},{words.OPERATOR_NAME}={family.operator}"
        self.owned = [Owned(POD, _owner, chosen)]
        self._asked_at: dict[str, float] = {}

    async def reconcile(self, key: Key, ctx: Context) -> Requeue | None:
        """One step. A conflict means that the job changed meanwhile: look again at once."""
        job = await ctx.resources.find(self.kind, key.namespace, key.name)
        if job is None:
            return None
        due = await self._expire(job, ctx)
        if _rests(job):
            self._asked_at.pop(job["metadata"]["uid"], None)
            return due
        world = await self._world(job, ctx)
        try:
            return _sooner(await self._carry_out(pure.plan(world), job, ctx), due)
        except Conflict:
            return Requeue(0.02)
        except ApiError as error:
            if (refused := pure.refused(world, error)) is None:
                raise
            return await self._carry_out(refused, job, ctx)

    async def _carry_out(self, plan: Plan, job: Job, ctx: Context) -> Requeue | None:
        await self._before(plan, job)
        again = await carry_out(plan, job, ctx)
        if any(isinstance(event, SubmitWorkload) for event in plan.events):
            self._asked_at[job["metadata"]["uid"]] = ctx.clock.monotonic()
        return again

    async def _world(self, job: Job, ctx: Context) -> pure.World:
        asked = ctx.clock.monotonic() - self._asked_at.get(job["metadata"]["uid"], float("-inf")) < pure.ASK_AGAIN_S
        observed = await self._observe(job, ctx) if _may_run(job) else Observed()
        makes = is_admitted(job) and len(observed.pods) < len(crew(job, self._family, 0).replicas)
        return pure.World(
            job=job,
            family=self._family,
            observed=observed,
            now=ctx.clock.now(),
            asked=asked,
            restricted=makes and await _is_restricted(job, ctx),
            first_ticket=ticket_offset(await self._key()),
            files=await self._files(job) if self._family.files and is_admitted(job) and not observed.secret else {},
        )

    async def _files(self, job: Job) -> dict[str, str]:
        return {**self._programs, TOKEN: token_for(await self._key(), job["metadata"]["uid"])}

    async def _expire(self, job: Job, ctx: Context) -> Requeue | None:
        """Deletes a job whose time to live after its end is over; until then it comes back."""
        meta, ttl = job["metadata"], state.run_policy(job).get("ttlSecondsAfterFinished")
        if ttl is None or not is_finished(job) or meta.get("deletionTimestamp"):
            return None
        ended = datetime.fromisoformat(job["status"]["completionTime"])
        left = ttl - (ctx.clock.now() - ended).total_seconds()
        if left > 0:
            return Requeue(left)
        with suppress(NotFound):
            await ctx.resources.delete(self.kind, meta["namespace"], meta["name"], preconditions={"uid": meta["uid"]})
        return None

    async def _observe(self, job: Job, ctx: Context) -> Observed:
        assert ctx.cluster is not None
        meta, cluster = job["metadata"], ctx.cluster
        mine = f"{words.UID}={meta['uid']}"
        pods, services = await asyncio.gather(
            cluster.list(POD, meta["namespace"], labels=mine), cluster.list(SERVICE, meta["namespace"], labels=mine)
        )
        names = frozenset(one["metadata"]["name"] for one in services)
        files = await cluster.get(SECRET, meta["namespace"], holder(job)) if self._family.files else None
        seen = Observed(tuple(pods), names, secret=files is not None and _is_ours(files, job))
        if found := restarts.failed_pods(job, self._family, seen):
            return replace(seen, tails=await tails([one.pod for one in found], cluster))
        return await self._explained(job, seen, ctx) if _is_late(job, ctx.clock.now()) else seen

    async def _explained(self, job: Job, seen: Observed, ctx: Context) -> Observed:
        """With what the status of pods does not tell of why they do not run, or are not there."""
        assert ctx.cluster is not None
        space, now = job["metadata"]["namespace"], ctx.clock.now()
        wanted = crew(job, self._family, int(job["status"].get("port") or 0)).replicas
        missing = [one.host for one in wanted if seen.pod(one) is None][:ASK_PODS_MAX]
        there = await asyncio.gather(*(ctx.cluster.get(POD, space, host) for host in missing))
        foreign = [name for name, pod in zip(missing, there, strict=True) if pod and not _is_ours(pod, job)]
        mute = [one for one in seen.pods if phase(one) == "Pending" and not is_leaving(one)]
        silent = [one["metadata"]["uid"] for one in mute if pod_obstacle(one, now) is None][:ASK_PODS_MAX]
        events = await events_about(ctx.cluster, space, silent)
        return replace(seen, foreign=tuple(foreign), events=tuple(events))


def _sooner(one: Requeue | None, other: Requeue | None) -> Requeue | None:
    return min((each for each in (one, other) if each), key=lambda each: each.after, default=None)


def _owner(pod: Job) -> Key | None:
    name = (pod["metadata"].get("labels") or {}).get(words.JOB_NAME)
    return Key(pod["metadata"].get("namespace", ""), name) if name else None


def _is_ours(pod: Job, job: Job) -> bool:
    return (pod["metadata"].get("labels") or {}).get(words.UID) == job["metadata"]["uid"]


def _rests(job: Job) -> bool:
    """It is over and the scheduler knows; only time may still bring something. All pods of `All` were gone by then."""
    settled = is_finished(job) and bool((job.get("status") or {}).get("settled"))
    return settled and not job["metadata"].get("deletionTimestamp")


def _may_run(job: Job) -> bool:
    """A job that was never admitted has nothing in the cluster to look at."""
    held = is_admitted(job) or admission.is_evicted(job) or is_finished(job)
    return held or is_suspended(job) or bool(job["metadata"].get("deletionTimestamp"))


def _is_late(job: Job, now: datetime) -> bool:
    started = (job.get("status") or {}).get("startTime")
    late = bool(started) and (now - datetime.fromisoformat(started)).total_seconds() >= LATE_AFTER_S
    return late and is_admitted(job) and not is_finished(job)


async def _is_restricted(job: Job, ctx: Context) -> bool:
    assert ctx.cluster is not None
    return enforces_restricted(await ctx.cluster.get(NAMESPACE, None, job["metadata"]["namespace"]))
