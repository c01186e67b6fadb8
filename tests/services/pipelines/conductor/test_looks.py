"""Who looks at a run again and again sees what a new reader sees, and pays for what has changed since."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from services.pipelines.adapters.catalog import SqlCatalog
from services.pipelines.adapters.runs import ReadRuns
from services.pipelines.adapters.told import Told
from services.pipelines.domain.runs import Run
from services.pipelines.handlers import run_texts
from services.pipelines.handlers.run_texts import RunTexts
from tests.services.pipelines.conductor.rig import Rig, added, chain, rig, until
from tests.services.pipelines.conductor.test_exits import guarded


class Reader:
    """Looks like a request does; `read` are the numbers of tasks that were read."""

    def __init__(self, here: Rig) -> None:
        self.here, self.read = here, []
        self.texts = RunTexts(self.look)

    @asynccontextmanager
    async def look(self) -> AsyncIterator[Any]:
        read = self.read

        class Runs(ReadRuns):
            async def changes(self, id: str, seen: tuple[int, int], most: int) -> Any:
                found = await super().changes(id, seen, most)
                read.extend(number for _, number, *_ in found)
                return found

        async with self.here.ports.store.read() as reader:
            yield SimpleNamespace(catalog=SqlCatalog(reader), runs=Runs(reader))

    async def of(self, run: Run) -> Any:
        return json.loads(await self.texts.of(run, self.here.ports.clock.monotonic()))


async def test_a_second_look_sees_what_a_first_one_would_and_reads_only_what_has_changed(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(run_texts, "AT_ONCE", 3)
    async with rig(tmp_path, added) as here, here.leading():
        run, again = await here.submit(chain(12)), Reader(here)
        while not (now := await here.run(run.id)).is_over:
            seen, new = await again.of(now), await Reader(here).of(now)
            tasks = [each["task_id"] for each in seen["run_details"]["task_details"]]
            assert tasks == [each["task_id"] for each in new["run_details"]["task_details"]][: len(tasks)]
        assert await again.of(now) == await Reader(here).of(now)
        [root, *steps] = (await again.of(now))["run_details"]["task_details"]
        assert [child["task_id"] for child in root["child_tasks"]] == [step["task_id"] for step in steps]
        assert {step["parent_task_id"] for step in steps} == {root["task_id"]}
        again.read.clear()
        await again.of(now)
        assert again.read == []
        new = Reader(here)
        found = await asyncio.gather(*(new.of(now) for _ in range(5)))
        assert all(each == found[0] for each in found) and sorted(new.read) == list(range(13)), "each is read once"


async def test_a_look_that_is_broken_off_leaves_nothing_half_read(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(run_texts, "AT_ONCE", 3)
    async with rig(tmp_path, added) as here, here.leading():
        run = await here.over(await here.submit(chain(12)))
        reader = Reader(here)
        first = asyncio.ensure_future(reader.of(run))
        await until(lambda: reader.read)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        assert await reader.of(run) == await Reader(here).of(run)


async def test_why_a_step_waits_is_seen_when_it_is_known_and_gone_when_it_is_not(tmp_path: Path):
    async with rig(tmp_path, added) as here, here.leading():
        here.plays, reader = False, Reader(here)
        run = await here.submit(guarded())
        await until(lambda: any(at.plural == "pods" for at in here.cluster.objects))
        record = next(each for each in (await here.tasks(run)).values() if each.active)
        for why in ("no node has room", ""):
            here.conductor.hear(Told(record.uid, 1, waits=why))
            async with asyncio.timeout(30):
                while await waits(reader, await here.run(run.id), record.uid) != why:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)


async def waits(reader: Reader, run: Run, uid: str) -> str:
    tasks = (await reader.of(run))["run_details"]["task_details"]
    return next(each.get("error", {}).get("message", "") for each in tasks if each["task_id"] == uid)
