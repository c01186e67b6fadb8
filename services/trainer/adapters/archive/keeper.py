"""Watches the pods of jobs and sees to it that what they say and how they end is kept; runs where the trainer leads."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from libs.base.clock import Clock, rfc3339
from libs.cluster import POD, Cluster
from libs.cluster.telling import events_about
from libs.resources import Kind
from libs.store import Store
from services.trainer.adapters.archive import records
from services.trainer.adapters.archive.bodies import Bodies
from services.trainer.adapters.archive.reading import Means, Reading
from services.trainer.adapters.archive.records import Spot
from services.trainer.domain.archive import pods as domain

_log = logging.getLogger(__name__)

Object = dict[str, Any]
EVENTS_AFTER_S = 2.0
"""The last events about a pod come a moment after its end."""
EVENTS_AT_ONCE = 4
EVENTS_MAX = 200
OPEN_WITHIN_S, FINISH_WITHIN_S = 3.0, 10.0


class Owner(NamedTuple):
    """The job that a pod belongs to."""

    resource: str
    name: str
    uid: str


@dataclass(frozen=True)
class Keeping:
    """One sort of pods: those that `selector` finds; `owner` tells whose a pod is, None for nobody's."""

    selector: str
    owner: Callable[[Object], Owner | None]


def by_labels(kind: Callable[[Object], Kind | None], name_label: str, uid_label: str) -> Keeping:
    """Pods that bear their job's name and uid as labels; `kind` tells of which kind the job is."""

    def owner(pod: Object) -> Owner | None:
        labels, found = pod["metadata"].get("labels") or {}, kind(pod)
        name, uid = labels.get(name_label), labels.get(uid_label)
        return Owner(found.resource, name, uid) if found and name and uid else None

    return Keeping(f"{name_label},{uid_label}", owner)


@dataclass
class _Watched:
    owner: Owner
    namespace: str
    name: str
    may_restart: bool
    fingerprint: tuple[Any, ...] | None = None
    readings: dict[tuple[str, int], Reading] = field(default_factory=dict)


class Keeper:
    def __init__(self, cluster: Cluster, store: Store, bodies: Bodies, clock: Clock) -> None:
        self._cluster, self._store, self._clock = cluster, store, clock
        self._means = Means(cluster, store, bodies, clock)
        self._asking = asyncio.Semaphore(EVENTS_AT_ONCE)
        self._watched: dict[str, _Watched] = {}
        self._jobs: set[str] = set()
        self._tasks: dict[asyncio.Task[None], str] = {}
        """With the uid of the pod that a task is about, empty for none."""

    async def follow(self, keeping: Keeping) -> None:
        """Keeps what this sort of pods leaves behind, until it is cancelled."""
        mine: set[str] = set()
        try:
            async for change, pod in self._cluster.watch(POD, labels=keeping.selector):
                if change == "SYNCED":
                    await self._settle(keeping, mine)
                elif owner := keeping.owner(pod):
                    mine.add(pod["metadata"]["uid"])
                    await (self._left(pod) if change == "DELETED" else self._seen(pod, owner))
        finally:
            await self._drop(mine)

    async def before_removal(self, job_uid: str) -> None:
        """Call it before pods are removed: returns when their logs are heard, so that no last word is missed, or after
        a few seconds; a log that cannot be read must not hold anything up."""
        open_, over = [], []
        for reading in self._readings(job_uid):
            if reading.mode == "finish":
                over.append(reading.done.wait())
            else:
                reading.wish("follow")
                open_.append(reading.opened.wait())
        await asyncio.gather(_within(OPEN_WITHIN_S, open_), _within(FINISH_WITHIN_S, over))

    def ask_events(self, job_uid: str, namespace: str, about: Iterable[str]) -> None:
        """Keeps the Events about these objects, a moment from now."""
        self._start(self._keep_events(job_uid, namespace, list(about)))

    def _readings(self, job_uid: str) -> list[Reading]:
        watched = [each for each in self._watched.values() if each.owner.uid == job_uid]
        return [reading for each in watched for reading in each.readings.values() if not reading.done.is_set()]

    async def _seen(self, pod: Object, owner: Owner) -> None:
        meta = pod["metadata"]
        known = self._watched.setdefault(meta["uid"], _watched(pod, owner))
        now = domain.fingerprint(pod)
        if known.fingerprint == now:
            return
        was_over = known.fingerprint is not None and known.fingerprint[0] in ("Succeeded", "Failed")
        await self._keep(pod, owner)
        known.fingerprint = now
        for run in domain.runs(pod):
            self._read(known, meta["uid"], run, domain.is_leaving(pod))
        if domain.is_over(pod) and not was_over:
            self.ask_events(owner.uid, meta["namespace"], [meta["uid"], *domain.owner_uids(pod)])

    async def _keep(self, pod: Object, owner: Owner) -> None:
        namespace = pod["metadata"]["namespace"]
        async with self._store.write() as uow:
            if owner.uid not in self._jobs:
                job = await uow.get(owner.resource, namespace, owner.name)
                if job is not None and job["metadata"]["uid"] == owner.uid:
                    await records.put_job(uow, owner.resource, job)
            await records.put_pod(uow, owner.uid, domain.kept(pod))
        self._jobs.add(owner.uid)

    def _read(self, known: _Watched, uid: str, run: domain.Run, leaving: bool) -> None:
        if run.attempt:
            self._reading(known, uid, run.container, run.attempt - 1).wish("finish", previous=True)
        if run.is_over:
            self._reading(known, uid, run.container, run.attempt).wish("finish")
        elif run.began:
            self._reading(known, uid, run.container, run.attempt).wish("follow" if leaving else "look")

    def _reading(self, known: _Watched, uid: str, container: str, attempt: int) -> Reading:
        found = known.readings.get((container, attempt))
        if found is None:
            folder = f"logs/{known.namespace}/{known.owner.name}-{known.owner.uid[:8]}/{known.name}-{uid[:5]}"
            spot = Spot(uid, container, attempt, known.owner.uid, folder)
            found = known.readings[container, attempt] = Reading(
                self._means, spot, known.namespace, known.name, may_restart=known.may_restart
            )
            self._start(found.run(), uid)
        return found

    async def _left(self, pod: Object) -> None:
        """The object that tells of a deletion may be its metadata alone."""
        meta = pod["metadata"]
        known = self._watched.pop(meta["uid"], None)
        if known is None:
            return
        if pod.get("spec") and pod.get("status"):
            await self._keep(pod, known.owner)
        async with self._store.write() as uow:
            await records.mark_gone(uow, meta["uid"], rfc3339(self._clock.now()))
        for reading in known.readings.values():
            reading.pod_is_gone()
        self.ask_events(known.owner.uid, known.namespace, [meta["uid"]])

    async def _settle(self, keeping: Keeping, here: set[str]) -> None:
        """Pods that went while nobody looked: what was kept of them is all that there is."""
        async with self._store.read() as reader:
            left = [row for row in await records.pods_not_gone(reader) if row.uid not in here]
        for row in left:
            if keeping.owner(row.body) is not None:
                await self._close(row.uid)

    async def _close(self, pod_uid: str) -> None:
        async with self._store.write() as uow:
            for log in await records.logs_of_pod(uow, pod_uid):
                if not log.is_whole:
                    log.is_whole = log.book.has_gap = True
                    await records.put_log(uow, log)
            await records.mark_gone(uow, pod_uid, rfc3339(self._clock.now()))

    async def _keep_events(self, job_uid: str, namespace: str, about: Sequence[str]) -> None:
        await self._clock.sleep(EVENTS_AFTER_S)
        async with self._asking:
            found = await events_about(self._cluster, namespace, about)
        if found:
            async with self._store.write() as uow:
                for event in sorted(found, key=domain.last_seen)[-EVENTS_MAX:]:
                    await records.put_event(uow, job_uid, event, domain.last_seen(event))

    def _start(self, work: Any, pod_uid: str = "") -> None:
        task = asyncio.create_task(_quietly(work))
        self._tasks[task] = pod_uid
        task.add_done_callback(lambda done: self._tasks.pop(done, None))

    async def _drop(self, mine: set[str]) -> None:
        """This replica leads no longer, or begins anew: its readers end, since others may read now."""
        for uid in mine:
            self._watched.pop(uid, None)
        tasks = [task for task, uid in self._tasks.items() if uid in mine]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _watched(pod: Object, owner: Owner) -> _Watched:
    meta = pod["metadata"]
    may_restart = (pod.get("spec") or {}).get("restartPolicy") != "Never"
    return _Watched(owner, meta["namespace"], meta["name"], may_restart)


async def _quietly(work: Any) -> None:
    try:
        await work
    except Exception:
        _log.exception("something could not be kept in the archive; the next look may succeed")


async def _within(seconds: float, waits: Sequence[Any]) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await asyncio.gather(*waits)
