"""What a step costs does not grow with its run: counted in bytes and in statements, which no busy machine changes."""

import asyncio
import gc
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, MethodType, ModuleType
from typing import Any

import pytest

from libs.store import lines
from services.pipelines.adapters import pods
from services.pipelines.adapters.live import LiveRun
from services.pipelines.domain.steps.values import StepOrder, StepResult
from tests.services.pipelines.conductor.rig import rig, until, well
from tests.services.pipelines.engine.specs import document, each, graph, step, task

INT = "NUMBER_INTEGER"
FEW, MANY = 100, 400


@dataclass
class Cost:
    """Of a fan whose steps are over and whose last step goes on. `kept` are bytes in memory."""

    kept: int
    statements: int


def fan() -> str:
    """As KFP compiles a loop with a step in it, whose outputs a last step is given."""
    inside = graph({"add": task("add", a="@item")}, {"item": INT}, {"Output": "add.Output"})
    loop = each(task("inside", items="@items"), "item", "items")
    tasks = {"loop": loop, "sum": task("sum", "loop", l=">loop.Output")}
    components = {"add": step({"a": INT}, {"Output": INT}), "inside": inside, "sum": step({"l": "LIST"})}
    return json.dumps(document(tasks, components, inputs={"items": "LIST"}))


async def cost(count: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Cost:
    done, statements, plainly = 0, 0, lines._executed

    def counted(raw: Any, said: Any) -> Any:
        nonlocal statements
        statements += len(said)
        return plainly(raw, said)

    def play(order: StepOrder) -> StepResult:
        nonlocal done
        done += 1
        here.plays = done < count  # the last step's pod is left alone
        return well(order)

    monkeypatch.setattr(lines, "_executed", counted)
    async with rig(folder, play) as here, here.leading():
        run = await here.submit(fan(), {"items": list(range(count))})
        await until(lambda: any(pod.name.startswith("sum") for pod in here.cluster.objects), timeout_s=60)
        live: LiveRun = here.conductor.live[run.id]
        found = Cost(size(live, here.conductor._runs._steps, without=[live.pipeline, live.presence]), statements)
    monkeypatch.undo()
    return found


def size(*roots: Any, without: list[Any]) -> int:
    """Bytes of all that hangs on these."""
    seen, waiting, found = {id(one) for one in without}, list(roots), 0
    while waiting:
        one = waiting.pop()
        if id(one) not in seen and not isinstance(one, type | ModuleType | FunctionType | MethodType):
            seen.add(id(one))
            found += sys.getsizeof(one)
            waiting += gc.get_referents(one)
    return found


async def test_a_step_that_is_over_takes_half_a_kilobyte_and_no_more_statements_in_a_long_run_than_in_a_short_one(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
):
    few = await cost(FEW, tmp_path_factory.mktemp("few"), monkeypatch)
    many = await cost(MANY, tmp_path_factory.mktemp("many"), monkeypatch)
    kept = (many.kept - few.kept) / (MANY - FEW)
    assert kept < 1000, f"{kept:.0f} bytes"
    assert many.statements / MANY < 1.2 * few.statements / FEW, (few, many)


async def test_pods_that_go_while_others_are_cleared_away_end_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pods, "LOOK_S", 0.01)
    async with rig(tmp_path, well) as here:
        here.build()
        keeper = here.conductor.pods

        async def deleted(seen: pods.Seen) -> None:
            keeper._seen.clear()  # the cluster told meanwhile that all are gone

        monkeypatch.setattr(keeper, "_delete", deleted)
        keeper._seen |= {(name, 1): pods.Seen("team", name, "run", over=True, gone_by=0.0) for name in "ab"}
        sweeping = asyncio.create_task(keeper._sweep())
        await until(lambda: not keeper._seen)
        await asyncio.sleep(0)
        assert not sweeping.done()
        sweeping.cancel()
