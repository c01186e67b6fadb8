"""Steps that wait for a person."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from libs.base.errors import Conflict, Forbidden, Unavailable
from services.pipelines.adapters.lineage import SqlLineage
from services.pipelines.adapters.runs import ReadRuns
from services.pipelines.domain.gates import IMAGE
from services.pipelines.domain.runs import Run
from services.pipelines.handlers.desk import Means
from services.pipelines.handlers.gates import Gates
from tests.services.pipelines.conductor.rig import Rig, added, chain, rig


def gated(**inputs: Any) -> str:
    """add-0, then a gate, then add-1 whatever was said."""
    spec = yaml.safe_load(chain(2))
    face = {name: {"parameterType": "STRING"} for name in ("decision", "by", "comment")}
    spec["components"]["gate"] = {
        "executorLabel": "gate",
        "inputDefinitions": {
            "parameters": {
                "reject_fails": {"parameterType": "BOOLEAN", "isOptional": True},
                "timeout_seconds": {"parameterType": "NUMBER_DOUBLE", "isOptional": True},
            }
        },
        "outputDefinitions": {"parameters": face},
    }
    spec["deploymentSpec"]["executors"]["gate"] = {"container": {"image": IMAGE, "command": ["approve"]}}
    said = {name: {"runtimeValue": {"constant": value}} for name, value in inputs.items()}
    tasks = spec["root"]["dag"]["tasks"]
    caching = {"enableCache": True}
    tasks["gate"] = {"componentRef": {"name": "gate"}, "dependentTasks": ["add-0"], "cachingOptions": caching}
    tasks["gate"]["inputs"] = {"parameters": said}
    tasks["add-1"]["dependentTasks"].append("gate")
    return yaml.safe_dump(spec)


@dataclass
class Person:
    name: str


async def paused(here: Rig, run: Run) -> None:
    while (task := (await here.tasks(run)).get("root/gate")) is None or task.state != "PAUSED":
        await here.ports.clock.sleep(0.01)


def gates(here: Rig, allowed: bool = True, clock: Any = None) -> Gates:
    """A `clock` hears of views that begin and end."""

    @asynccontextmanager
    async def look() -> AsyncIterator[Any]:
        async with here.ports.store.read() as reader, clock or nullcontext():
            seen = {"runs": ReadRuns(reader), "lineage": SqlLineage(reader), "clock": clock or here.ports.clock}
            yield type("Needs", (), seen)

    async def allow(user: Any, verb: str, plural: str, namespace: str, name: str) -> None:
        assert (verb, plural, namespace) == ("approve", "runs", "team")
        if not allowed:
            raise Forbidden("no")

    nothing: Any = None
    return Gates(Means(nothing, look, allow, nothing, nothing, ""), here.desk)


async def test_a_gate_holds_the_run_until_somebody_approves_and_tells_who_did(tmp_path: Path) -> None:
    async with rig(tmp_path, added) as here, here.leading():
        run = await here.submit(gated())
        await paused(here, run)
        assert [order.name for order in here.orders] == ["add-0"], "a gate has no pod, and nothing runs after it"
        with pytest.raises(Forbidden):
            await gates(here, allowed=False).decide(Person("eve"), run.id, "gate", True, "")
        await gates(here).decide(Person("ann"), run.id, "gate", True, "looks good")
        assert (await here.over(run)).state == "SUCCEEDED"
        told = (await here.tasks(run))["root/gate"].outputs.parameters
        assert told == {"decision": "approved", "by": "ann", "comment": "looks good"}
        assert "task.paused" in await here.said(run)
        with pytest.raises(Conflict, match="the task is SUCCEEDED"):
            await gates(here).decide(Person("bob"), run.id, "gate", False, "")


async def test_a_rejection_fails_the_run_or_is_told_to_what_follows(tmp_path: Path) -> None:
    async with rig(tmp_path, added) as here, here.leading():
        run = await here.submit(gated())
        await paused(here, run)
        await gates(here).decide(Person("ann"), run.id, "gate", False, "too slow")
        assert "rejected by ann: too slow" in (await here.over(run)).error
        run = await here.submit(gated(reject_fails=False))
        await paused(here, run)
        await gates(here).decide(Person("ann"), run.id, "gate", False, "")
        assert (await here.over(run)).state == "SUCCEEDED"
        assert (await here.tasks(run))["root/gate"].outputs.parameters["decision"] == "rejected"


async def test_nobodys_word_is_a_rejection_when_the_time_is_up_also_after_a_takeover(tmp_path: Path) -> None:
    async with rig(tmp_path, added) as here:
        async with here.leading():
            run = await here.submit(gated(timeout_seconds=0.4, reject_fails=False))
            other = await here.submit(gated(timeout_seconds=0.1))
            for_ever = await here.submit(gated(timeout_seconds=0))
            await paused(here, run)
        async with here.leading():
            assert (await here.over(run)).state == "SUCCEEDED"
            told = (await here.tasks(run))["root/gate"].outputs.parameters
            assert told == {"decision": "rejected", "by": "", "comment": "nobody decided within 0.4 s"}
            assert "nobody decided within 0.1 s" in (await here.over(other)).error
            await paused(here, for_ever)
            with pytest.raises(Conflict):
                await gates(here).decide(Person("ann"), run.id, "gate", True, "too late")


async def test_whoever_takes_over_knows_what_waits(tmp_path: Path) -> None:
    async with rig(tmp_path, added) as here:
        async with here.leading():
            run = await here.submit(gated())
            await paused(here, run)
        async with here.leading():
            await gates(here).decide(Person("ann"), run.id, "gate", True, "")
            assert (await here.over(run)).state == "SUCCEEDED"
        assert [order.name for order in here.orders] == ["add-0", "add-1"]
        assert (await here.said(run)).count("task.paused") == 1


@dataclass
class Waiting:
    """A clock that passes no time, and counts the views of the store that are open meanwhile."""

    views: int = 0
    most: int = -1

    async def __aenter__(self) -> None:
        self.views += 1

    async def __aexit__(self, *error: object) -> None:
        self.views -= 1

    async def sleep(self, seconds: float) -> None:
        self.most = max(self.most, self.views)


async def test_a_decision_that_nobody_carries_out_yet_waits_without_a_view_of_the_store(tmp_path: Path) -> None:
    async with rig(tmp_path, added) as here:
        async with here.leading():
            run = await here.submit(gated())
            await paused(here, run)
        clock = Waiting()
        with pytest.raises(Unavailable, match="the decision is kept"):
            await gates(here, clock=clock).decide(Person("ann"), run.id, "gate", True, "")
        assert clock.most == 0
