"""One run of which nothing can be stored, for whatever reason, holds up no other."""

from pathlib import Path
from typing import Any

import pytest

from contracts.events.scheduling.v1 import Assignment, WorkloadAdmitted
from services.pipelines.adapters import conductor
from services.pipelines.adapters.admission import ANSWER, NotedAnswers
from services.pipelines.adapters.ledger import Ledger
from services.pipelines.adapters.runs import WISH
from services.pipelines.domain.queued import KIND
from services.pipelines.handlers.admission import when_workload_answered
from tests.services.pipelines.conductor.rig import added, chain, rig, until


@pytest.fixture
def strange(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """The pens that write what no store takes, and of which runs."""
    of: dict[str, list[str]] = {"put": [], "end": []}

    def spoil(name: str, id_of: Any) -> None:
        work = getattr(Ledger, name)

        async def spoilt(self: Ledger, *told: Any) -> Any:
            if id_of(told[0]) in of[name]:
                await self.uow.later("INSERT INTO nowhere VALUES (1)")
            return await work(self, *told)

        monkeypatch.setattr(Ledger, name, spoilt)

    spoil("put", lambda live: live.run.id)
    spoil("end", lambda run: run.id)
    return of


@pytest.mark.parametrize("ends", [True, False], ids=["it is ended", "not even its end can be stored"])
async def test_a_run_that_cannot_be_stored_is_ended_and_the_others_go_on(tmp_path: Path, strange: Any, ends: bool):
    async with rig(tmp_path, added) as here:
        runs = [await here.submit(chain(3, cached=False)) for _ in range(6)]
        strange["put"].append(runs[2].id)
        if not ends:
            strange["end"].append(runs[2].id)
        async with here.leading(anew=True):
            found = [await here.over(run) for run in (*runs[:2], *runs[3:])]
            assert [run.state for run in found] == ["SUCCEEDED"] * 5
            if ends:
                lost = await here.over(runs[2])
                assert (lost.state, "cannot be stored" in lost.error) == ("FAILED", True)
            last = await here.submit(chain(1, cached=False))
            assert (await here.over(last)).state == "SUCCEEDED"


async def test_answers_of_the_scheduler_after_one_that_nobody_can_read_are_heard(tmp_path: Path):
    async with rig(tmp_path, added) as here:
        async with here.ports.store.write() as uow:
            for body in ("no answer", "no answer either"):
                await uow.later(WISH, "", ANSWER, body)
        async with here.leading(anew=True):
            run = await here.submit(chain(1, cached=False), queue="team")
            await until(lambda: len(here.conductor.seats) == 1)
            [seat] = here.conductor.seats._all.values()
            given = Assignment(name="step", count=1)
            about = {"namespace": seat.namespace, "name": seat.name, "uid": seat.uid, "kind": KIND}
            fact = WorkloadAdmitted(**about, generation=1, admission="1", pod_sets=[given])
            async with here.ports.store.write() as uow:
                await when_workload_answered(fact, NotedAnswers(uow, here.conductor.ring))
            assert (await here.over(run)).state == "SUCCEEDED"


async def test_a_store_that_takes_nothing_spoils_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async with rig(tmp_path, added) as here:
        run = await here.submit(chain(2, cached=False))
        monkeypatch.setattr(conductor, "TERM", "SELECT generation FROM leases_away WHERE name = ?1")
        here.build()
        here.conductor._generation = nothing
        for _ in range(5):
            with pytest.raises(Exception, match="leases_away"):
                await here.conductor.run()
        assert not here.conductor._suspects.looked_for
        monkeypatch.undo()
        async with here.leading():
            assert (await here.over(run)).state == "SUCCEEDED"


async def nothing() -> int:
    return 0
