"""Forks, single steps again and dry runs, with the conductor and its store."""

from pathlib import Path
from typing import Any

import yaml

from services.pipelines.adapters.compiling import compiled
from services.pipelines.adapters.rehearsal import SqlRehearsal
from services.pipelines.domain.catalog.documents import from_yaml
from services.pipelines.domain.runs import NewRun, Run, RunOptions
from tests.services.pipelines.conductor.rig import Rig, added, chain, rig


async def plan(here: Rig, text: str, **options: Any) -> list[tuple[str, str, str]]:
    pipeline, _ = compiled(from_yaml(text))
    new = NewRun("team", "x", "", pipeline.name, options=RunOptions(**options))
    told = await SqlRehearsal(here.ports.store, here.ports.clock, "millstream").rehearse(new, pipeline)
    return [(each.path, each.decision, each.reason) for each in told]


async def test_a_fork_runs_from_the_step_that_is_named_and_names_whose_outputs_it_kept(tmp_path: Path) -> None:
    async with rig(tmp_path, added) as here, here.leading():
        old = await here.over(await here.submit(chain(4, cached=False)))
        here.orders.clear()
        new = await here.over(await fork(here, old, 4, "root/add-2"))
        assert (new.state, [order.name for order in here.orders]) == ("SUCCEEDED", ["add-2", "add-3"])
        before, after = await here.tasks(old), await here.tasks(new)
        assert after["root/add-1"].cached_from == before["root/add-1"].uid
        assert after["root/add-3"].outputs == before["root/add-3"].outputs
        assert f"hit: the result of run {old.id}, of which this one is a fork" in await here.reasons(new)
        here.orders.clear()
        await here.over(await fork(here, new, 4, "root/add-1", only=True))
        assert [order.name for order in here.orders] == ["add-1"]


async def fork(here: Rig, old: Run, length: int, *anew: str, **options: Any) -> Run:
    return await here.submit(chain(length, cached=False), fork_of=old.id, anew=anew, **options)


async def test_a_step_that_is_to_run_anew_is_not_taken_from_the_cache(tmp_path: Path) -> None:
    async with rig(tmp_path, added) as here, here.leading():
        old = await here.over(await here.submit(chain(3)))
        here.orders.clear()
        new = await here.over(await here.submit(chain(3), fork_of=old.id, anew=("root/add-1",)))
        assert [order.name for order in here.orders] == ["add-1"], "what follows is given the same and is in the cache"
        assert "off: this step was asked to run again" in await here.reasons(new)


async def test_a_dry_run_tells_what_the_run_would_do_and_does_nothing(tmp_path: Path) -> None:
    async with rig(tmp_path, added) as here, here.leading():
        first = "miss: no earlier result of this step is kept"
        assert await plan(here, chain(2)) == [("add-0", "run", first), ("add-1", "later", "after add-0")]
        old = await here.over(await here.submit(chain(2)))
        hit = "hit: nothing that its outputs depend on has changed"
        assert await plan(here, chain(2)) == [("add-0", "reuse", hit), ("add-1", "reuse", hit)]
        changed = await plan(here, chain(2, value=5))
        assert changed[0] == ("add-0", "run", "miss: input x changed (1 -> 5)")
        forked = await plan(here, chain(2, cached=False), fork_of=old.id, anew=("root/add-1",))
        assert [decision for _, decision, _ in forked] == ["reuse", "run"]
        assert len(here.orders) == 2


async def test_what_a_step_leaves_in_the_workspace_is_not_thought_to_be_there_again(tmp_path: Path) -> None:
    spec = yaml.safe_load(chain(2))
    spec["root"]["dag"]["tasks"]["add-1"]["inputs"]["parameters"]["where"] = {
        "runtimeValue": {"constant": "{{$.workspace_path}}/kept"}
    }
    workspace = {"platforms": {"kubernetes": {"pipelineConfig": {"workspace": {"size": "1Gi"}}}}}
    text = yaml.safe_dump_all([spec, workspace])
    async with rig(tmp_path, added) as here, here.leading():
        for _ in range(2):
            assert (await here.over(await here.submit(text))).state == "SUCCEEDED"
        assert [order.name for order in here.orders] == ["add-0", "add-1", "add-1"]
