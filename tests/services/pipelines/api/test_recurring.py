"""Recurring runs: one run for each moment of a schedule, caught up with or not, never more at a time than wanted."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from services.pipelines.domain.catalog import macros
from services.pipelines.domain.catalog.forms import CronSchedule, PeriodicSchedule, Trigger
from services.pipelines.domain.catalog.schedules import schedule
from services.pipelines.domain.engine.records import Kind, State, TaskRecord
from services.pipelines.domain.engine.words import RunFacts
from services.pipelines.domain.ir.model import Pipeline
from services.pipelines.domain.ir.problems import SpecError
from services.pipelines.domain.runs import SUCCEEDED
from services.pipelines.domain.steps.order import facts
from services.pipelines.handlers.clockwork import Clockwork
from tests.services.pipelines.api.conftest import Server, refused
from tests.services.pipelines.api.test_runs import SIMPLE, simple

START = datetime(2026, 1, 1, tzinfo=UTC)


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def asked(**more: Any) -> dict[str, Any]:
    return {
        "display_name": "nightly",
        "pipeline_spec": simple(),
        "runtime_config": {"parameters": {"name": "x"}},
        "trigger": {"periodic_schedule": {"interval_second": 60}},
        "max_concurrency": "1",
        "mode": "ENABLE",
        **more,
    }


async def scheduled(server: Server) -> list[str]:
    """The moments for which runs were started, as minutes and seconds."""
    found = await server.get("/runs", sort_by="scheduled_at", page_size=100)
    return [run["scheduled_at"][14:19] for run in found["runs"]]


async def ended(server: Server) -> None:
    """All runs succeed."""
    for run in (await server.get("/runs", page_size=100))["runs"]:
        async with server.ports.store.write() as uow:
            await uow.rows("UPDATE pipeline_runs SET state = ?2 WHERE id = ?1 RETURNING id", run["run_id"], SUCCEEDED)


def test_the_moments_of_cron_have_seconds_and_lie_between_start_and_end():
    cron = CronSchedule(
        cron="*/20 30 9 * * MON-FRI", start_time="2026-01-02T09:30:20Z", end_time="2026-01-05T09:30:00Z"
    )
    found = schedule(Trigger(cron_schedule=cron))
    moments, at = [], ms("2026-01-01T00:00:00Z")
    while (following := found.after(at, 0)) is not None:
        at = following
        moments.append(at)
    told = ["2026-01-02T09:30:20Z", "2026-01-02T09:30:40Z", "2026-01-05T09:30:00Z"]
    assert moments == [ms(text) for text in told]
    assert found.latest(moments[0], ms("2026-02-01T00:00:00Z"), 0) == moments[-1]


def test_a_cron_may_name_its_time_zone_and_keeps_its_hour_when_clocks_change():
    found = schedule(Trigger(cron_schedule=CronSchedule(cron="TZ=Europe/Berlin 0 30 9 * * *")))
    before, after = ms("2026-03-28T08:30:00Z"), ms("2026-03-29T07:30:00Z")
    assert (found.after(ms("2026-03-28T00:00:00Z"), 0), found.after(before, 0)) == (before, after)
    assert found.latest(before, ms("2026-03-29T12:00:00Z"), 0) == after


def test_a_cron_may_say_how_often():
    found = schedule(Trigger(cron_schedule=CronSchedule(cron="@every 1h30m")))
    assert found.after(0, 0) == 5_400_000


@pytest.mark.parametrize(
    ("cron", "told"),
    [("@every soon", "as in 1h30m"), ("@every 0s", "a second or more"), ("TZ=Nowhere 0 0 * * * *", "no time zone")],
)
def test_a_cron_that_says_neither_is_refused(cron: str, told: str):
    with pytest.raises(SpecError, match=f"trigger.cron_schedule.cron: .*{told}"):
        schedule(Trigger(cron_schedule=CronSchedule(cron=cron)))


def test_the_moments_of_an_interval_count_from_its_start():
    found = schedule(Trigger(periodic_schedule=PeriodicSchedule(interval_second="90")))
    created = ms("2026-01-01T00:00:10Z")
    assert found.after(created, created) == created + 90_000
    assert found.latest(created, created + 1_000_000, created) == created + 990_000


async def test_a_run_is_started_for_each_moment_when_it_comes(server: Server):
    made = await server.post("/recurringruns", asked(max_concurrency="10"))
    assert (made["status"], made["trigger"]) == ("ENABLED", {"periodic_schedule": {"interval_second": "60"}})
    clockwork = Clockwork(server.means)
    assert await clockwork.tick() == 0
    assert await clockwork.rest_s() == 1.0
    await server.clock.advance(59.75)
    assert await clockwork.rest_s() == 0.25, "it is looked at when it is due"
    await server.clock.advance(0.25)
    assert await clockwork.tick() == 1
    for _ in range(2):
        await server.clock.advance(60)
        assert [await clockwork.tick(), await clockwork.tick()] == [1, 0]
    assert await scheduled(server) == ["01:00", "02:00", "03:00"]
    [run, *_] = (await server.get("/runs", sort_by="created_at"))["runs"]
    assert (run["recurring_run_id"], run["display_name"]) == (made["recurring_run_id"], "nightly 2026-01-01 00-01-00")


@pytest.mark.parametrize(
    ("trigger", "no_catchup", "moments"),
    [
        ({"periodic_schedule": {"interval_second": 60}}, False, ["56:30", "57:30", "58:30"]),
        ({"periodic_schedule": {"interval_second": 60}}, True, ["58:30"]),
        ({"cron_schedule": {"cron": "0 * * * * *"}}, False, ["56:00", "57:00", "58:00", "59:00"]),
        ({"cron_schedule": {"cron": "30 * * * * *"}}, True, ["58:30"]),
    ],
)
async def test_what_lies_between_a_start_in_the_past_and_now_is_made_up_for(
    server: Server, trigger: dict[str, Any], no_catchup: bool, moments: list[str]
):
    [(kind, told)] = trigger.items()
    span = {"start_time": "2025-12-31T23:55:30Z", "end_time": "2025-12-31T23:59:00Z"}
    more = {"max_concurrency": "10", "no_catchup": no_catchup, "trigger": {kind: {**told, **span}}}
    held = await server.post("/recurringruns", asked(mode="DISABLE", **more))
    await server.post(f"/recurringruns/{held['recurring_run_id']}:enable")
    clockwork = Clockwork(server.means)
    while await clockwork.tick():
        pass
    assert await scheduled(server) == moments
    again = await server.post("/recurringruns", asked(**more))
    while await clockwork.tick():
        pass
    assert await scheduled(server) == sorted(moments * 2), "also of one that begins enabled"
    assert (await server.get(f"/recurringruns/{again['recurring_run_id']}"))["status"] == "ENABLED"


async def test_two_leaders_at_once_start_one_run(server: Server):
    await server.post("/recurringruns", asked(max_concurrency="10"))
    await server.clock.advance(60)
    assert sum(await asyncio.gather(*(Clockwork(server.means).tick() for _ in range(4)))) == 1
    assert await scheduled(server) == ["01:00"]


async def test_missed_moments_are_caught_up_with_one_at_a_time(server: Server):
    await server.post("/recurringruns", asked())
    await server.clock.advance(200)
    clockwork = Clockwork(server.means)
    assert [await clockwork.tick(), await clockwork.tick()] == [1, 0], "no overlap"
    for _ in range(3):
        await ended(server)
        await clockwork.tick()
    assert await scheduled(server) == ["01:00", "02:00", "03:00"]


async def test_without_catching_up_only_the_latest_missed_moment_counts(server: Server):
    await server.post("/recurringruns", asked(no_catchup=True, max_concurrency="5"))
    await server.clock.advance(200)
    clockwork = Clockwork(server.means)
    assert [await clockwork.tick(), await clockwork.tick()] == [1, 0]
    await server.clock.advance(60)
    await clockwork.tick()
    assert await scheduled(server) == ["03:00", "04:00"]


async def test_a_disabled_one_rests_and_goes_on_where_it_was(server: Server):
    body = asked(trigger={"cron_schedule": {"cron": "0 * * * * *"}}, max_concurrency=3)
    id = (await server.post("/recurringruns", body))["recurring_run_id"]
    await server.post(f"/recurringruns/{id}:disable")
    await server.clock.advance(130)
    clockwork = Clockwork(server.means)
    assert await clockwork.tick() == 0
    assert (await server.get(f"/recurringruns/{id}"))["status"] == "DISABLED"
    await server.post(f"/recurringruns/{id}:enable")
    while await clockwork.tick():
        pass
    assert await scheduled(server) == ["01:00", "02:00"]
    await server.delete(f"/recurringruns/{id}")
    assert (await server.get("/recurringruns")).get("recurringRuns") == []
    said = [each for each in await server.said() if "recurringrun" in each]
    assert [each.split(".")[2] for each in said] == ["created", "disabled", "enabled", "deleted"]


async def test_a_pipeline_that_is_gone_disables_it_with_the_reason(server: Server):
    pipeline = (await server.upload("/pipelines/upload", SIMPLE.encode(), name="p")).json()["pipeline_id"]
    reference = {"pipeline_version_reference": {"pipeline_id": pipeline}, "pipeline_spec": None}
    id = (await server.post("/recurringruns", asked(**reference)))["recurring_run_id"]
    await server.delete(f"/pipelines/{pipeline}", cascade=True)
    await server.clock.advance(60)
    assert await Clockwork(server.means).tick() == 0
    found = await server.get(f"/recurringruns/{id}")
    assert found["status"] == "DISABLED" and "could not be started" in found["error"]["message"]


async def test_one_that_nobody_can_read_any_more_holds_up_no_other(server: Server):
    id = (await server.post("/recurringruns", asked()))["recurring_run_id"]
    await server.post("/recurringruns", asked())
    async with server.ports.store.write() as uow:
        await uow.later("UPDATE recurring_runs SET trigger = ?2 WHERE id = ?1", id, '{"cron_schedule": 5}')
    await server.clock.advance(60)
    assert await Clockwork(server.means).tick() == 1


async def test_an_experiment_with_recurring_runs_is_not_deleted_and_archiving_stops_them(server: Server):
    experiment = (await server.post("/experiments", {"display_name": "e"}))["experiment_id"]
    id = (await server.post("/recurringruns", asked(experiment_id=experiment)))["recurring_run_id"]
    assert "disable or delete it first" in refused(await server.http.delete(f"/experiments/{experiment}"))[2]
    await server.post(f"/experiments/{experiment}:archive")
    assert (await server.get(f"/recurringruns/{id}"))["error"]["message"] == "its experiment was archived"
    await server.delete(f"/experiments/{experiment}")


async def test_a_schedule_that_cannot_be_kept_is_refused(server: Server):
    far = (START + timedelta(days=1)).isoformat()
    cases: list[tuple[dict[str, Any], str]] = [
        ({"trigger": {"cron_schedule": {"cron": "0 3 * * *"}}}, "trigger.cron_schedule.cron: '0 3 * * *' has 5 fields"),
        ({"trigger": {"cron_schedule": {"cron": "0 0 25 * * *"}}}, "cannot be read (Bad hour)"),
        ({"trigger": {"cron_schedule": {"cron": "0 0 0 31 2 *"}}}, "trigger.cron_schedule.cron"),
        ({"trigger": {"periodic_schedule": {"interval_second": "0"}}}, "trigger.periodic_schedule.interval_second"),
        ({"trigger": {}}, "send one of cron_schedule and periodic_schedule"),
        ({"trigger": {"cron_schedule": {"cron": "@daily", "start_time": "soon"}}}, "start_time: 'soon' is not a time"),
        ({"trigger": {"cron_schedule": {"cron": "@daily", "end_time": "0001-01-01T00:00:00+14:00"}}}, "is not a time"),
        ({"trigger": {"cron_schedule": {"cron": "@yearly", "start_time": "9999-12-31T23:59:59Z"}}}, "1970 to 9000"),
        (
            {"trigger": {"cron_schedule": {"cron": "@daily", "start_time": far, "end_time": "2026-01-01T00:00:00Z"}}},
            "is not later than start_time",
        ),
        ({"max_concurrency": "11"}, "max_concurrency: 11 is not a number from 1 to 10"),
        ({"mode": "SOMETIMES"}, "'SOMETIMES' is neither ENABLE nor DISABLE"),
        ({"runtime_config": {}}, "runtime_config.parameters.name"),
        (
            {"runtime_config": {"parameters": {"name": "{{$.scheduledTime.strftime('\ud800')}}"}}},
            "runtime_config.parameters: a text holds half of a character",
        ),
    ]
    for more, told in cases:
        body = json.dumps(asked(**more))
        answer = await server.http.post("/recurringruns", content=body, headers={"Content-Type": "application/json"})
        status, code, message = refused(answer)
        assert (status, code) == (400, 3) and told in message, more


def test_a_step_is_told_the_moment_that_its_run_is_for_and_not_when_it_was_caught_up_with():
    run = RunFacts("r", "team", "nightly", "s3://b/r", {}, START + timedelta(days=3), scheduled_at=START)
    record = TaskRecord("root/a", "u", "root", "a", "a", Kind.STEP, "comp-a", State.PENDING)
    told = facts(run, record, Pipeline("nightly", {}, {}))
    assert told["pipeline_job_schedule_time_utc"] == "2026-01-01T00:00:00Z"
    assert told["pipeline_job_create_time_utc"] == "2026-01-04T00:00:00Z"


async def test_parameters_tell_each_run_its_moment_its_number_and_its_id(server: Server):
    text = (
        "[[ScheduledTime]] [[CurrentTime.2006-01-02T15:04:05Z07:00]] {{$.scheduledTime.strftime('%H:%M')}} #[[Index]]"
    )
    parameters = {"name": text + " [[RunUUID]] [[Other]]"}
    await server.post("/recurringruns", asked(runtime_config={"parameters": parameters}, max_concurrency="10"))
    clockwork, began = Clockwork(server.means), server.clock.now()
    for number in (1, 2):
        await server.clock.advance(60.5)
        assert await clockwork.tick() == 1
        [run, *_] = (await server.get("/runs", sort_by="created_at desc"))["runs"]
        at, now = began + timedelta(seconds=60 * number), server.clock.now()
        told = f"{at:%Y%m%d%H%M%S} {now:%Y-%m-%dT%H:%M:%S}Z {at:%H:%M} #{number} {run['run_id']} [[Other]]"
        assert run["runtime_config"]["parameters"]["name"] == told


@pytest.mark.parametrize(("text", "told"), [
    ("[[ScheduledTime.Monday, 02-Jan-06 15:04:05 MST]]", "Friday, 06-Feb-26 09:07:08 UTC"),
    ("[[ScheduledTime.January 002 03PM -0700]]", "February 037 09AM +0000"),
    ("[[RunUUID]][[Index]]", "r7"),
    ("[[]] [[Scheduled Time]] {{$.scheduledTime}}", "[[]] [[Scheduled Time]] {{$.scheduledTime}}"),
])  # fmt: skip
def test_layouts_are_read_as_go_reads_them(text: str, told: str):
    at = datetime(2026, 2, 6, 9, 7, 8, tzinfo=UTC)
    moment = macros.Moment(at, at, 7, "r")
    assert macros.expanded({"deep": [text, 1, None]}, moment) == {"deep": [told, 1, None]}


async def test_what_is_not_due_costs_no_session(server: Server, monkeypatch: pytest.MonkeyPatch):
    async def asked_for(*told: Any) -> None:
        raise AssertionError("it is asked for every second")

    await server.post("/recurringruns", asked())
    monkeypatch.setattr(AsyncSession, "exec", asked_for)
    clockwork = Clockwork(server.means)
    assert (await clockwork.tick(), await clockwork.rest_s()) == (0, 1.0)


@pytest.mark.parametrize(("policy", "state"), [("", "PENDING"), ("ORPHAN", "PENDING"), ("BACKGROUND", "CANCELING")])
async def test_what_a_deleted_recurring_run_has_started_goes_on_unless_it_is_to_end_too(
    server: Server, policy: str, state: str
):
    id = (await server.post("/recurringruns", asked()))["recurring_run_id"]
    await server.clock.advance(60.5)
    assert await Clockwork(server.means).tick() == 1
    wrong = await server.http.delete(f"/recurringruns/{id}", params={"propagation_policy": "CASCADE"})
    assert refused(wrong)[:2] == (400, 3)
    await server.delete(f"/recurringruns/{id}", **({"propagation_policy": policy} if policy else {}))
    assert [run["state"] for run in (await server.get("/runs"))["runs"]] == [state]


async def test_what_a_recurring_run_tells_plugins_its_runs_tell_them(server: Server):
    plugins = {"mlflow": {"experiment_name": "nightly"}}
    made = await server.post("/recurringruns", asked(plugins_input=plugins))
    found = await server.get(f"/recurringruns/{made['recurring_run_id']}")
    assert found["plugins_input"] == plugins and "plugins_input" not in found["runtime_config"]
    await server.clock.advance(60.5)
    assert await Clockwork(server.means).tick() == 1
    assert [run["plugins_input"] for run in (await server.get("/runs"))["runs"]] == [plugins]
    for wrong, field in (({"mlflow": {"experiment_id": "1"}}, "mlflow.experiment_id"), ({"wandb": {}}, "wandb")):
        for path in ("/runs", "/recurringruns"):
            answer = await server.http.post(path, json=asked(plugins_input=wrong))
            assert refused(answer)[:2] == (400, 3) and f"plugins_input.{field}" in answer.text
