"""When a trigger fires and what it makes: clocks that change, missed times, events that fit, manifests that do not."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.scheduler.domain.triggers import history, times
from services.scheduler.domain.triggers.making import Cause, Refused, manifest, object_name
from services.scheduler.domain.triggers.matching import matches
from services.scheduler.domain.triggers.rules import causes
from services.scheduler.domain.triggers.timing import plan

TRAINJOB: dict[str, Any] = {
    "apiVersion": "trainer.kubeflow.org/v1alpha1",
    "kind": "TrainJob",
    "spec": {"runtimeRef": {"name": "torch-distributed"}},
}
SERVICE: dict[str, Any] = {
    "apiVersion": "serving.kserve.io/v1beta1",
    "kind": "InferenceService",
    "metadata": {"name": "digits"},
    "spec": {"predictor": {"model": {"modelFormat": {"name": "pytorch"}, "storageUri": "${event.data.uri}"}}},
}
HOURLY = {"cron": "0 * * * *"}
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
EVENT: dict[str, Any] = {
    "id": "e1", "source": "shop/orders", "type": "shop.order.paid.v1", "namespace": "team",
    "data": {"amount": 3, "customer": {"tier": "gold"}, "lines": [{"sku": "x"}], "name": "order-1"},
}  # fmt: skip


def trigger(
    template: dict[str, Any] = TRAINJOB, *, status: dict[str, Any] | None = None, **spec: Any
) -> dict[str, Any]:
    spec = spec if "schedule" in spec or "event" in spec else {"schedule": HOURLY, **spec}
    created = "2026-11-22T00:30:00Z"
    metadata = {"name": "nightly", "namespace": "team", "generation": 1, "creationTimestamp": created}
    return {"metadata": metadata, "spec": {**spec, "template": template}, "status": status or {}}


def told(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize(
    ("cron", "zone", "start", "expected"),
    [
        ("0 3 * * *", "Etc/UTC", "2026-11-22T03:00:00", ["11-23T03:00:00Z", "11-24T03:00:00Z"]),
        ("*/20 * * * * *", "Etc/UTC", "2026-11-22T03:00:05", ["11-22T03:00:20Z", "11-22T03:00:40Z"]),
        ("0 12 29 2 *", "Etc/UTC", "2026-01-01T00:00:00", ["02-29T12:00:00Z", "02-29T12:00:00Z"]),
        ("0 0 L * *", "Etc/UTC", "2026-02-01T00:00:00", ["02-28T00:00:00Z", "03-31T00:00:00Z"]),
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00", ["03-29T01:00:00Z", "03-30T00:30:00Z"]),
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00", ["10-25T00:30:00Z", "10-26T01:30:00Z"]),
        ("0 * * * *", "Europe/Berlin", "2026-10-25T00:30:00", ["10-25T01:00:00Z", "10-25T02:00:00Z"]),
        ("0 9 * * *", "America/New_York", "2026-11-22T12:00:00", ["11-22T14:00:00Z", "11-23T14:00:00Z"]),
    ],
    ids=["daily", "seconds", "leap day", "last of month", "hour left out", "hour twice", "hourly, hour twice", "zone"],
)
def test_times_come_as_people_expect_them(cron: str, zone: str, start: str, expected: list[str]) -> None:
    schedule, moment = {"cron": cron, "timeZone": zone}, datetime.fromisoformat(start).replace(tzinfo=UTC)
    first = times.after(schedule, moment)
    assert first is not None
    second = times.after(schedule, first)
    assert second is not None and [told(first), told(second)] == expected


@pytest.mark.parametrize(
    ("spec", "fired", "missed"),
    [
        ({}, ["11-22T12:00:00Z"], 11),
        ({"catchUp": "None"}, ["11-22T12:00:00Z"], 11),
        ({"catchUp": "All"}, [f"11-22T{hour:02}:00:00Z" for hour in range(3, 13)], 2),
        ({"catchUp": "All", "catchUpLimit": 2}, ["11-22T11:00:00Z", "11-22T12:00:00Z"], 10),
        ({"catchUp": "All", "startingDeadlineSeconds": 7200}, [f"11-22T{h}:00:00Z" for h in (10, 11, 12)], 9),
        ({"catchUp": "All", "startingDeadlineSeconds": 2**63}, [f"11-22T{hour:02}:00:00Z" for hour in range(3, 13)], 2),
        ({"catchUp": "All", "concurrencyPolicy": "Forbid"}, ["11-22T12:00:00Z"], 11),
    ],
)
def test_times_that_were_missed_are_made_up_for_as_asked(spec: dict[str, Any], fired: list[str], missed: int) -> None:
    found = plan(trigger(**spec), NOON)
    assert [told(moment) for moment in found.fire] == fired
    assert found.status["lastScheduleTime"] == "2026-11-22T12:00:00Z"
    assert found.status["nextScheduleTime"] == "2026-11-22T13:00:00Z"
    assert (found.status["missed"], found.again_s) == (missed, 3600)


def test_what_is_missed_by_long_is_given_up_where_nothing_is_made_up_for() -> None:
    late = NOON + timedelta(minutes=5)
    assert plan(trigger(catchUp="None"), late).fire == ()
    assert plan(trigger(startingDeadlineSeconds=60), late).fire == ()
    assert plan(trigger(startingDeadlineSeconds=600), late).fire == (NOON,)


def test_a_time_is_fired_once_however_often_one_looks() -> None:
    first = plan(trigger(), NOON)
    again = plan(trigger(status=first.status), NOON + timedelta(minutes=59))
    assert (len(first.fire), again.fire) == (1, ())


def test_a_suspended_trigger_waits_for_nothing() -> None:
    found = plan(trigger(suspend=True, status={"nextScheduleTime": "2026-11-22T12:00:00Z"}), NOON)
    assert (found.fire, found.again_s, found.status) == ((), None, {"observedGeneration": 1})


def test_forbid_waits_for_the_one_that_runs_and_then_makes_up_for_the_latest() -> None:
    running = {"active": [{"name": "nightly-1", "kind": "TrainJob", "key": "k", "time": "2026-11-22T01:00:00Z"}]}
    assert plan(trigger(concurrencyPolicy="Forbid", status=running), NOON).fire == ()
    assert plan(trigger(concurrencyPolicy="Forbid", status={}), NOON).fire == (NOON,)


def test_a_trigger_by_the_second_that_slept_for_a_year_is_not_walked_through() -> None:
    slept = trigger(schedule={"cron": "* * * * * *"}, status={"lastScheduleTime": "2025-11-22T12:00:00Z"})
    assert plan(slept, NOON).fire == (NOON,)


@pytest.mark.parametrize(
    ("source", "fits"),
    [
        ({}, True),
        ({"source": "shop/orders"}, True),
        ({"source": "shop/returns"}, False),
        ({"filter": {"customer.tier": "gold", "lines.0.sku": ["x", "y"]}}, True),
        ({"filter": {"customer.tier": "silver"}}, False),
        ({"filter": {"amount": "3"}}, False),
        ({"filter": {"customer.name": "x"}}, False),
        ({"type": "shop.order.sent.v1"}, False),
    ],
)
def test_an_event_fits_when_every_line_of_the_filter_holds(source: dict[str, Any], fits: bool) -> None:
    assert matches({"type": "shop.order.paid.v1", **source}, EVENT) is fits


def test_values_of_the_event_are_written_into_the_manifest_as_what_they_are() -> None:
    notes = {"about": "${event.data.customer.tier} of ${trigger.name}", "lines": "${event.data.lines}!"}
    trainer = {"numNodes": "${event.data.amount}"}
    template = {**TRAINJOB, "metadata": {"annotations": notes}, "spec": {**TRAINJOB["spec"], "trainer": trainer}}
    target, made = manifest(trigger(template, event={"type": EVENT["type"]}), Cause("k", event=EVENT))
    assert made["spec"]["trainer"]["numNodes"] == 3
    assert made["metadata"]["annotations"]["about"] == "gold of nightly"
    assert made["metadata"]["annotations"]["lines"] == '[{"sku":"x"}]!'
    assert made["metadata"]["name"] == object_name("nightly", Cause("k", event=EVENT))
    assert target.apply.type == "training.trainjob.apply.v1"


@pytest.mark.parametrize(
    ("value", "why"),
    [("${event.data.none}", "there is no event.data.none"), ("${event.data.customer}", "numNodes")],
)
def test_a_firing_that_fits_no_manifest_is_refused_with_the_place(value: str, why: str) -> None:
    template = {**TRAINJOB, "spec": {**TRAINJOB["spec"], "trainer": {"numNodes": value}}}
    with pytest.raises(Refused, match=r"spec\.template\.spec\.trainer\.numNodes") as refused:
        manifest(trigger(template, event={"type": EVENT["type"]}), Cause("k", event=EVENT))
    assert why in str(refused.value)


def test_one_firing_has_one_name() -> None:
    assert object_name("n", Cause("a", NOON)) == f"n-{int(NOON.timestamp())}"
    assert object_name("n", Cause("a", event=EVENT)) == object_name("n", Cause("a", event={**EVENT, "time": "later"}))
    assert object_name("n", Cause("a", event=EVENT)) != object_name("n", Cause("b", event=EVENT))


def test_history_keeps_the_newest_and_names_what_has_to_go() -> None:
    status: dict[str, Any] = {}
    for number in range(3):
        new = history.firing(f"j{number}", "TrainJob", f"k{number}", NOON)
        status, _ = history.fired(status, new, replaces=False)
        status, old = history.over(status, f"j{number}", "succeeded", 2, {})
    assert [each["name"] for each in status["succeeded"]] == ["j1", "j2"]
    assert [each["name"] for each in old] == ["j0"]
    assert history.over(status, "unknown", "failed", 1, {}) == ({**status, "failed": []}, [])


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (trigger(schedule={"cron": "61 * * * *"}), "spec.schedule.cron"),
        (trigger(schedule={"cron": "0 0 30 2 *"}), "spec.schedule.cron"),
        (trigger(schedule={"cron": "0 0 * * *", "timeZone": "Mars/Olympus"}), "spec.schedule.timeZone"),
        (trigger(schedule={"cron": "0 0 * * *", "timeZone": "../etc"}), "spec.schedule.timeZone"),
        (trigger(schedule=HOURLY, event={"type": "a.b.c.v1"}), "spec"),
        (trigger(event={"type": "a.b.c.v1", "filter": {"a..b": 1}}), "spec.event.filter[a..b]"),
        (trigger({**TRAINJOB, "kind": "CronJob"}), "spec.template.kind"),
        (trigger({**TRAINJOB, "metadata": {"name": "x"}}), "spec.template.metadata.name"),
        (trigger({**TRAINJOB, "metadata": {"namespace": "x"}}), "spec.template.metadata.namespace"),
        (trigger({**TRAINJOB, "metadata": {"labels": -1}}), "spec.template.metadata.labels"),
        (trigger({**SERVICE, "metadata": {}}, event={"type": "a.b.c.v1"}), "spec.template.metadata.name"),
        (trigger(SERVICE), "spec.template.spec.predictor.model.storageUri"),
        (trigger({**TRAINJOB, "spec": {"runtimeRef": {"name": ""}}}), "spec.template.spec.runtimeRef.name"),
        (trigger({**TRAINJOB, "spec": {}}), "spec.template.spec.runtimeRef"),
    ],
)
def test_a_trigger_that_cannot_work_is_refused_with_the_field_named(given: dict[str, Any], field: str) -> None:
    assert field in [cause.field for cause in causes(given)]


def test_a_trigger_that_can_work_is_taken() -> None:
    assert causes(trigger()) == []
    assert causes(trigger(SERVICE, event={"type": "registry.modelversion.created.v1"})) == []
