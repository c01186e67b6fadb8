"""Where the step door's words go: to the conductor if it works in this process, else into the store for the one that
does."""

from __future__ import annotations

import json

from libs.store import Reader, Store, brief
from services.pipelines.adapters.conductor import Conductor
from services.pipelines.adapters.live import facts_of
from services.pipelines.adapters.runs import WISH, ReadRuns
from services.pipelines.adapters.specs import Specs
from services.pipelines.adapters.told import RESULT
from services.pipelines.domain.engine.records import TaskRecord
from services.pipelines.domain.gates import is_gate
from services.pipelines.domain.steps.order import order
from services.pipelines.domain.steps.values import StepOrder, StepResult

TASK = brief("SELECT run_id, body FROM pipeline_tasks WHERE uid = ?1")


class Desk:
    """The StepDesk port."""

    def __init__(self, store: Store, specs: Specs, conductor: Conductor) -> None:
        self._store, self._specs, self._conductor = store, specs, conductor

    async def order_of(self, uid: str, attempt: int) -> StepOrder | None:
        if known := self._conductor.order_of(uid, attempt):
            return known
        async with self._store.read() as reader:
            run_id, record = await _task(reader, uid)
            run = await ReadRuns(reader).get(run_id) if record else None
            if record is None or run is None or not record.active or record.attempt != attempt:
                return None
            return order(await self._specs.of(reader, run.spec), record, facts_of(run))

    async def report(self, namespace: str, uid: str, attempt: int, result: StepResult) -> bool:
        wanted = await self.order_of(uid, attempt)
        if wanted is not None:
            is_its_own = wanted.namespace == namespace and not is_gate(wanted.image)
            return is_its_own and await self.finish(uid, attempt, result)
        async with self._store.read() as reader:
            _, record = await _task(reader, uid)
        return record is not None and record.attempt == attempt and record.over

    async def finish(self, uid: str, attempt: int, result: StepResult) -> bool:
        asked = self._conductor.leading
        if asked and await self._conductor.finish(uid, attempt, result):
            return True
        async with self._store.write_together() as uow:
            run_id, record = await _task(uow, uid)
            if record is None or record.attempt != attempt:
                return False
            if record.over:
                return True
            if asked and self._conductor.leading:
                return False  # it knows better: the run no longer wants the result
            told = {"uid": uid, "attempt": attempt, "result": result.to_json()}
            await uow.later(WISH, run_id, RESULT, json.dumps(told))
            return True


async def _task(reader: Reader, uid: str) -> tuple[str, TaskRecord | None]:
    found = await reader.rows(TASK, uid)
    return (str(found[0][0]), TaskRecord.from_json(json.loads(found[0][1]))) if found else ("", None)
