"""One delivery, one effect, one fact: whatever is said twice, torn or forged, on a real broker."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from contracts.commands.training.v1 import ApplyTrainJob, DeleteTrainJob
from contracts.envelope import Event
from contracts.events.training.v1 import TrainJobCreated
from libs.base import SystemClock, SystemIds
from libs.bus import Bus, Tuning
from libs.service.app import Given
from libs.service.shell import Service, serve
from libs.store import UnitOfWork
from libs.testing.bus_server import NatsServer
from libs.testing.store_together import commits
from tests.service.toy import FINALIZER, HASTY, Heard, created, hearing, say, settings, toy_app
from tests.service.toy import when_created as admits

ADMITTED = "scheduling.workload.admitted.v1"
JOB = {"apiVersion": "trainer.kubeflow.org/v1alpha1", "kind": "TrainJob", "metadata": {"name": "digits"}}


@pytest.fixture
async def bus(nats: NatsServer) -> AsyncIterator[Bus]:
    clock = SystemClock()
    found = await Bus.connect(nats.url, service="test", clock=clock, ids=SystemIds(clock), tuning=Tuning(watch_s=0.2))
    await found.ensure("test", [])
    yield found
    await found.close()


@pytest.fixture
async def heard(bus: Bus) -> AsyncIterator[Heard]:
    async with hearing(bus) as found:
        yield found


@pytest.fixture
async def toy(nats: NatsServer, tmp_path: Path) -> AsyncIterator[Service]:
    async with serve(toy_app(), settings(tmp_path, nats.url)) as service:
        yield service


async def admissions(service: Service) -> list[str]:
    async with service.ports.store.read() as reader:
        return [each["metadata"]["name"] for each in await reader.list("admissions.example.org")]


async def test_a_fact_has_one_effect_and_the_facts_that_follow_name_their_cause(
    toy: Service, bus: Bus, heard: Heard
) -> None:
    await say(bus, created("a"), "letter-1")
    (admitted,) = await heard.wait(ADMITTED)
    assert admitted["causationid"] == "letter-1"
    assert admitted["source"] == "millstream/toy"
    assert await admissions(toy) == ["a"]


async def test_a_letter_said_again_under_another_transport_id_is_dropped_by_the_inbox(
    toy: Service, bus: Bus, heard: Heard
) -> None:
    from contracts.envelope import structured, subject_for
    from tests.service.toy import letter

    headers, data = structured(letter(created("a"), "letter-1"))
    for transport_id in ("one", "two"):
        await bus.publish(subject_for(created("a").type, "team"), data, headers=headers, msg_id=transport_id)
    await say(bus, created("b"), "letter-2")
    await heard.wait(ADMITTED, 2)
    assert await admissions(toy) == ["a", "b"]
    assert await bus.dead_letters() == []


async def test_garbage_is_a_dead_letter_with_its_reason_and_the_rest_flows(
    toy: Service, bus: Bus, heard: Heard
) -> None:
    await bus.publish("millstream.training.trainjob.created.v1.team", b"\xff{", headers={}, msg_id="garbage")
    await say(bus, created("a"), "letter-1")
    await heard.wait(ADMITTED)
    dead = await bus.dead_letters()
    assert dead[0].data == b"\xff{"
    assert dead[0].handler == "toy"
    assert "malformed letter: body" in dead[0].reason


async def test_a_fact_from_which_nothing_valid_follows_is_a_dead_letter_at_once(
    toy: Service, bus: Bus, heard: Heard
) -> None:
    await say(bus, created("impossible"), "letter-1")
    await say(bus, created("b"), "letter-2")
    await heard.wait(ADMITTED)
    async with asyncio.timeout(30):
        while not (dead := await bus.dead_letters()):  # noqa: ASYNC110 (the stream is asked)
            await asyncio.sleep(0.05)
    assert dead[0].attempts == 1
    assert dead[0].reason.startswith("invalid: ") and "cannot be admitted" in dead[0].reason


async def test_an_apply_command_creates_the_object_and_is_answered(toy: Service, bus: Bus, heard: Heard) -> None:
    await say(bus, ApplyTrainJob(namespace="team", manifest=JOB), "command-1")
    (applied,) = await heard.wait("training.trainjob.applied.v1")
    assert applied["causationid"] == applied["data"]["command_id"] == "command-1"
    stored = await toy.ports.resources.get(toy.app.kinds[0], "team", "digits")
    assert stored["metadata"]["uid"] == applied["data"]["uid"]
    assert stored["metadata"]["resourceVersion"] == applied["data"]["resource_version"]


async def test_a_dry_run_command_is_answered_and_stores_nothing(toy: Service, bus: Bus, heard: Heard) -> None:
    await say(bus, ApplyTrainJob(namespace="team", manifest=JOB, dry_run=True), "command-1")
    await heard.wait("training.trainjob.applied.v1")
    assert await toy.ports.resources.find(toy.app.kinds[0], "team", "digits") is None


@pytest.mark.parametrize(
    ("manifest", "code", "told"),
    [
        ({**JOB, "spec": {"nodes": 0}}, 422, "spec.nodes: must be at least 1"),
        ({**JOB, "kind": "CronJob"}, 400, "expected trainer.kubeflow.org/v1alpha1 TrainJob"),
        ({**JOB, "metadata": {"name": "x", "namespace": "other"}}, 400, "'other' is not the command's namespace"),
        ({**JOB, "metadata": {}}, 400, "metadata.name"),
        ({**JOB, "metadata": "digits"}, 400, "metadata"),
    ],
)
async def test_a_wrong_manifest_is_rejected_with_a_status_that_names_the_field(
    toy: Service, bus: Bus, heard: Heard, manifest: dict[str, object], code: int, told: str
) -> None:
    await say(bus, ApplyTrainJob(namespace="team", manifest=manifest), "command-1")
    (rejected,) = await heard.wait("training.trainjob.rejected.v1")
    assert rejected["causationid"] == "command-1"
    assert rejected["data"]["status"]["code"] == code
    assert told in rejected["data"]["status"]["message"]


async def test_a_command_with_malformed_data_is_rejected_rather_than_buried(
    toy: Service, bus: Bus, heard: Heard
) -> None:
    from contracts.envelope import structured, subject_for
    from tests.service.toy import letter

    command = letter(ApplyTrainJob(namespace="team", manifest=JOB), "command-1")
    headers, data = structured(command.model_copy(update={"data": {"namespace": "team", "manifest": "text"}}))
    await bus.publish(subject_for(ApplyTrainJob.type, "team"), data, headers=headers, msg_id="command-1")
    (rejected,) = await heard.wait("training.trainjob.rejected.v1")
    assert rejected["data"]["status"]["details"]["causes"][0]["field"] == "data.manifest"


async def test_a_delete_command_is_answered_by_deleted(toy: Service, bus: Bus, heard: Heard) -> None:
    await say(bus, ApplyTrainJob(namespace="team", manifest=JOB), "command-1")
    await heard.wait("training.trainjob.applied.v1")
    await say(bus, DeleteTrainJob(namespace="team", name="digits"), "command-2")
    (deleted,) = await heard.wait("training.trainjob.deleted.v1")
    assert deleted["causationid"] == "command-2"


async def test_deleting_what_is_not_there_is_rejected_as_not_found(toy: Service, bus: Bus, heard: Heard) -> None:
    await say(bus, DeleteTrainJob(namespace="team", name="nobody"), "command-2")
    (rejected,) = await heard.wait("training.trainjob.rejected.v1")
    assert rejected["data"]["status"]["reason"] == "NotFound"
    assert rejected["data"]["name"] == "nobody"


async def test_deleted_is_said_when_the_last_finalizer_goes_and_still_names_its_command(
    nats: NatsServer, bus: Bus, heard: Heard, tmp_path: Path
) -> None:
    app = toy_app(FINALIZER)
    async with serve(app, settings(tmp_path, nats.url)) as toy:
        await say(bus, ApplyTrainJob(namespace="team", manifest=JOB), "command-1")
        await heard.wait("training.trainjob.applied.v1")
        await say(bus, DeleteTrainJob(namespace="team", name="digits"), "command-2")
        async with asyncio.timeout(30):
            async for event in toy.ports.resources.watch(app.kinds[0], "team"):
                if event["object"]["metadata"].get("deletionTimestamp"):
                    break
        assert heard.of("training.trainjob.deleted.v1") == []
        await toy.ports.resources.remove_finalizer(app.kinds[0], "team", "digits", FINALIZER)
        (deleted,) = await heard.wait("training.trainjob.deleted.v1")
    assert deleted["causationid"] == "command-2"


async def test_the_service_serves_while_the_broker_is_down_and_says_it_all_later(
    nats: NatsServer, tmp_path: Path
) -> None:
    nats.kill()
    async with serve(toy_app(), settings(tmp_path, nats.url), Given()) as toy:
        await toy.ports.resources.create(toy.app.kinds[0], {**JOB, "metadata": {"name": "x", "namespace": "team"}})
        await toy.ports.resources.delete(toy.app.kinds[0], "team", "x")
        code, body = await toy.asgi.readiness()  # type: ignore[attr-defined]
        assert (code, body["status"]) == (200, "degraded")
        assert (await toy.asgi.readiness(strict=True))[0] == 503  # type: ignore[attr-defined]
        await nats.start()
        clock = SystemClock()
        bus = await Bus.connect(nats.url, service="test", clock=clock, ids=SystemIds(clock))
        async with hearing(bus) as heard:
            await heard.wait("training.trainjob.deleted.v1")
        await bus.close()


async def test_letters_that_wait_share_a_commit_and_a_bad_one_among_them_is_buried_alone(
    nats: NatsServer, bus: Bus, heard: Heard, tmp_path: Path
) -> None:
    jobs = [f"job-{number:02}" for number in range(60)]
    for number, job in enumerate([*jobs[:30], "impossible", *jobs[30:]]):
        await say(bus, created(job), f"letter-{number}")
    before = commits()
    async with serve(toy_app(), settings(tmp_path, nats.url)) as toy:
        told = await heard.wait(ADMITTED, len(jobs))
        assert [each["data"]["name"] for each in told] == jobs
        assert await admissions(toy) == jobs
        assert commits() - before < len(jobs)
        async with asyncio.timeout(30):
            while not (dead := await bus.dead_letters()):  # noqa: ASYNC110 (the stream is asked)
                await asyncio.sleep(0.05)
    assert [json.loads(each.data)["data"]["name"] for each in dead] == ["impossible"]


async def test_a_letter_that_fails_for_a_time_is_tried_again_alone(
    nats: NatsServer, bus: Bus, heard: Heard, tmp_path: Path
) -> None:
    tries: list[str] = []
    app = toy_app()

    async def when_created(event: TrainJobCreated, uow: UnitOfWork) -> Sequence[Event]:
        tries.append(event.name)
        facts = await admits(event, uow)
        if tries.count("late") < 3 and event.name == "late":
            raise ConnectionError("not yet")
        return facts

    app.handlers = {TrainJobCreated: when_created}
    for number, job in enumerate(["a", "late", "b", "c"]):
        await say(bus, created(job), f"letter-{number}")
    async with serve(app, settings(tmp_path, nats.url), Given(tuning=HASTY)) as service:
        await heard.wait(ADMITTED, 4)
        assert await admissions(service) == ["a", "b", "c", "late"]
    assert sorted(tries) == ["a", "b", "c", "late", "late", "late"]
