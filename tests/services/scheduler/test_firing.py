"""Triggers in a running scheduler: what is said when they fire, once however often it is heard, and what follows."""

import json
from pathlib import Path
from typing import Any

import pytest

from contracts.commands.scheduling.v1 import FireTrigger
from contracts.commands.training.v1 import ApplyLegacyJob, ApplyTrainJob, DeleteLegacyJob, DeleteTrainJob
from contracts.events.registry.v1 import ModelVersionCreated
from contracts.events.scheduling.v1 import TriggerFired
from contracts.events.training.v1 import (
    LegacyJobSucceeded,
    TrainJobDeleted,
    TrainJobFailed,
    TrainJobRejected,
    TrainJobSucceeded,
)
from contracts.messages import Message
from libs.testing.bus import MemoryBus
from tests.services.scheduler.rig import HEADERS, Rig, comes_true, running, until

API = "/apis/millstream.dev/v1alpha1/namespaces/team/triggers"
TRAINJOB = {
    "apiVersion": "trainer.kubeflow.org/v1alpha1",
    "kind": "TrainJob",
    "spec": {"runtimeRef": {"name": "torch-distributed"}},
}
PAID = {"type": "shop.order.paid.v1"}
STEPS = ("received", "handled", "committed", "publishing", "published", "marked")


async def make(rig: Rig, name: str = "nightly", template: Any = TRAINJOB, **spec: Any) -> None:
    body = {"apiVersion": "millstream.dev/v1alpha1", "kind": "Trigger", "metadata": {"name": name}}
    answer = await rig.http.post(API, json={**body, "spec": {**spec, "template": template}})
    assert answer.status_code == 201, answer.text


async def status(rig: Rig, name: str = "nightly") -> dict[str, Any]:
    return (await rig.http.get(f"{API}/{name}")).json().get("status") or {}


async def pay(rig: Rig, id: str = "e1", space: str = "team", **data: Any) -> None:
    """Another system's event, of a type that no contract of the platform knows."""
    letter = {"specversion": "1.0", "id": id, "source": "shop/orders", **PAID, "namespace": space, "data": data}
    subject = f"millstream.{PAID['type']}.{space}"
    await rig.bus.publish(subject, json.dumps(letter).encode(), headers=HEADERS, msg_id=f"{id}-{rig.ids.suffix()}")


def heard(rig: Rig, type_: type[Message]) -> list[Any]:
    return [each for each in rig.said() if isinstance(each, type_)]


async def fired(rig: Rig, count: int = 1) -> list[ApplyTrainJob]:
    await until(lambda: len(heard(rig, ApplyTrainJob)) >= count)
    return heard(rig, ApplyTrainJob)


async def over(rig: Rig, fact: type[Message], name: str, **more: Any) -> None:
    await rig.say(fact(namespace="team", name=name, **{"uid": f"uid-{name}", **more}))


async def listens(rig: Rig) -> None:
    """The consumer hears of the trigger's event a moment after the trigger is made."""
    await until(lambda: hears(rig, PAID["type"]))


def hears(rig: Rig, type: str) -> bool:
    bus = rig.service.ports.bus
    assert isinstance(bus, MemoryBus)
    return f"millstream.{type}.*" in bus.consumer().filters


async def test_another_systems_event_becomes_one_job_however_often_it_is_said(rig: Rig) -> None:
    notes = {"metadata": {"annotations": {"order": "${event.data.order}"}}}
    await make(rig, template={**TRAINJOB, **notes}, event={**PAID, "filter": {"tier": ["gold"]}})
    await listens(rig)
    for _ in range(2):
        await pay(rig, order=7, tier="gold")
        await pay(rig, "e2", order=8, tier="silver")
        await pay(rig, "e3", "other", order=9, tier="gold")
    await pay(rig, "e4", order=10, tier="gold")
    jobs = await fired(rig, 2)
    assert [job.manifest["metadata"]["annotations"]["order"] for job in jobs] == ["7", "10"]
    assert [fact.made for fact in heard(rig, TriggerFired)] == [job.manifest["metadata"]["name"] for job in jobs]
    assert [each["name"] for each in (await status(rig))["active"]] == [fact.made for fact in heard(rig, TriggerFired)]


async def test_the_clock_fires_and_tells_when_next(rig: Rig) -> None:
    await make(rig, schedule={"cron": "* * * * * *"})
    first, second = (await fired(rig, 2))[:2]
    assert first.manifest["metadata"]["name"] != second.manifest["metadata"]["name"]
    found = await status(rig)
    assert found["nextScheduleTime"] > found["lastScheduleTime"]
    assert first.manifest["metadata"]["labels"]["millstream.dev/trigger"] == "nightly"


async def test_what_was_made_moves_from_active_to_history_and_the_oldest_is_deleted(rig: Rig) -> None:
    await make(rig, event=PAID, successfulHistoryLimit=1)
    await listens(rig)
    for number in range(2):
        await pay(rig, f"e{number}")
    first, second = [job.manifest["metadata"]["name"] for job in await fired(rig, 2)]
    await over(rig, TrainJobSucceeded, first)
    await over(rig, TrainJobSucceeded, second)
    assert (await until(lambda: heard(rig, DeleteTrainJob)))[0].name == first
    await pay(rig, "e9")
    third = (await fired(rig, 3))[2].manifest["metadata"]["name"]
    await over(rig, TrainJobFailed, third, reason="OOMKilled", message="out of memory")
    found = await comes_true(lambda: _failed(rig))
    assert [each["name"] for each in found["succeeded"]] == [second]
    assert (found["failed"][0]["name"], found["failed"][0]["reason"], found["active"]) == (third, "OOMKilled", [])


async def _failed(rig: Rig) -> dict[str, Any] | None:
    found = await status(rig)
    return found if found.get("failed") else None


async def test_a_job_that_its_owner_refuses_is_listed_as_failed_with_the_reason(rig: Rig) -> None:
    await make(rig, event=PAID)
    await listens(rig)
    await pay(rig)
    (job,) = await fired(rig)
    refusal = {"reason": "Invalid", "message": "spec.runtimeRef: no such runtime"}
    await rig.say(
        TrainJobRejected(namespace="team", name=job.manifest["metadata"]["name"], command_id="c", status=refusal)
    )
    found = await comes_true(lambda: _failed(rig))
    assert found["failed"][0]["message"] == "spec.runtimeRef: no such runtime"
    assert heard(rig, DeleteTrainJob) == []


@pytest.mark.parametrize("fact", [TrainJobSucceeded, TrainJobDeleted])
async def test_a_trigger_never_hears_of_what_it_made_itself_though_nothing_of_it_is_kept(rig: Rig, fact: Any) -> None:
    await make(rig, event={"type": fact.type}, successfulHistoryLimit=0, catchUp="None")
    await until(lambda: hears(rig, fact.type))
    await over(rig, fact, "of-somebody")
    (job,) = await fired(rig)
    await over(rig, fact, job.manifest["metadata"]["name"])
    await over(rig, fact, "of-somebody-else")
    assert len(await fired(rig, 2)) == 2, "one for each of the others"
    assert len({each.manifest["metadata"]["name"] for each in heard(rig, ApplyTrainJob)}) == 2
    assert (await status(rig))["active"][0]["name"] == heard(rig, ApplyTrainJob)[1].manifest["metadata"]["name"]


async def test_forbid_skips_an_event_while_one_runs_and_replace_deletes_that_one(rig: Rig) -> None:
    await make(rig, "strict", event=PAID, concurrencyPolicy="Forbid")
    await make(rig, "newest", event=PAID, concurrencyPolicy="Replace")
    await listens(rig)
    await pay(rig, "e1")
    await fired(rig, 2)
    await pay(rig, "e2")
    names = [job.manifest["metadata"]["name"] for job in await fired(rig, 3)]
    assert [name.rsplit("-", 1)[0] for name in names[2:]] == ["newest"]
    replaced = next(name for name in names if name.startswith("newest-"))
    assert (await until(lambda: heard(rig, DeleteTrainJob)))[0].name == replaced
    assert (await comes_true(lambda: _skipped(rig)))["skipped"] == 1


async def _skipped(rig: Rig) -> dict[str, Any] | None:
    found = await status(rig, "strict")
    return found if found.get("skipped") else None


async def test_an_event_that_fits_no_manifest_is_a_dead_letter_of_that_trigger_alone_and_can_be_replayed(
    rig: Rig,
) -> None:
    nodes = {**TRAINJOB, "spec": {**TRAINJOB["spec"], "trainer": {"numNodes": "${event.data.nodes}"}}}
    await make(rig, "broken", nodes, event=PAID)
    await make(rig, "whole", event=PAID)
    await listens(rig)
    await pay(rig, nodes="many")
    (job,) = await fired(rig)
    assert job.manifest["metadata"]["labels"]["millstream.dev/trigger"] == "whole"
    bus = MemoryBus(rig.broker, "person")
    (dead,) = await comes_true(bus.dead_letters)
    assert "trigger team/broken: spec.template.spec.trainer.numNodes" in dead.reason
    spec = {"event": PAID, "template": TRAINJOB}
    answer = await rig.http.patch(
        f"{API}/broken", json={"spec": spec | {"template": {"spec": {"trainer": None}}}},
        headers={"content-type": "application/merge-patch+json"},
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    await bus.replay(dead.seq)
    assert {each.manifest["metadata"]["labels"]["millstream.dev/trigger"] for each in await fired(rig, 2)} == {
        "whole",
        "broken",
    }


async def test_anybody_may_fire_a_trigger_by_a_command_once_for_each_key(rig: Rig) -> None:
    template = {**TRAINJOB, "metadata": {"annotations": {"at": "${schedule.time}"}}}
    await make(rig, template=template, schedule={"cron": "0 0 1 1 *"})
    for key in ("now", "now", "again"):
        await rig.say(FireTrigger(namespace="team", name="nightly", key=key))
    jobs = await fired(rig, 2)
    assert [job.manifest["metadata"]["annotations"]["millstream.dev/trigger-key"] for job in jobs] == ["now", "again"]


async def test_an_event_about_what_the_trigger_made_does_not_fire_it_again(rig: Rig) -> None:
    await make(rig, event={"type": TrainJobSucceeded.type})
    await over(rig, TrainJobSucceeded, "somebody-elses")
    (job,) = await fired(rig)
    await over(rig, TrainJobSucceeded, job.manifest["metadata"]["name"])
    await over(rig, TrainJobSucceeded, "another")
    assert len(await fired(rig, 2)) == 2


async def test_a_new_version_of_a_model_rolls_out_by_changing_one_service(rig: Rig) -> None:
    model = {"modelFormat": {"name": "pytorch"}, "storageUri": "${event.data.uri}"}
    service = {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": {"name": "digits"}}
    template = {**service, "spec": {"predictor": {"model": model}}}
    await make(rig, template=template, event={"type": ModelVersionCreated.type, "filter": {"model": "digits"}})
    await until(lambda: hears(rig, ModelVersionCreated.type))
    for version in ("1", "2"):
        about = {"namespace": "team", "model": "digits", "model_id": "m", "version_id": version}
        await rig.say(
            ModelVersionCreated(**about, version=version, uri=f"s3://models/digits/{version}", format="pytorch")
        )
    said = await until(lambda: _applies(rig, 2))
    uris = [each.manifest["spec"]["predictor"]["model"]["storageUri"] for each in said]
    assert uris == ["s3://models/digits/1", "s3://models/digits/2"]
    assert {each.manifest["metadata"]["name"] for each in said} == {"digits"}


def _applies(rig: Rig, count: int) -> list[Any] | None:
    said = [each for each in rig.said() if each.type == "serving.inferenceservice.apply.v1"]
    return said if len(said) >= count else None


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"schedule": {"cron": "61 * * * *"}}, "spec.schedule.cron"),
        ({"event": {"type": "Order Paid"}}, "spec.event.type"),
        ({"event": PAID, "concurrencyPolicy": "Sometimes"}, "spec.concurrencyPolicy"),
        ({"event": PAID, "template": {**TRAINJOB, "spec": {"runtimeRef": {"name": "${evnt.id}"}}}}, "runtimeRef.name"),
    ],
)
async def test_what_cannot_work_is_refused_on_write_with_the_field_named(rig: Rig, spec: Any, field: str) -> None:
    body = {"apiVersion": "millstream.dev/v1alpha1", "kind": "Trigger", "metadata": {"name": "x"}}
    answer = await rig.http.post(API, json={**body, "spec": {"template": TRAINJOB, **spec}})
    assert answer.status_code == 422
    assert any(field in cause["field"] for cause in answer.json()["details"]["causes"]), answer.text


@pytest.mark.parametrize("step", STEPS)
async def test_a_scheduler_that_dies_at_any_step_fires_once(step: str, tmp_path: Path) -> None:
    """The step fails once: transactions roll back, letters come again, the relay says again."""
    failures = 0

    async def fault(here: str) -> None:
        nonlocal failures
        if here == step and failures < 1:
            failures += 1
            raise ConnectionError(step)

    async with running(tmp_path, fault=fault) as rig:
        await make(rig, event=PAID)
        await listens(rig)
        await pay(rig)
        (job,) = await fired(rig)
        await until(lambda: heard(rig, TriggerFired))
        await over(rig, TrainJobSucceeded, job.manifest["metadata"]["name"])
        await comes_true(lambda: _succeeded(rig))
        assert failures == 1
        assert (len(heard(rig, ApplyTrainJob)), len(heard(rig, TriggerFired))) == (1, 1)


async def _succeeded(rig: Rig) -> dict[str, Any] | None:
    found = await status(rig)
    return found if found.get("succeeded") else None


LEGACY = {
    "apiVersion": "kubeflow.org/v1",
    "kind": "XGBoostJob",
    "spec": {"xgbReplicaSpecs": {"Master": {"template": {"spec": {"containers": [{"name": "xgboost"}]}}}}},
}


async def test_a_trigger_makes_jobs_of_the_training_operators_kinds_and_clears_them_away(rig: Rig) -> None:
    await make(rig, template=LEGACY, event=PAID, successfulHistoryLimit=0)
    await listens(rig)
    await pay(rig)
    (wish,) = await until(lambda: heard(rig, ApplyLegacyJob))
    assert wish.manifest["kind"] == "XGBoostJob" and wish.manifest["spec"] == LEGACY["spec"]
    name = wish.manifest["metadata"]["name"]
    await over(rig, LegacyJobSucceeded, name, kind="TFJob")
    await over(rig, LegacyJobSucceeded, name, kind="XGBoostJob")
    assert await until(lambda: heard(rig, DeleteLegacyJob)) == [
        DeleteLegacyJob(namespace="team", name=name, kind="XGBoostJob")
    ], "a namesake of another kind is none of its business"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"xgbReplicaSpecs": {"Master": {"replicas": "two", "template": {}}}}, "xgbReplicaSpecs.Master.replicas"),
        (
            {"xgbReplicaSpecs": {"Master": {"template": {"spec": {"containers": [{"image": 3}]}}}}},
            "xgbReplicaSpecs.Master.template",
        ),
        ({"pytorchReplicaSpecs": {}}, "xgbReplicaSpecs"),
    ],
    ids=["no number", "an image that is no text", "another kind's field"],
)
async def test_a_job_that_cannot_be_is_refused_when_its_trigger_is_written(rig: Rig, change: Any, field: str) -> None:
    body = {"apiVersion": "millstream.dev/v1alpha1", "kind": "Trigger", "metadata": {"name": "nightly"}}
    answer = await rig.http.post(API, json={**body, "spec": {"event": PAID, "template": {**LEGACY, "spec": change}}})
    assert answer.status_code == 422
    assert [cause["field"] for cause in answer.json()["details"]["causes"]] == [f"spec.template.spec.{field}"]
