"""Runs that are stopped, or whose time is up: what cleans up after a dsl.ExitHandler still runs, and is told why."""

import random
from typing import Any

import pytest

from services.pipelines.domain.engine.machine import Machine
from services.pipelines.domain.engine.records import Kind, State, TaskRecord
from services.pipelines.domain.engine.words import End, Put, RunOptions, Start, Stop, Terminate
from services.pipelines.domain.ir.model import Pipeline
from tests.services.pipelines.engine.specs import each, graph, pipeline, step, task
from tests.services.pipelines.engine.test_any_run import Maker, outcome
from tests.services.pipelines.engine.world import World, facts, failed

SAY = step({"a": "NUMBER_INTEGER?", "status": "TASK_FINAL_STATUS?"}, {"Output": "NUMBER_INTEGER"})
BODY = "comp-exit-handler-1"
TIDY = task("say", "body", always=True, status="!body")


def guarded(tasks: dict[str, Any] | None = None, **more: Any) -> Pipeline:
    """A body of two steps in a row, `tidy` that cleans up after it, and what else is given."""
    body = {"work": task("say"), "next": task("say", "work")} if tasks is None else tasks
    components = {"say": SAY, BODY: graph(body), **more.pop("components", {})}
    return pipeline({"body": task(BODY), "tidy": TIDY, **more}, components)


def begun(said: Pipeline, **options: Any) -> World:
    run = World(said, facts(said, RunOptions(**options)))
    run.advance()
    return run


def stopped(run: World) -> World:
    run.machine.tell(Terminate())
    run.advance()
    return run


def names(records: list[TaskRecord]) -> list[str]:
    return [record.path.removeprefix("root/") for record in records]


def ended(run: World, path: str) -> World:
    record = next(record for record in run.started if record.path == f"root/{path}")
    run.started.remove(record)
    run.finish(record)
    run.advance()
    return run


def test_a_run_that_is_stopped_cleans_up_and_is_over_then():
    run = stopped(begun(guarded()))
    assert names(run.stopped) == ["body/work"] and names(run.started) == ["body/work", "tidy"]
    assert run.end is None and run.records["root"].state is State.CANCELING
    assert (run.state("body"), run.state("body/work")) == (State.CANCELED, State.CANCELED)
    status = run.records["root/tidy"].inputs.parameters["status"]
    assert (status["state"], status["error"]["code"]) == ("CANCELLED", 1)
    ended(run, "tidy")
    assert run.end and (run.end.state, run.end.error and run.end.error.reason) == (State.CANCELED, "Terminated")
    assert run.state("tidy") is State.SUCCEEDED and "root/body/next" not in run.records


def test_a_second_wish_stops_the_exit_task_too_but_two_at_once_are_one():
    run = begun(guarded())
    run.machine.tell(Terminate())
    stopped(run)
    assert run.end is None and "tidy" in names(run.started)
    stopped(run)
    assert names(run.stopped) == ["body/work", "tidy"]
    assert run.end and run.end.state is State.CANCELED and run.state("tidy") is State.CANCELED


def test_a_run_whose_time_is_up_has_failed_to_its_exit_task_which_has_its_own_time():
    run = begun(guarded(), deadline_s=60, exits_s=30)
    run.advance(60)
    status = run.records["root/tidy"].inputs.parameters["status"]
    assert (status["state"], status["error"]["code"]) == ("FAILED", 4)
    due = run.machine.due()
    assert run.end is None and due is not None and (due - run.now).total_seconds() == 30
    run.advance(29)
    assert run.end is None
    run.advance(1)
    assert run.end and run.end.state is State.FAILED and names(run.stopped)[-1] == "tidy"
    assert run.end.error and run.end.error.message == "the run took longer than 60 s"


def test_an_exit_task_that_runs_already_goes_on():
    run = begun(guarded())
    for path in ("body/work", "body/next"):
        ended(run, path)
    stopped(run)
    assert names(run.stopped) == [] and run.end is None
    ended(run, "tidy")
    assert run.end and run.end.state is State.CANCELED
    assert run.records["root/tidy"].inputs.parameters["status"]["state"] == "SUCCEEDED"


def test_what_has_not_begun_needs_no_cleaning_up_and_work_that_always_runs_is_none():
    run = stopped(begun(pipeline(
        {"first": task("say"), "body": task(BODY, "first"), "tidy": TIDY,
         "report": task("say", "first", always=True)},
        {"say": SAY, BODY: graph({"work": task("say")})},
    )))  # fmt: skip
    assert run.end and set(run.records) == {"root", "root/first"}


def test_inner_exit_tasks_come_before_outer_ones_in_every_iteration():
    inner = {"inner": task("comp-exit-handler-2"), "clear": task("say", "inner", always=True, status="!inner")}
    said = guarded(
        {"loop": each(task("iteration"), "i", "[1, 2, 3]", 2)},
        components={
            "iteration": graph(inner, {"i": "NUMBER_INTEGER"}),
            "comp-exit-handler-2": graph({"work": task("say")}),
        },
    )
    run = stopped(begun(said))
    assert names(run.started)[-2:] == ["body/loop/0/clear", "body/loop/1/clear"]
    ended(run, "body/loop/1/clear")
    assert "root/tidy" not in run.records and run.state("body/loop/1") is State.CANCELED
    ended(run, "body/loop/0/clear")
    assert run.state("body/loop") is State.CANCELED and "root/body/loop/2" not in run.records
    ended(run, "tidy")
    assert run.end and run.end.state is State.CANCELED


def test_an_exit_task_that_is_a_pipeline_runs_whole_with_its_retries():
    components = {"say": SAY, BODY: graph({"work": task("say")}), "tidying": graph({
        "one": task("say"), "two": task("say", "one"), "three": task("say", "two", always=True)})}  # fmt: skip
    said = pipeline({"body": task(BODY), "tidy": task("tidying", "body", always=True)}, components)
    run = stopped(begun(said))
    for path in ("tidy/one", "tidy/two", "tidy/three"):
        assert run.end is None
        ended(run, path)
    assert run.end and run.state("tidy") is State.SUCCEEDED


def test_an_exit_task_that_is_a_pipeline_runs_whole_also_after_a_failure_that_is_to_end_the_run_fast():
    components = {"say": SAY, BODY: graph({"work": task("say")}),
                  "tidying": graph({"one": task("say"), "l": each(task("say", "one"), "a", "[1, 2]", 1)})}  # fmt: skip
    said = pipeline({"body": task(BODY), "tidy": task("tidying", "body", always=True)}, components)
    run = World(said, facts(said, RunOptions(fail_fast=True)), {"work": lambda record: failed()}).go()
    assert run.ran == ["body/work", "tidy/one", "tidy/l/0", "tidy/l/1"]
    assert run.state("tidy") is State.SUCCEEDED and run.end and run.end.state is State.FAILED


def test_a_stopped_run_that_is_taken_up_again_cleans_up_again():
    run = ended(stopped(begun(guarded())), "tidy")
    run.machine.retry()
    run.started, run.end = [], None
    run.go()
    assert run.end and run.end.state is State.SUCCEEDED
    assert run.ran == ["tidy", "body/work", "body/next", "tidy"] and run.records["root/tidy"].attempt == 2


class Guarding(Maker):
    """Pipelines by chance with bodies that are cleaned up after, at every depth."""

    def inner(self, depth: int, number: str, after: list[str]) -> dict[str, Any]:
        said = super().inner(depth, number, after)
        name = said["componentRef"]["name"]
        if self.chance.random() < 0.6:
            self.components[f"comp-exit-handler-{name}"] = self.components[name]
            said["componentRef"]["name"] = f"comp-exit-handler-{name}"
        return said

    def tasks(self, depth: int, number: str) -> dict[str, Any]:
        made = super().tasks(depth, number)
        for name in [name for name, said in made.items() if "exit-handler" in said["componentRef"]["name"]]:
            component = "add" if self.chance.random() < 0.7 or depth < 2 else self.tidying(depth, number)
            given = {"a": f"@{number}"} if component == "add" else {"i": f"@{number}", "l": "@l"}
            made[f"{name}-exit"] = task(component, name, always=True, **given)
        return made

    def tidying(self, depth: int, number: str) -> str:
        name = f"tidying-{len(self.components)}"
        self.components[name] = {}
        self.components[name] = graph(Maker.tasks(self, 0, "i"), {"i": "NUMBER_INTEGER", "l": "LIST"})
        return name


def guarding(seed: int) -> World:
    said = Guarding(random.Random(seed)).pipeline()
    options = RunOptions(fail_fast=seed % 5 == 0, losses_max=1, deadline_s=11 if seed % 3 == 0 else None, exits_s=17)
    every = {name: lambda record: outcome(seed, record) for name in _tasks(said)}
    return World(said, facts(said, options, n=3, l=[5, 6, 7]), every)


def _tasks(said: Pipeline) -> set[str]:
    return {name for component in said.components.values() if component.dag for name in component.dag.tasks}


def told(decided: list[Any]) -> list[str]:
    """What a turn came to, in no order."""
    puts = {one.record.path: str(one.record.to_json()) for one in decided if isinstance(one, Put)}
    more = [(type(one).__name__, one.record.path) for one in decided if isinstance(one, Start | Stop)]
    return [*map(str, sorted(puts.items())), *map(str, sorted(more)), *(str(e) for e in decided if isinstance(e, End))]


@pytest.mark.parametrize("seed", range(100))
def test_a_halted_machine_that_is_loaded_at_every_step_decides_as_the_one_that_lives_on(seed: int) -> None:
    run, chance, wishes = guarding(seed), random.Random(seed), 0
    lived = run.machine
    while run.end is None:
        loaded = Machine.load(run.pipeline, run.run, run.records.values())
        seconds = 0.0
        if run.started and chance.random() < 0.8:
            record = run.started.pop(chance.randrange(len(run.started)))
            for run.machine in (lived, loaded):
                run.finish(record)
        elif wishes < 2 and chance.random() < 0.2 * (1 - 0.8 * wishes):
            wishes += 1
            for each_ in (lived, loaded):
                each_.tell(Terminate())
        else:
            due = lived.due()
            assert due == loaded.due() and (due or run.started or not run.records)
            seconds = (due - run.now).total_seconds() if due and not run.started else chance.random()
        run.machine = loaded
        decided, other = run.advance(seconds), lived.advance(run.now)
        run.machine = lived
        found = Machine.load(run.pipeline, run.run, run.records.values())
        assert {r.path for r in found.active()} == {r.path for r in lived.active()}
        assert told(decided) == told(other)
        run.started = [record for record in run.started if lived.expects(record.path, record.attempt)]
    check(run, gave_up=wishes > 1 or run.end.state is State.FAILED)


def check(run: World, gave_up: bool) -> None:
    book = run.machine._book
    for record in run.records.values():
        assert record.over, record
        task = book.task_of(record) if record.iteration is None else None
        body = next((run.records.get(f"{record.parent}/{name}") for name in task.upstream), None) if task else None
        if task and task.exits and body:
            assert body.ended_at and record.created_at and body.ended_at <= record.created_at
    if gave_up:
        return
    for record in run.records.values():
        for name, task in book.dag_of(record).tasks.items() if record.kind is Kind.DAG and record.started_at else ():
            upstream = [one for each in task.upstream if (one := run.records.get(f"{record.path}/{each}"))]
            if task.exits and any(one.started_at for one in upstream) and "-exit" not in record.path:
                found = run.records[f"{record.path}/{name}"]
                assert found.state in (State.SUCCEEDED, State.FAILED) or found.reason == "ConditionFalse", found
