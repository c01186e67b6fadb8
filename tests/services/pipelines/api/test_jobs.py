"""TrainJobs, their like and Experiments in the lineage, as the trainer and the tuner tell of them."""

from itertools import permutations
from types import SimpleNamespace
from typing import Any

import pytest

from contracts.events.registry.v1 import ModelVersionCreated
from contracts.events.training.v1 import (
    LegacyJobCreated,
    LegacyJobFailed,
    TrainJobCreated,
    TrainJobDeleted,
    TrainJobStarted,
    TrainJobSucceeded,
)
from contracts.events.tuning.v1 import (
    TrialResult,
    TuningExperimentCreated,
    TuningExperimentDeleted,
    TuningExperimentSucceeded,
)
from libs.base.errors import NotFound
from services.pipelines.adapters.jobs import SqlJobs
from services.pipelines.adapters.releases import SqlReleases
from services.pipelines.app import build
from services.pipelines.domain.jobs import STARTED_BY
from services.pipelines.handlers.artifacts import Artifacts
from services.pipelines.handlers.lineages import Lineages
from tests.services.pipelines.api.test_artifacts import compiled, here  # noqa: F401  a fixture
from tests.services.pipelines.api.test_releases import an_hour, made, registered
from tests.services.pipelines.conductor.rig import Rig

Here = tuple[Rig, Artifacts]
HEARS: Any = build().handlers
JOB = {"namespace": "team", "name": "fit", "uid": "j1"}
EXTERN = "s3://elsewhere/model"


async def hear(rig: Rig, *events: Any) -> None:
    async with rig.ports.store.write() as uow:
        for event in events:
            await HEARS[type(event)](event, SimpleNamespace(releases=SqlReleases(uow), jobs=SqlJobs(uow)))


def created(task: str, **more: Any) -> TrainJobCreated:
    return TrainJobCreated(**{**JOB, **more}, labels={STARTED_BY: task})


def succeeded(data: str, model: str, **more: Any) -> TrainJobSucceeded:
    return TrainJobSucceeded(**{**JOB, **more}, dataset_uri=data, model_uri=f"{model}/", metrics={"loss": 0.5})


def by_job(version: ModelVersionCreated) -> ModelVersionCreated:
    return version.model_copy(update={"job_uid": "j1"})


async def test_a_job_stands_between_its_step_and_its_model_in_whatever_order_this_was_told(here: Here):  # noqa: F811
    rig, desk = here
    found = await made(rig, desk)
    data, model = found["data"], found["model"]
    task = (await desk.lineage(None, model["artifact_id"], "up"))["tasks"][0]["task_id"]
    told = [
        created(task, dataset_uri=data["uri"]),
        TrainJobStarted(**JOB),
        succeeded(data["uri"], model["uri"]),
        TrainJobDeleted(**JOB),
    ]
    seen = []
    for order in permutations(told):
        async with rig.ports.store.write() as uow:
            await uow.later("DELETE FROM pipeline_jobs")
        await hear(rig, *order, *order[:2])
        seen.append(await desk.lineage(None, model["artifact_id"], "up"))
    [job] = seen[0]["jobs"]
    assert (job["name"], job["kind"], job["state"], job["metrics"]) == ("fit", "TrainJob", "SUCCEEDED", {"loss": 0.5})
    assert job["gone"] and job["task_id"] == task
    assert sorted((one["from"], one["to"], one["kind"]) for one in seen[0]["links"]) == sorted(
        [
            (task, "job/j1", "started"),
            (data["artifact_id"], "job/j1", "read"),
            ("job/j1", model["artifact_id"], "made"),
        ]
    )
    assert all((each["jobs"], each["links"]) == (seen[0]["jobs"], seen[0]["links"]) for each in seen)
    await hear(rig, by_job(registered(model["uri"])))
    down = await desk.lineage(None, data["artifact_id"], "down")
    assert [one["name"] for one in down["jobs"]] == ["fit"] and [one["model"] for one in down["model_versions"]]
    drawn = await desk.lineage_picture(None, data["artifact_id"])
    assert ">fit<" in drawn and "TrainJob, succeeded" in drawn
    assert drawn.count('class="l"') == 7, "make, data, train, fit, model, version"


async def test_a_version_that_only_a_job_made_leads_back_to_the_step_and_its_data(here: Here):  # noqa: F811
    rig, desk = here
    found = await made(rig, desk)
    task = (await desk.lineage(None, found["model"]["artifact_id"], "up"))["tasks"][0]["task_id"]
    lineages = Lineages(desk.means)
    await hear(rig, by_job(registered(EXTERN, "8")))
    with pytest.raises(NotFound, match="no run here made"):
        await lineages.of_version(None, "digits", "8")
    await hear(rig, created(task), succeeded("", EXTERN))
    told = (await lineages.of_version(None, "digits", "8")).shown()
    assert [one["name"] for one in told["tasks"]] == ["train", "make"]
    links = {(one["from"], one["to"]) for one in told["links"]}
    assert {(task, "job/j1"), ("job/j1", "version/8")} <= links
    await hear(rig, succeeded(found["data"]["uri"], EXTERN, uid="j2"))
    told = await desk.lineage(None, found["data"]["artifact_id"], "down")
    assert {one["uid"] for one in told["jobs"]} == {"j1", "j2"}, "also one that no step started"


async def test_a_job_of_another_namespace_is_no_part_of_it_whatever_it_says(here: Here):  # noqa: F811
    rig, desk = here
    found = await made(rig, desk)
    model, data = found["model"], found["data"]
    task = (await desk.lineage(None, model["artifact_id"], "up"))["tasks"][0]["task_id"]
    theirs = {"namespace": "other", "uid": "j9"}
    await hear(rig, created(task, **theirs), succeeded(data["uri"], model["uri"], **theirs))
    assert (await desk.lineage(None, model["artifact_id"], "both"))["jobs"] == []
    await hear(rig, registered(EXTERN, "9").model_copy(update={"job_uid": "j9"}))
    with pytest.raises(NotFound, match="no run here made"):
        await Lineages(desk.means).of_version(None, "digits", "9")


async def test_jobs_of_other_kinds_are_shown_below_the_step_that_started_them(here: Here):  # noqa: F811
    rig, desk = here
    found = await made(rig, desk)
    task = (await desk.lineage(None, found["model"]["artifact_id"], "up"))["tasks"][0]["task_id"]
    about = {**JOB, "kind": "PyTorchJob"}
    await hear(rig, LegacyJobFailed(**about, reason="BackoffLimitExceeded"))
    await hear(rig, LegacyJobCreated(**about, labels={STARTED_BY: task}))
    [job] = (await desk.lineage(None, found["model"]["artifact_id"], "both"))["jobs"]
    assert (job["kind"], job["state"], job["reason"]) == ("PyTorchJob", "FAILED", "BackoffLimitExceeded")


async def test_a_job_that_writes_where_it_read_is_drawn(here: Here):  # noqa: F811
    rig, desk = here
    found = await made(rig, desk)
    data, model = found["data"], found["model"]
    told = await desk.lineage(None, model["artifact_id"], "up")
    first = next(one["task_id"] for one in told["tasks"] if one["name"] == "make")
    await hear(rig, created(first), succeeded(model["uri"], model["uri"]))
    await hear(rig, succeeded(model["uri"], data["uri"], uid="j2", name="back"))
    drawn = await desk.lineage_picture(None, model["artifact_id"])
    assert ">fit<" in drawn and ">back<" in drawn


async def test_an_experiment_is_shown_below_the_step_that_made_it_with_what_it_found(here: Here):  # noqa: F811
    rig, desk = here
    found = await made(rig, desk)
    model = found["model"]["artifact_id"]
    task = (await desk.lineage(None, model, "up"))["tasks"][0]["task_id"]
    target = {"metric": "accuracy", "type": "maximize"}
    best = TrialResult(name="fit-1", assignments={"lr": "0.01"}, metrics={"accuracy": 0.9})
    over = {"reason": "ExperimentMaxTrialsReached", "target": target, "trials": 3}
    told = [
        TuningExperimentCreated(**JOB, algorithm="tpe", target=target, labels={STARTED_BY: task}),
        TuningExperimentSucceeded(**JOB, **over, best=best),
        TuningExperimentDeleted(**JOB),
    ]
    seen = []
    for order in permutations(told):
        async with rig.ports.store.write() as uow:
            await uow.later("DELETE FROM pipeline_jobs")
        await hear(rig, *order, *order)
        seen.append((await desk.lineage(None, model, "up"))["jobs"])
    assert all(each == seen[0] for each in seen)
    [job] = seen[0]
    assert (job["kind"], job["state"], job["trials"], job["gone"]) == ("Experiment", "SUCCEEDED", 3, True)
    assert (job["metrics"], job["parameters"]) == ({"accuracy": 0.9}, {"lr": "0.01"})
    assert "Experiment, succeeded" in await desk.lineage_picture(None, model)


async def test_only_what_is_gone_and_leads_from_nothing_to_nothing_is_forgotten_after_an_hour(here: Here):  # noqa: F811
    rig, desk = here
    found = await made(rig, desk)
    await hear(rig, by_job(registered(EXTERN, "8")))
    ends = {"made": found["model"]["uri"], "registered": EXTERN, "trial": "s3://elsewhere/other", "alive": EXTERN + "2"}
    for uid, place in ends.items():
        await hear(rig, created("", uid=uid), succeeded("", place, uid=uid))
    await hear(rig, created(found["data"]["task_id"], uid="started"), created("deleted task", uid="orphan"))
    await hear(rig, succeeded(found["data"]["uri"], "", uid="read"), succeeded("s3://unknown", "", uid="elsewhere"))
    stay = {"made", "registered", "alive", "started", "read"}
    every = {*ends, "started", "orphan", "read", "elsewhere"}
    for uid in every - {"alive"}:
        await hear(rig, TrainJobDeleted(**{**JOB, "uid": uid}))
    kept = []
    for _ in range(3):
        await an_hour(rig, SqlJobs)
        async with rig.ports.store.read() as reader:
            kept.append({str(uid) for (uid,) in await reader.rows("SELECT uid FROM pipeline_jobs")})
    assert kept == [every, stay, stay]
