"""The pods of steps: made, watched, stopped and cleared away; it decides nothing about what becomes of a step.

Pods are named after their attempt, so that making one twice makes one. What the cluster refuses for now is tried again;
what it refuses for good is told as the end of the attempt.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from contracts.events.scheduling.v1 import Assignment
from contracts.queueing import placed
from libs.base import Clock
from libs.base.errors import AlreadyExists, ApiError, BadRequest, Invalid, NotFound
from libs.cluster import POD, Cluster
from libs.cluster.obstacles import Obstacle, pod_obstacle, refusal
from services.pipelines.adapters.claims import carry_out, clear_workspace, make_workspace
from services.pipelines.adapters.starting import Starting
from services.pipelines.domain.claims import is_claim
from services.pipelines.domain.ended import Ended, ended, hopeless, indescribable, is_running, key_of, refused
from services.pipelines.domain.starting import given_up
from services.pipelines.domain.steps.naming import pod_name
from services.pipelines.domain.steps.pod import MANAGED_BY, MANAGER, RUN, Site, pod
from services.pipelines.domain.steps.values import StepOrder
from services.pipelines.domain.turns import Turns

log = logging.getLogger(__name__)

Key = tuple[str, int]
Object = dict[str, Any]
AT_ONCE = 16
"""Calls to the cluster under way at a time."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 5.0
LOOK_S = 5.0
FAILED_MAX = 200
"""Pods of failed steps that are kept for who looks into them: a fan of ten thousand may fail as a whole."""
CLEARED_MAX = 400
"""In one look."""
NODELESS = ("Unschedulable", "SchedulingGated")
"""What the cluster's scheduler says of pods that have no node."""


@dataclass(frozen=True)
class PodStart:
    """An attempt that shall run now; `service_account` is what its run asked for."""

    order: StepOrder
    service_account: str = ""
    given: Assignment | None = None
    """What the scheduler assigned to it: flavors and places."""

    @property
    def key(self) -> Key:
        return self.order.uid, self.order.attempt


@dataclass(frozen=True, slots=True)
class Turn:
    """An attempt that waits for its turn; of ten thousand that do, what they are to do is not kept as well."""

    key: Key
    run_id: str
    service_account: str
    given: Assignment | None


@dataclass
class Seen:
    """A pod as the cluster told of it last; `gone_by` is when an ended one is cleared away."""

    namespace: str
    name: str
    run_id: str
    over: bool = False
    why: str = ""
    gone_by: float | None = None

    def is_of(self, order: StepOrder) -> bool:
        name = pod_name(order.run_id, order.name, order.path, order.attempt)
        return (self.namespace, self.name) == (order.namespace, name)


class Pods:
    """`run` while leading. `limit` is how many steps may have a pod that has not ended; as many pods that have no node
    may wait beside them. `ensure` sees that what pods mount is in a namespace, and says what they are told there;
    `heard` is told of an attempt's pod that runs (None) or has ended, `stuck` why one that should does not run yet.
    `order_of` says what an attempt is to do whose turn has come, None if nothing any more."""

    def __init__(
        self,
        cluster: Cluster,
        clock: Clock,
        site: Site,
        ensure: Callable[[str], Awaitable[Site]],
        heard: Callable[[str, int, Ended | None], None],
        order_of: Callable[[str, int], StepOrder | None],
        *,
        limit: int,
        keep_failed_s: float,
        start_patience_s: float = 300.0,
        stuck: Callable[[str, int, str], None] = lambda uid, attempt, why: None,
    ) -> None:
        self._cluster, self._clock, self._site, self._ensure = cluster, clock, site, ensure
        self._heard, self._limit, self._keep_failed_s = heard, limit, keep_failed_s
        self._stuck, self._starting = stuck, Starting(cluster, clock, start_patience_s)
        self._order_of = order_of
        self._waiting: Turns[Turn] = Turns()
        self._at_hand: dict[Key, StepOrder] = {}
        """Of those whose turn comes soon."""
        self._settled: set[Key] = set()
        """Attempts that need no pod any more; forgotten with their pods."""
        self._unwanted: set[Key] = set()
        """Those of them whose pod goes even if it still runs."""
        self._busy: set[Key] = set()
        self._nodeless: set[Key] = set()
        """Those of them that no node has room for: they cost nothing, and may wait for ever."""
        self._seen: dict[Key, Seen] = {}
        self._bell = asyncio.Event()
        self._calls: set[asyncio.Task[None]] = set()
        self._naps: set[asyncio.Task[None]] = set()
        self._pauses: dict[Key, float] = {}
        self._making: set[Key] = set()

    def start(self, wanted: PodStart) -> None:
        run_id = wanted.order.run_id
        if (seen := self._seen.get(wanted.key)) and not seen.is_of(wanted.order):
            del self._seen[wanted.key]  # somebody else's, from before the attempt was there
            self._settled.discard(wanted.key)
            self._unwanted.discard(wanted.key)
        self._waiting.put(run_id, Turn(wanted.key, run_id, wanted.service_account, wanted.given))
        if len(self._at_hand) < self._limit:
            self._at_hand[wanted.key] = wanted.order
        self._bell.set()

    def stop(self, uid: str, attempt: int) -> None:
        """Its pod goes, whether there is one or not yet."""
        self._settle((uid, attempt))
        self._unwanted.add((uid, attempt))
        if seen := self._seen.get((uid, attempt)):
            self._call(self._delete(seen))

    def stop_run(self, id: str) -> None:
        """All pods of a run go."""
        for wanted in self._waiting:
            if wanted.run_id == id:
                self.stop(*wanted.key)
        for key, seen in self._seen.items():
            if seen.run_id == id:
                self.stop(*key)

    def clear(self, namespace: str, run_id: str) -> None:
        """What the run's steps shared goes; who needs it no more has ended well or been deleted."""
        self._call(clear_workspace(self._cluster, namespace, run_id))

    def done(self, uid: str, attempt: int) -> None:
        """The attempt is settled: its pod is about to end, and the next may begin."""
        key = uid, attempt
        self._settle(key)
        if not (key in self._seen or key in self._making or self._waiting):
            self._settled.discard(key)  # it never had a pod

    def forget(self) -> None:
        """This replica no longer leads."""
        self._waiting.clear()
        self._at_hand.clear()
        self._busy.clear()
        self._nodeless.clear()
        self._settled.clear()
        self._unwanted.clear()
        self._seen.clear()
        self._pauses.clear()
        self._starting.clear()
        for task in (*self._calls, *self._naps):
            task.cancel()

    @property
    def counts(self) -> dict[str, int]:
        return {"waiting": len(self._waiting), "running": len(self._busy)}

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch())
            tasks.create_task(self._sweep())
            tasks.create_task(self._dispatch())

    async def _dispatch(self) -> None:
        while True:
            self._bell.clear()
            while self._waiting and self._has_place() and len(self._calls) < AT_ONCE:
                turn = self._waiting.take()
                if wanted := self._wanted(turn):
                    self._busy.add(turn.key)
                    self._call(self._make(wanted))
            await self._bell.wait()

    def _has_place(self) -> bool:
        return len(self._busy) - min(len(self._nodeless), self._limit) < self._limit

    def _wanted(self, turn: Turn) -> PodStart | None:
        order = self._at_hand.pop(turn.key, None)
        if turn.key in self._settled:
            return None
        order = order or self._order_of(*turn.key)
        return PodStart(order, turn.service_account, turn.given) if order else None

    def _call(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._calls.add(task)
        task.add_done_callback(self._called)

    def _called(self, task: asyncio.Task[None]) -> None:
        self._calls.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("a call about a step's pod failed", exc_info=error)
        self._bell.set()

    async def is_gone(self, key: Key, namespace: str, name: str, *, unwanted: bool) -> bool:
        """Whether the cluster has the pod no more, or it has ended; an `unwanted` one is told to go once more."""
        if key in self._making:
            return False
        try:
            found = await self._cluster.get(POD, namespace, name)
            if found is None or ended(found) is not None:
                return True
            if unwanted:
                await self._cluster.delete(POD, namespace, name)
        except NotFound:
            return True
        except ApiError as error:
            log.warning("whether the pod %s is gone cannot be told yet: %s", name, error.message)
        return False

    async def _make(self, wanted: PodStart) -> None:
        self._making.add(wanted.key)
        try:
            await self._made(wanted)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            log.exception("no pod can be made of what %s asks for", wanted.order.path)
            self._tell(wanted.key, indescribable(error))
        except Exception:  # it would hold its place among those that run for ever
            log.exception("the pod of %s cannot be made yet", wanted.order.path)
            self._later(wanted)
        finally:
            self._making.discard(wanted.key)

    async def _made(self, wanted: PodStart) -> None:
        try:
            if is_claim(wanted.order.image):
                self._tell(wanted.key, Ended(await carry_out(self._cluster, wanted.order)))
                return
            site = await self._ensure(wanted.order.namespace)
            await make_workspace(self._cluster, wanted.order)
            with suppress(AlreadyExists):
                made = pod(wanted.order, site, wanted.service_account)
                self._seen.setdefault(wanted.key, _seen(made))
                await self._cluster.create(placed(made, wanted.given))
        except (BadRequest, Invalid, NotFound) as error:
            self._seen.pop(wanted.key, None)
            self._tell(wanted.key, refused(error.message))
        except ApiError as error:
            self._seen.pop(wanted.key, None)
            log.warning("the pod of %s cannot be made yet: %s", wanted.order.path, error.message)
            found = refusal(error)
            self._starting.blocked(wanted.key, found)
            self._stuck(*wanted.key, f"its pod cannot be made yet: {found.message if found else error.message}")
            self._later(wanted)
        if wanted.key in self._unwanted:
            about = pod(wanted.order, self._site, wanted.service_account)["metadata"]
            await self._delete(Seen(about["namespace"], about["name"], wanted.order.run_id))

    def _later(self, wanted: PodStart) -> None:
        """It is tried again after a pause, in which others may have its place: its namespace may have no quota left."""
        pause = self._pauses[wanted.key] = min(self._pauses.get(wanted.key, FIRST_PAUSE_S / 2) * 2, LONGEST_PAUSE_S)

        async def wait() -> None:
            await self._clock.sleep(pause)
            if wanted.key in self._settled:
                self._pauses.pop(wanted.key, None)
            else:
                self.start(wanted)

        self._busy.discard(wanted.key)
        self._naps.add(nap := asyncio.ensure_future(wait()))
        nap.add_done_callback(self._naps.discard)

    async def _delete(self, seen: Seen) -> None:
        with suppress(ApiError):
            await self._cluster.delete(POD, seen.namespace, seen.name)

    async def _watch(self) -> None:
        async for kind, obj in self._cluster.watch(POD, labels=f"{MANAGED_BY}={MANAGER}"):
            key = key_of(obj) if obj else None
            if key is None or not self._is_its_own(key, obj):
                continue
            if kind == "DELETED":
                self._seen.pop(key, None)
                self._tell(key, ended(obj, gone=True))
                self._settled.discard(key)
                self._unwanted.discard(key)
            else:
                self._look(key, obj)

    def _is_its_own(self, key: Key, obj: Object) -> bool:
        """Whoever may make pods can give them an attempt's labels, in any namespace: only the pod of the attempt's name
        in its run's namespace speaks for it."""
        found, known = _seen(obj), self._seen.get(key)
        if known is not None:
            return (known.namespace, known.name) == (found.namespace, found.name)
        order = self._order_of(*key)
        return order is None or found.is_of(order)

    def _look(self, key: Key, obj: Object) -> None:
        found, is_new = ended(obj), key not in self._seen
        seen = self._seen.setdefault(key, _seen(obj))
        if found is None and is_new and self._order_of(*key) is None:
            self.stop(*key)  # who stopped the step was killed before its pod heard of it
        elif found is None:
            if key not in self._settled:
                self._busy.add(key)
            if is_running(obj):
                self._nodeless.discard(key)
                self._starting.forget(key)
                self._heard(*key, None)
            elif key not in self._settled:
                self._obstacle(key, seen, self._why(key, obj))
        elif not seen.over:
            seen.over = True
            keep = 0.0 if found.well else self._keep_failed_s
            seen.gone_by = self._clock.monotonic() + keep
            self._tell(key, found)
            if not keep:
                self._call(self._delete(seen))

    def _why(self, key: Key, obj: Object) -> Obstacle | None:
        if why := pod_obstacle(obj, self._clock.now()):
            self._starting.speaks(key)
            return why
        return self._starting.silent(key, obj["metadata"]["namespace"], obj["metadata"]["uid"])

    def _obstacle(self, key: Key, seen: Seen, why: Obstacle | None) -> None:
        if why and why.hopeless:
            self._tell(key, hopeless(why.reason, why.message))
            self._call(self._delete(seen))
            return
        self._starting.blocked(key, why)
        if why and why.reason in NODELESS:
            self._nodeless.add(key)
            self._bell.set()
        else:
            self._nodeless.discard(key)
        told = f"its pod {seen.name} does not run yet ({why.reason}): {why.message}" if why else ""
        if told != seen.why:
            seen.why = told
            self._stuck(*key, told)

    def _tell(self, key: Key, found: Ended | None) -> None:
        self._settle(key)
        if found is not None:
            self._heard(*key, found)

    def _settle(self, key: Key) -> None:
        self._settled.add(key)
        self._starting.forget(key)
        self._pauses.pop(key, None)
        self._busy.discard(key)
        self._nodeless.discard(key)
        self._bell.set()

    async def _sweep(self) -> None:
        """Clears away what has ended and been kept long enough; a call that failed is made again."""
        while True:
            await self._clock.sleep(LOOK_S)
            unwanted = [self._seen[key] for key in self._unwanted & self._seen.keys() if not self._seen[key].over]
            going = [*self._due(), *unwanted]
            for at in range(0, len(going), AT_ONCE):
                await asyncio.gather(*map(self._delete, going[at : at + AT_ONCE]))
            for key, why in await self._starting.ask():
                if key in self._seen and key not in self._settled:
                    self._obstacle(key, self._seen[key], why)
            self._lose_patience()

    def _due(self) -> list[Seen]:
        """Some of the ended pods whose time is over, or that would be too many, the oldest first. They come again
        later: others do not wait behind one that the cluster keeps."""
        now = self._clock.monotonic()
        kept = sorted((seen.gone_by, key) for key, seen in self._seen.items() if seen.gone_by is not None)
        many = len(kept) - FAILED_MAX
        due = [self._seen[key] for place, (at, key) in enumerate(kept) if at <= now or place < many][:CLEARED_MAX]
        for seen in due:
            seen.gone_by = now + LOOK_S
        return due

    def _lose_patience(self) -> None:
        for key, why in self._starting.hopeless():
            if key not in self._making:
                seen = self._seen.get(key)
                self._tell(key, given_up(why, self._starting.patience_s, there=seen is not None))
                if seen is not None:
                    self._call(self._delete(seen))


def _seen(pod: Object) -> Seen:
    meta = pod["metadata"]
    return Seen(meta["namespace"], meta["name"], (meta.get("labels") or {}).get(RUN) or "")
