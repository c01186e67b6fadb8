"""Brings trials towards their ends: has their run made, waits for its end, reads its metrics, has it removed.

A run that another service keeps is asked for by a command, in the transaction of the status that tells so; a Job is
made in the cluster under the trial's name, and found there again by whoever was killed before noting it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from contracts.messages import Message
from libs.base.clock import parse_rfc3339
from libs.base.errors import AlreadyExists, ApiError, BadRequest, Conflict, Invalid, NotFound
from libs.cluster import JOB
from libs.cluster.obstacles import refusal
from libs.resources import Kind
from libs.resources.reconcile import Context, Key, Owned, Requeue, by_label
from services.tuner.adapters import outputs
from services.tuner.adapters.kinds import FINALIZER, TRIAL
from services.tuner.domain import trials as lives
from services.tuner.domain import words
from services.tuner.domain.states import is_done
from services.tuner.domain.trials import Outcome, kind_of, run_of

Object = dict[str, Any]
ASK_AGAIN_S = 30.0
"""No lost letter strands a trial: what is not answered is asked again."""
SILENT_S = 60.0
"""How long after its Job's end the end of a TrainJob may be left untold."""
TRY_AGAIN_S = 15.0
GONE_POLL_S = 1.0


class Trials:
    """The reconciler of Trials; `experiments` is the kind of their owners."""

    kind: Kind = TRIAL
    owned = (Owned(JOB, by_label(words.TRIAL), words.TRIAL),)

    def __init__(self, experiments: Kind) -> None:
        self._experiments = experiments
        self._said_at: dict[str, float] = {}

    async def reconcile(self, key: Key, ctx: Context) -> Requeue | None:
        """One step. A conflict means that the trial changed meanwhile: look again at once."""
        trial = await ctx.resources.find(self.kind, key.namespace, key.name)
        if trial is None:
            return None
        try:
            return await self._step(trial, ctx)
        except Conflict:
            return Requeue(0.02)

    async def _step(self, trial: Object, ctx: Context) -> Requeue | None:
        """1. going away, 2. over, 3. to begin, 4. to be shown, 5. its run has ended, 6. still at it."""
        if trial["metadata"].get("deletionTimestamp"):
            return await self._end(trial, ctx)
        if is_done(trial):
            return await self._remove(trial, ctx) if lives.wants_no_run(trial) else None
        if not run_of(trial):
            return await self._begin(trial, ctx)
        if not lives.is_shown(trial) and run_of(trial)["state"] not in (lives.ASKED, lives.REJECTED):
            meta = trial["metadata"]
            await ctx.resources.patch(TRIAL, meta["namespace"], meta["name"], lives.shown(trial))
            return None
        ended = await self._outcome(trial, ctx)
        if ended is None:
            return await self._go_on(trial, ctx)
        await self._finish(trial, ended, ctx)
        return None

    async def _begin(self, trial: Object, ctx: Context) -> Requeue | None:
        now, kind = ctx.clock.now(), kind_of(trial)
        if (field := await self._brought(trial, ctx)) is not None:
            told = f"{field}: reaches beyond the pods and came with a value; write it into the template"
            await self._write(trial, *lives.failed(trial, Outcome(False, "RunRefused", told), now), ctx)
            return None
        if kind.command is not None:
            self._said(trial, ctx)
            await self._write(trial, lives.asked(trial, now), kind.apply(trial["spec"]["runSpec"]), ctx)
            return None
        try:
            job = await _made(trial, ctx)
        except ApiError as error:
            return await self._refused(trial, error, ctx)
        await self._write(trial, lives.running(trial, job["metadata"]["uid"], now), None, ctx)
        return None

    async def _refused(self, trial: Object, error: ApiError, ctx: Context) -> Requeue | None:
        """The cluster will not have the Job: quota may change, so that is told and tried again; what is invalid or
        somebody else's fails the trial. Troubles of the cluster itself are nobody's refusal: all is tried again."""
        now = ctx.clock.now()
        if (told := refusal(error)) and not told.hopeless:
            await self._write(trial, lives.hindered(trial, told.reason, told.message, now), None, ctx)
            return Requeue(TRY_AGAIN_S)
        if not told and not isinstance(error, BadRequest | Invalid | NotFound | AlreadyExists):
            raise error
        why = Outcome(False, "RunRefused", error.message)
        await self._write(trial, *lives.failed(trial, why, now), ctx)
        return None

    async def _brought(self, trial: Object, ctx: Context) -> str | None:
        meta = trial["metadata"]
        experiment = await ctx.resources.find(self._experiments, meta["namespace"], meta["labels"][lives.OWNER])
        return lives.brought(experiment, trial) if experiment else None

    async def _go_on(self, trial: Object, ctx: Context) -> Requeue | None:
        """What was asked for and not answered is asked for again."""
        run, kind = run_of(trial), kind_of(trial)
        if run["state"] != lives.ASKED:
            status = lives.running(trial, None, ctx.clock.now())
            await self._write(trial, status, None, ctx)
            return Requeue(SILENT_S) if kind.command else None
        if self._is_due(trial, ctx):
            self._said(trial, ctx)
            await self._write(trial, trial["status"], kind.apply(trial["spec"]["runSpec"]), ctx)
        return Requeue(ASK_AGAIN_S)

    async def _outcome(self, trial: Object, ctx: Context) -> Outcome | None:
        kind, meta = kind_of(trial), trial["metadata"]
        assert ctx.cluster is not None
        if kind.command is None:
            job = await ctx.cluster.get(JOB, meta["namespace"], meta["name"])
            return lives.job_outcome(job) if job else Outcome(False, "RunDeleted", "its Job was deleted")
        told = lives.outcome(trial)
        if told is not None or run_of(trial)["state"] == lives.ASKED or kind.kind != "TrainJob":
            return told
        return _untold(await ctx.cluster.get(JOB, meta["namespace"], f"{meta['name']}-node-0"), ctx.clock.now())

    async def _finish(self, trial: Object, ended: Outcome, ctx: Context) -> None:
        assert ctx.cluster is not None
        if ended.good:
            try:
                found = await outputs.observation(trial, ctx.cluster)
            except outputs.FilterFailed as error:
                ended = Outcome(False, "MetricsFilterTooSlow", str(error))
        now = ctx.clock.now()
        told = lives.succeeded(trial, found, now) if ended.good else lives.failed(trial, ended, now)
        await self._write(trial, *told, ctx)

    async def _remove(self, trial: Object, ctx: Context) -> Requeue | None:
        """Has the run go. One that was asked for and not answered may still come: the answer is waited for."""
        run, kind, meta = run_of(trial), kind_of(trial), trial["metadata"]
        if run.get("state") in (None, lives.DELETED, lives.REJECTED):
            return None
        if kind.command is None:
            return await self._remove_job(trial, ctx)
        if run["state"] == lives.ASKED:
            return await self._go_on(trial, ctx)
        if run.get("removing") and not self._is_due(trial, ctx):
            return Requeue(ASK_AGAIN_S)
        self._said(trial, ctx)
        await self._write(trial, lives.removing(trial), kind.delete(meta["namespace"], meta["name"]), ctx)
        return Requeue(ASK_AGAIN_S)

    async def _remove_job(self, trial: Object, ctx: Context) -> Requeue | None:
        assert ctx.cluster is not None
        meta = trial["metadata"]
        job = await ctx.cluster.get(JOB, meta["namespace"], meta["name"])
        if job is not None and _is_own(job, trial):
            await ctx.cluster.delete(JOB, meta["namespace"], meta["name"], propagation="Foreground")
            return Requeue(GONE_POLL_S)
        status = {**(trial.get("status") or {}), "run": {**run_of(trial), "state": lives.DELETED}}
        await self._write(trial, status, None, ctx)
        return None

    async def _end(self, trial: Object, ctx: Context) -> Requeue | None:
        """The object goes when its run has gone."""
        meta, kind = trial["metadata"], kind_of(trial)
        assert ctx.cluster is not None
        unsaid = not run_of(trial) and kind.command is None
        if unsaid and await ctx.cluster.get(JOB, meta["namespace"], meta["name"]) is not None:
            return await self._remove_job(trial, ctx)  # killed between making it and noting so
        if run_of(trial).get("state") not in (None, lives.DELETED, lives.REJECTED):
            return await self._remove(trial, ctx)
        self._said_at.pop(meta["uid"], None)
        await ctx.resources.remove_finalizer(TRIAL, meta["namespace"], meta["name"], FINALIZER)
        return None

    async def _write(self, trial: Object, status: Object, said: Message | None, ctx: Context) -> None:
        meta = trial["metadata"]
        events: Any = [said] if said else []
        where = (TRIAL, meta["namespace"], meta["name"])
        await ctx.resources.update_status(*where, status, expect_rv=meta["resourceVersion"], events=events)

    def _said(self, trial: Object, ctx: Context) -> None:
        self._said_at[trial["metadata"]["uid"]] = ctx.clock.monotonic()

    def _is_due(self, trial: Object, ctx: Context) -> bool:
        """Whether it is time to ask again; who has just begun does not know when it was asked, and asks."""
        return ctx.clock.monotonic() - self._said_at.get(trial["metadata"]["uid"], float("-inf")) >= ASK_AGAIN_S


async def _made(trial: Object, ctx: Context) -> Object:
    """The Job in the cluster, made now or by a process that was killed then. Raises ApiError, and AlreadyExists for one
    that is somebody else's."""
    assert ctx.cluster is not None
    wanted = {**trial["spec"]["runSpec"]}
    meta = wanted["metadata"]
    wanted["metadata"] = {**meta, "labels": {**meta["labels"], lives.UID: trial["metadata"]["uid"]}}
    try:
        return await ctx.cluster.create(wanted)
    except AlreadyExists:
        found = await ctx.cluster.get(JOB, meta["namespace"], meta["name"])
        if found is None or not _is_own(found, trial):
            raise
        return found


def _is_own(job: Object, trial: Object) -> bool:
    return bool((job["metadata"].get("labels") or {}).get(lives.UID) == trial["metadata"]["uid"])


def _untold(job: Object | None, now: datetime) -> Outcome | None:
    """A TrainJob whose Job is complete and of which nobody says so: the letter is lost."""
    for told in ((job or {}).get("status") or {}).get("conditions") or []:
        if told["type"] == "Complete" and told["status"] == "True":
            since = parse_rfc3339(told["lastTransitionTime"]) if told.get("lastTransitionTime") else now
            return Outcome(True) if (now - since).total_seconds() >= SILENT_S else None
    return None
