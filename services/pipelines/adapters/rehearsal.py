"""What a run would do, asked of the machine, the cache and the run that it forks; nothing is written or started."""

from __future__ import annotations

from collections.abc import Sequence

from libs.base import Clock, milliseconds
from libs.blobs import Blobs
from libs.store import Reader, Store
from services.pipelines.adapters.live import LiveRun, earlier_of, facts_of
from services.pipelines.adapters.presence import Presence
from services.pipelines.adapters.settling import Look, Settled, answer
from services.pipelines.adapters.specs import Specs
from services.pipelines.domain.engine.machine import Machine
from services.pipelines.domain.engine.words import Put, Start, StepEnded
from services.pipelines.domain.gates import is_gate
from services.pipelines.domain.ir.model import Pipeline
from services.pipelines.domain.planned import Planned, planned
from services.pipelines.domain.runs import NewRun, drafted
from services.pipelines.domain.steps.values import StepOrder

NOT_CACHED = "its outputs are not cached: caching is off for this task"
APPROVAL = "it waits for approval"
NOBODY = "00000000-0000-4000-8000-000000000000"
"""The id of a run that there never is."""


class SqlRehearsal:
    """One look at the store for each; `bucket` is the platform's, read by `blobs` to see what still lies in it."""

    def __init__(self, store: Store, clock: Clock, bucket: str, blobs: Blobs | None = None) -> None:
        self._store, self._clock, self._bucket, self._blobs = store, clock, bucket, blobs

    async def rehearse(self, new: NewRun, pipeline: Pipeline) -> Sequence[Planned]:
        async with self._store.read() as reader:
            return await self._rehearse(reader, new, pipeline)

    async def _rehearse(self, reader: Reader, new: NewRun, pipeline: Pipeline) -> Sequence[Planned]:
        now = self._clock.now()
        run = drafted(new, NOBODY, milliseconds(now), f"s3://{self._bucket}/pipelines")
        facts = facts_of(run)
        live = LiveRun(run, pipeline, facts, Machine.load(pipeline, facts), {}, {}, 0)
        live.presence = Presence(self._blobs, self._bucket, self._clock) if self._blobs else None
        live.earlier = await earlier_of(reader, Specs(), run, pipeline)
        settled = Settled(live)
        while decisions := live.machine.advance(now):
            for decision in decisions:
                if isinstance(decision, Put):
                    settled.changed[decision.record.path] = decision.record
                elif isinstance(decision, Start):
                    await self._ask(reader, settled, decision)
        return planned(pipeline, live.machine.records, live.caches, facts.options.only)

    async def _ask(self, reader: Reader, settled: Settled, start: Start) -> None:
        record = start.record
        found = await answer(reader, settled, record, self._bucket)
        while isinstance(found, Look):
            assert settled.live.presence is not None
            await settled.live.presence.look(found.outputs)
            found = await answer(reader, settled, record, self._bucket)
        if isinstance(found, StepOrder):
            why = APPROVAL if is_gate(found.image) else NOT_CACHED
            settled.live.caches.setdefault(record.path, why)
        else:
            settled.live.machine.tell(StepEnded(record.path, record.attempt, found))
