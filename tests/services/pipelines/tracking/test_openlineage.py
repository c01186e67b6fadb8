"""A consumer of OpenLineage's events hears of each run and task, in order, through its own absences and our crashes."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from libs.store import trim
from services.pipelines.adapters.tracking import calling, following
from services.pipelines.adapters.tracking.calling import Caller
from services.pipelines.adapters.tracking.following import Following
from services.pipelines.adapters.tracking.sinks import OpenLineage
from services.pipelines.domain.engine.records import Artifact, Kind, State, TaskRecord, Values
from services.pipelines.domain.runs import Run, RunOptions
from services.pipelines.domain.steps.values import StepOrder, StepResult
from services.pipelines.domain.tracking import openlineage
from tests.services.pipelines.conductor.rig import Rig, added, chain, failed, rig, until
from tests.services.pipelines.tracking.receiver import Receiver, receiver

AT = "2026-01-01T00:00:00.000000Z"
RUN = Run(
    "r", "team", "nightly", "sha256:1", "digits", "RUNNING", "AVAILABLE", {}, "", "", "", "", "", "", "", RunOptions(),
    "", (), 0, 0,
)  # fmt: skip


def task(**more: Any) -> TaskRecord:
    given: dict[str, Any] = {"state": State.SUCCEEDED, "created_at": datetime(2026, 1, 1, tzinfo=UTC)}
    fixed = {"path": "root/for-loop-1/3/train", "uid": "t", "parent": "root", "name": "train", "display_name": "train"}
    return TaskRecord(**{**fixed, "kind": Kind.STEP, "component": "comp", **given, **more})


@asynccontextmanager
async def told(here: Rig, to: Receiver) -> AsyncIterator[None]:
    sink = OpenLineage(here.ports.store, Caller(to.url, "key"), "api/v1/lineage")
    loop = asyncio.ensure_future(Following(here.ports.store, here.ports.clock, sink).run())
    await asyncio.sleep(0.05)
    try:
        yield
    finally:
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)


def words(to: Receiver) -> list[tuple[str, str]]:
    return [(event["eventType"], event["job"]["name"]) for _, event in to.got]


async def test_a_run_and_its_tasks_begin_and_end_below_it(tmp_path: Path):
    async with rig(tmp_path, added) as here, here.leading(), receiver() as to, told(here, to):
        run = await here.over(await here.submit(chain(2)))
        await until(lambda: len(to.got) == 6)
        first, second = "chain.add-0", "chain.add-1"
        assert words(to) == [
            ("START", "chain"), ("START", first), ("COMPLETE", first), ("START", second), ("COMPLETE", second),
            ("COMPLETE", "chain"),
        ]  # fmt: skip
        assert {path for path, _ in to.got} == {"/api/v1/lineage"} and to.keys == {"Bearer key"}
        parents = {event["run"]["facets"]["parent"]["run"]["runId"] for _, event in to.got[1:5]}
        assert parents == {run.id} == {event["run"]["runId"] for _, event in (to.got[0], to.got[5])}
        assert to.got[1][1]["run"]["runId"] == to.got[2][1]["run"]["runId"]


async def test_a_failure_says_why_and_a_cached_step_begins_and_ends(tmp_path: Path):
    def play(order: StepOrder) -> StepResult:
        return failed("no such column") if order.name == "add-1" else added(order)

    async with rig(tmp_path, play) as here, here.leading(), receiver() as to, told(here, to):
        await here.over(await here.submit(chain(2)))
        await here.over(await here.submit(chain(2)))
        await until(lambda: words(to).count(("FAIL", "chain")) == 2)
        assert words(to).count(("START", "chain.add-0")) == words(to).count(("COMPLETE", "chain.add-0")) == 2
        messages = [event["run"]["facets"]["errorMessage"] for _, event in to.got if event["eventType"] == "FAIL"]
        assert all("no such column" in found["message"] for found in messages) and len(messages) == 4


async def test_who_is_away_is_asked_again_and_misses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(following, "AGAIN_S", 0.01)
    async with rig(tmp_path, added) as here, here.leading(), receiver() as to, told(here, to):
        to.answers = [503, 429, 200, 500]
        await here.over(await here.submit(chain(1)))
        await until(lambda: len(to.got) == 4)
        assert [word for word, _ in words(to)] == ["START", "START", "COMPLETE", "COMPLETE"]


async def test_what_is_refused_is_passed_over_and_a_follower_that_dies_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(following, "KEEP_S", 0.0)
    async with rig(tmp_path, added) as here, here.leading(), receiver() as to:
        async with told(here, to):
            to.answers = [400]
            await here.over(await here.submit(chain(1)))
            await until(lambda: len(to.got) == 3)
        await here.over(await here.submit(chain(1, value=5)))
        async with told(here, to):
            await until(lambda: len(distinct(to)) == 7)
        assert words(to)[0] == ("START", "chain.add-0"), "the refused one was the run's"
        assert all(len(bodies) == 1 for bodies in distinct(to).values()), "what comes twice is the same"


async def test_a_run_that_another_replica_carries_while_this_one_starts_is_told_of_from_its_beginning(tmp_path: Path):
    async with rig(tmp_path, added) as here, here.leading(), receiver() as to:
        store, clock = here.ports.store, here.ports.clock
        await Following(store, clock, OpenLineage(store, Caller(to.url, "key"), "api/v1/lineage")).begin()
        await here.over(await here.submit(chain(1)))
        async with told(here, to):
            await until(lambda: len(to.got) == 4)
        assert words(to)[0] == ("START", "chain")


async def test_who_was_away_for_longer_than_the_change_log_reaches_back_goes_on_from_where_it_does(tmp_path: Path):
    async with rig(tmp_path, added) as here, here.leading(), receiver() as to:
        async with told(here, to):
            pass  # its place is kept
        await here.over(await here.submit(chain(1)))
        await trim(here.ports.store, keep_rows=1)
    async with rig(tmp_path, added) as here, here.leading(), receiver() as to, told(here, to):
        await here.over(await here.submit(chain(1, value=5)))
        await until(lambda: ("COMPLETE", "chain") in words(to))
        assert words(to).count(("START", "chain")) == 1


async def test_the_place_is_kept_now_and_then_and_not_for_each_letter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    keep, places = Following._keep, []

    async def noted(self: Following, seq: int) -> None:
        await keep(self, seq)
        places.append(seq)

    monkeypatch.setattr(Following, "_keep", noted)
    monkeypatch.setattr(following, "KEEP_S", 0.3)
    async with rig(tmp_path, added) as here, here.leading(), receiver() as to, told(here, to):
        await here.over(await here.submit(chain(5)))
        await until(lambda: len(to.got) == 12)
        async with here.ports.store.read() as reader:
            last = await reader.last_seq()
        await until(lambda: places[-1:] == [last])
        await asyncio.sleep(0.4)
    assert len(places) < 12 and places == sorted(set(places)), "at rest nothing is written"


async def test_a_consumer_may_answer_in_any_words(tmp_path: Path):
    async with rig(tmp_path, added) as here, here.leading(), receiver() as to, told(here, to):
        to.says = b"OK, got it"
        await here.over(await here.submit(chain(1)))
        await until(lambda: len(to.got) == 4)
        assert len(distinct(to)) == 4, "none is told twice"


@pytest.mark.parametrize("says", [b"[" * 200_000, b"<html>Log in</html>", b"[1]", b'"' + b"x" * (3 << 20)])
async def test_an_answer_that_is_no_small_object_in_json_is_that_of_somebody_who_is_away(says: bytes):
    async with receiver() as to:
        to.says = says
        with pytest.raises(following.Away, match=r"POST here: \w+: no object in JSON"):
            await Caller(to.url).call("POST", "here", {})


async def test_no_more_is_read_of_an_answer_than_one_may_hold(monkeypatch: pytest.MonkeyPatch):
    read: list[int] = []
    monkeypatch.setattr(calling, "ANSWER_MAX", 1000)
    monkeypatch.setattr(calling.json, "loads", lambda told: read.append(len(told)) or {})
    async with receiver() as to:
        to.says = b" " * (64 << 20)
        assert await Caller(to.url).call("POST", "here", {}) == {}
    assert read[0] < 8 << 20


async def test_a_refusal_in_letters_that_nobody_can_read_is_one():
    async with receiver() as to:
        to.says, to.answers = b"\xff\xfe no", [400]
        with pytest.raises(following.Refused, match="HTTP 400"):
            await Caller(to.url).tell("here", {})


async def test_an_answer_that_nobody_understands_is_passed_over(tmp_path: Path):
    class Odd:
        name, heard = "odd", 0

        async def take(self, said: following.Said) -> None:
            self.heard += 1
            raise KeyError("experiment_id")

    odd = Odd()
    async with rig(tmp_path, added) as here, here.leading():
        loop = asyncio.ensure_future(Following(here.ports.store, here.ports.clock, odd).run())
        await asyncio.sleep(0.05)
        await here.over(await here.submit(chain(1)))
        await until(lambda: odd.heard >= 5)
        assert not loop.done()
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)


def distinct(to: Receiver) -> dict[tuple[str, str], set[str]]:
    """The bodies of each event: a follower that dies between telling and noting it tells once more."""
    found: dict[tuple[str, str], set[str]] = {}
    for _, event in to.got:
        found.setdefault((event["eventType"], event["run"]["runId"]), set()).add(json.dumps(event))
    return found


def test_datasets_are_named_by_their_store_and_their_path_with_their_digest():
    model = Artifact("model", "s3://bucket/runs/1/model", "system.Model", digest="sha256:9f")
    log = Artifact("executor-logs", "s3://bucket/log")
    outputs = Values(artifacts={"model": (model,), "again": (model,), "executor-logs": (log,)})
    [event] = openlineage.of_task(RUN, task(outputs=outputs), "succeeded", AT)
    [made] = event["outputs"]
    assert (made["namespace"], made["name"]) == ("s3://bucket", "runs/1/model")
    assert made["facets"]["version"]["datasetVersion"] == "sha256:9f"
    assert event["job"] == {
        "namespace": "millstream/team", "name": "digits.for-loop-1.train", "facets": event["job"]["facets"],
    }  # fmt: skip


@pytest.mark.parametrize(("uri", "place"), [
    ("https://data.example.org/x.csv", ("https://data.example.org", "x.csv")),
    ("/pipeline/x.csv", ("file", "pipeline/x.csv")),
    ("gs://bucket", ("gs://bucket", "/")),
])  # fmt: skip
def test_what_lies_elsewhere_is_named_as_well(uri: str, place: tuple[str, str]):
    made = openlineage.dataset(Artifact("x", uri))
    assert (made["namespace"], made["name"]) == place and "version" not in made["facets"]


def test_a_second_attempt_does_not_begin_the_task_again_and_what_has_no_word_is_not_told():
    assert openlineage.of_task(RUN, task(attempt=2, state=State.RUNNING), "started", AT) == []
    assert openlineage.of_task(RUN, task(), "skipped", AT) == openlineage.of_run(RUN, "archived", AT) == []
    assert [event["eventType"] for event in openlineage.of_task(RUN, task(), "retried", AT, "lost")] == ["OTHER"]
