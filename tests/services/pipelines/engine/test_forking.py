"""What a fork keeps of an earlier run, what a single step needs, and what a dry run tells."""

from dataclasses import replace
from typing import Any

import pytest

from services.pipelines.adapters.spec import canonical
from services.pipelines.domain.engine.forking import Earlier, NoSuchStep, followers, paths_of
from services.pipelines.domain.engine.records import Artifact, State, Values
from services.pipelines.domain.engine.words import RunOptions
from services.pipelines.domain.ir.model import Pipeline
from services.pipelines.domain.ir.reading import read
from services.pipelines.domain.planned import planned
from tests.services.pipelines.engine.specs import document, each, graph, pipeline, step, task
from tests.services.pipelines.engine.world import World, facts

INT = "NUMBER_INTEGER"
ADD = step({"a": INT}, {"Output": INT})


def shop(image: str = "python:3.11") -> Pipeline:
    """make -> loop(prepare -> train) -> report; aside stands alone."""
    body = graph({"prepare": task("add", a="@i"), "train": task("add", a=">prepare.Output")}, {"i": INT})
    tasks = {
        "make": task("add", a="@n"),
        "loop": each(task("body", "make"), "i", "[1, 2]"),
        "report": task("add", "loop", a=1),
        "aside": task("add", a=5),
    }
    said = document(tasks, {"add": ADD, "body": body}, inputs={"n": INT})
    said["deploymentSpec"]["executors"]["exec"]["container"]["image"] = image
    return read(*canonical(said))


def lived(said: Pipeline, n: int = 1, **options: Any) -> World:
    return World(said, facts(said, RunOptions(**options), n=n)).go()


def kept(old: World, new: World, *steps: str) -> set[str]:
    anew = paths_of(new.pipeline, steps)
    earlier = Earlier(old.pipeline, old.records, anew, followers(new.pipeline, anew))
    records = new.records.values()
    return {record.path[5:] for record in records if earlier.kept(new.pipeline, record)}


ALL = {"make", "aside", "report", *(f"loop/{n}/{name}" for n in (0, 1) for name in ("prepare", "train"))}


def test_a_fork_without_a_change_keeps_all_and_one_with_other_inputs_what_does_not_follow_from_them() -> None:
    old = lived(shop())
    assert kept(old, lived(shop())) == ALL
    assert kept(old, lived(shop(), n=2)) == ALL - {"make"}
    assert kept(old, lived(shop("python:3.12"))) == set(), "other code is done again"


def test_from_a_step_on_all_that_follows_is_done_again_and_nothing_else() -> None:
    old, new = lived(shop()), lived(shop())
    assert kept(old, new, "loop/1/prepare") == ALL - {"loop/1/prepare", "loop/1/train", "report"}
    assert kept(old, new, "loop") == {"make", "aside"}
    assert kept(old, new, "make") == {"aside"}


def test_artifacts_are_the_same_if_their_bytes_are() -> None:
    said = pipeline({"a": task("add", a=1)}, {"add": ADD})
    old, new = World(said, facts(said)).go(), World(said, facts(said)).go()

    def given(world: World, uri: str, digest: str) -> None:
        inputs = Values({"a": 1}, {"d": (Artifact("d", uri, digest=digest),)})
        world.records["root/a"] = replace(world.records["root/a"], inputs=inputs)

    given(old, "s3://b/1", "sha256:1")
    given(new, "s3://b/2", "sha256:1")
    assert kept(old, new) == {"a"}
    given(new, "s3://b/2", "sha256:2")
    assert kept(old, new) == set()


def test_a_step_that_there_is_not_is_named_with_those_that_there_are() -> None:
    with pytest.raises(NoSuchStep, match="'loop/1/trian': root/loop/1 has no task 'trian'; it has prepare, train"):
        paths_of(shop(), ["loop/1/trian"])


def test_of_a_run_that_is_for_one_step_only_what_it_needs_is_done() -> None:
    run = lived(shop(), only=frozenset({"root/loop/1/prepare"}))
    assert set(run.ran) == {"make", "loop/1/prepare"}
    assert run.end and run.end.state is State.SUCCEEDED
    assert {run.state(name) for name in ("report", "aside", "loop/1/train")} == {State.SKIPPED}
    assert set(lived(shop(), only=frozenset({"root/report"})).ran) == ALL - {"aside"}
    assert set(lived(shop(), only=frozenset({"root/loop"})).ran) == ALL - {"aside", "report"}


def test_a_plan_tells_what_runs_now_and_what_cannot_be_said_yet() -> None:
    run = World(shop(), facts(shop(), n=1))
    run.advance()
    told = planned(run.pipeline, run.machine.records, {"root/make": "miss: input n changed (1 -> 2)"})
    assert [(each.path, each.decision, each.reason) for each in told] == [
        ("aside", "run", ""),
        ("loop", "later", "after make"),
        ("make", "run", "miss: input n changed (1 -> 2)"),
        ("report", "later", "after loop"),
    ]
