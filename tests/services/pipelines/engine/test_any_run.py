"""Properties of all runs: pipelines made by chance, whose steps fail by chance, told of in any order, with machines
that die at any moment and are loaded again from whatever was stored."""

import random
import time
from typing import Any

import pytest

from services.pipelines.domain.engine import progress
from services.pipelines.domain.engine.book import Book
from services.pipelines.domain.engine.machine import Machine
from services.pipelines.domain.engine.records import Kind, Outputs, State, TaskRecord
from services.pipelines.domain.engine.words import Decision, Failed, Put, RunOptions, Start, Stop, Succeeded, Terminate
from services.pipelines.domain.ir.model import Pipeline
from tests.services.pipelines.engine.specs import each, graph, pipeline, retried, step, task
from tests.services.pipelines.engine.world import World, facts, failed

INT = "NUMBER_INTEGER"
ADD = step({"a": INT, "b": f"{INT}?", "status": "TASK_FINAL_STATUS?"}, {"Output": INT})
SEEDS = range(120)


class Maker:
    """A pipeline by chance: tasks, loops with limits, conditions, exit tasks, graphs in graphs."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.components: dict[str, Any] = {"add": ADD, "sum": step({"l": "LIST"}, {"Output": INT})}

    def pipeline(self) -> Pipeline:
        return pipeline(self.tasks(2, "n"), self.components, inputs={"n": INT, "l": "LIST"})

    def tasks(self, depth: int, number: str) -> dict[str, Any]:
        made: dict[str, Any] = {}
        plain: list[str] = []
        for index in range(self.chance.randint(1, 6)):
            name = f"t{index}"
            after = self.chance.sample(sorted(made), min(len(made), self.chance.choice((0, 0, 1, 2))))
            kind = self.chance.random()
            if depth and kind < 0.3:
                made[name] = self.inner(depth, number, after)
            else:
                made[name] = self.step(number, plain, after)
                plain.append(name)
        return made

    def step(self, number: str, plain: list[str], after: list[str]) -> dict[str, Any]:
        source = f">{self.chance.choice(plain)}.Output" if plain and self.chance.random() < 0.5 else f"@{number}"
        always = bool(after) and self.chance.random() < 0.25
        when = "" if self.chance.random() < 0.8 else f"inputs.parameter_values['a'] < {self.chance.randint(0, 9)}"
        more = {"status": f"!{after[0]}"} if always else {}
        said = task("add", *after, always=always, when=when, a=f"@{number}" if always else source, **more)
        return retried(said, self.chance.randint(1, 2), "5s") if self.chance.random() < 0.3 else said

    def inner(self, depth: int, number: str, after: list[str]) -> dict[str, Any]:
        name = f"g{len(self.components)}"
        self.components[name] = {}
        self.components[name] = graph(self.tasks(depth - 1, "i"), {"i": INT, "l": "LIST"})
        if self.chance.random() < 0.5:
            return task(name, *after, i=f"@{number}", l="@l")
        items = "l" if self.chance.random() < 0.5 else str(list(range(self.chance.randint(0, 4))))
        return each(task(name, *after, l="@l"), "i", items, self.chance.randint(0, 2))


def outcome(seed: int, record: TaskRecord) -> Succeeded | Failed:
    """The same for the same attempt, whoever asks."""
    chance = random.Random(f"{seed} {record.path} {record.attempt}")
    if chance.random() < 0.12:
        return failed(lost=chance.random() < 0.5)
    return Succeeded(Outputs({"Output": chance.randint(0, 9)}))


def made(seed: int) -> World:
    chance = random.Random(seed)
    said = Maker(chance).pipeline()
    options = RunOptions(fail_fast=seed % 5 == 0, losses_max=1)
    run = facts(said, options, n=3, l=[5, 6, 7])
    return World(said, run, {name: lambda record: outcome(seed, record) for name in (f"t{n}" for n in range(6))})


def live(run: World, chance: random.Random, dies: bool) -> World:
    """The run in the order that chance wills, by machines that let go of what is stored; `dies`: a new one is loaded
    now and then, at times from a part of what the last one had decided."""
    run.advance()
    while run.end is None:
        if dies and chance.random() < 0.5:
            run.machine = Machine.load(run.pipeline, run.run, run.records.values())
            waiting = {(record.path, record.attempt) for record in run.machine.active()}
            assert waiting == {(record.path, record.attempt) for record in run.started}
            decided = _decide(run, 0.0)
            _store(run, decided, len(decided))
            if run.end is not None:
                break
        if not run.started:
            due = run.machine.due()
            assert due is not None, "the run stands still"
            decided = _decide(run, (due - run.now).total_seconds())
        else:
            for _ in range(chance.randint(1, min(3, len(run.started)))):
                run.finish(run.started.pop(chance.randrange(len(run.started))))
            decided = _decide(run, 0.0)
        kept = chance.randint(0, len(decided)) if dies and chance.random() < 0.2 else len(decided)
        _store(run, decided, kept)
    return run


def _decide(run: World, seconds: float) -> list[Decision]:
    before = (dict(run.records), list(run.started), list(run.stopped), run.end)
    decided = run.advance(seconds)
    run.records, run.started, run.stopped, run.end = before
    return decided


def _store(run: World, decided: list[Decision], kept: int) -> None:
    """Only the first `kept` decisions were stored, then the machine died: the next one goes on from there."""
    run.note(decided[:kept])
    if kept < len(decided):
        run.machine = Machine.load(run.pipeline, run.run, run.records.values())
        run.started = run.machine.active()
        run.advance()
        run.started = run.machine.active()
    run.machine.let_go(run.records)


def whole(run: World) -> dict[str, tuple[Any, ...]]:
    """What is to be the same however the run was lived."""
    return {
        record.path: (record.state, record.attempt, record.inputs, record.outputs, record.reason)
        for record in run.records.values()
    }


@pytest.mark.parametrize("seed", SEEDS)
def test_a_machine_that_is_loaded_decides_as_the_one_that_lived_through_it(seed: int) -> None:
    straight = made(seed).go()
    broken = live(made(seed), random.Random(seed + 1), dies=True)
    assert straight.end and broken.end and broken.end.state is straight.end.state
    if not straight.run.options.fail_fast:  # which of them fails first is a matter of luck
        assert whole(broken) == whole(straight)
    check_order(straight)
    check_order(broken)


def check_order(run: World) -> None:
    """Nothing began before its upstream had ended, and nothing that is over has anything open inside."""
    book = Book(run.pipeline, run.run, run.records.values())
    for record in run.records.values():
        assert record.over, record
        task = None if record.iteration is not None else book.task_of(record)
        for name in task.upstream if task else ():
            upstream = run.records[f"{record.parent}/{name}"]
            assert upstream.ended_at and record.created_at and upstream.ended_at <= record.created_at
            if record.state is not State.SKIPPED and task and not task.always:
                assert upstream.state is State.SUCCEEDED
    loops = [record for record in run.records.values() if record.kind is Kind.LOOP and record.state is State.SUCCEEDED]
    assert all(
        run.records[f"{loop.path}/{n}"].state is State.SUCCEEDED
        for loop in loops
        for n in range(len(book.items_of(loop)))
    )


@pytest.mark.parametrize("seed", SEEDS[::3])
def test_a_machine_that_decides_in_small_parts_comes_to_the_same(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    straight = made(seed).go()
    monkeypatch.setattr(progress, "DECISIONS_MAX", 1 + seed % 5)
    for parts in (made(seed).go(), live(made(seed), random.Random(seed + 1), dies=True)):
        assert straight.end and parts.end and parts.end.state is straight.end.state
        if not straight.run.options.fail_fast:
            assert whole(parts) == whole(straight)
        check_order(parts)


@pytest.mark.parametrize("seed", SEEDS[::6])
def test_a_run_that_is_stopped_anywhere_and_taken_up_again_comes_to_its_end(seed: int) -> None:
    run, chance = made(seed), random.Random(seed)
    run.advance()
    for _ in range(chance.randrange(max(1, len(run.started)))):  # so that it is not over yet
        run.finish(run.started.pop())
        run.advance()
    assert run.end is None
    run.machine.tell(Terminate())
    decided = run.advance()
    stopped = {decision.record.path for decision in decided if isinstance(decision, Stop)}
    assert stopped == {record.path for record in run.started}
    assert not any(isinstance(decision, Start) for decision in decided)
    done = {path: record for path, record in run.records.items() if record.state is State.SUCCEEDED}
    run.started, run.end, run.steps = [], None, dict.fromkeys(run.steps, _works)
    run.machine.retry()
    live(run, chance, dies=True)
    assert run.end and run.end.state is State.SUCCEEDED
    assert all(record.over and not record.waiting for record in run.records.values())
    kept = [path for path, record in done.items() if record.kind is Kind.STEP and run.records[path] == record]
    after = [path for path in done if path not in kept and done[path].kind is Kind.STEP]
    assert all(run.records[path].attempt > done[path].attempt for path in after)


def _works(record: TaskRecord) -> Succeeded:
    return Succeeded(Outputs({"Output": 1}))


def seconds_per_step(steps: int) -> float:
    components = {"add": ADD, "body": graph({"x": task("add", a="@i"), "y": task("add", a=">x.Output")}, {"i": INT})}
    said = pipeline(
        {"l": each(task("body"), "i", "l", 10)} | {"l": each(task("body", l="@l"), "i", "l", 10)},
        {
            **components,
            "body": graph({"x": task("add", a="@i"), "y": task("add", a=">x.Output")}, {"i": INT, "l": "LIST"}),
        },
        inputs={"l": "LIST"},
    )
    run = World(said, facts(said, l=list(range(steps // 2))), {"x": _works, "y": _works})
    began = time.process_time()
    run.go()
    assert len(run.ran) == steps
    return (time.process_time() - began) / steps


def test_a_step_of_a_run_of_ten_thousand_costs_what_one_of_a_few_hundred_costs() -> None:
    few = min(seconds_per_step(400) for _ in range(3))
    assert seconds_per_step(10_000) < 3 * few


def test_no_decision_of_a_long_loop_touches_more_than_what_changed() -> None:
    said = pipeline({f"t{n:04}": task("add", a=1) for n in range(2000)}, {"add": ADD})
    run = World(said, facts(said))
    while not run.started or run.machine.due():
        run.advance()
    run.finish(run.started.pop())
    assert [type(decision) for decision in run.advance()] == [Put, Put]
