"""From an artifact on to model versions and endpoints, and back, as the registry and serving tell of them."""

from dataclasses import replace
from itertools import permutations
from types import SimpleNamespace
from typing import Any

import pytest

from contracts.events.registry.v1 import ModelVersionCreated
from contracts.events.serving.v1 import InferenceServiceDeleted, InferenceServiceReady
from libs.base.errors import Forbidden, NotFound
from services.pipelines.adapters.releases import SqlReleases
from services.pipelines.handlers.artifacts import Artifacts
from services.pipelines.handlers.lineages import Lineages
from services.pipelines.handlers.releases import (
    when_inference_service_deleted,
    when_inference_service_ready,
    when_model_version_created,
)
from tests.services.pipelines.api.conftest import only_in
from tests.services.pipelines.api.test_artifacts import compiled, here  # noqa: F401  a fixture
from tests.services.pipelines.conductor.rig import Rig

Here = tuple[Rig, Artifacts]
HEARS = {
    ModelVersionCreated: when_model_version_created,
    InferenceServiceReady: when_inference_service_ready,
    InferenceServiceDeleted: when_inference_service_deleted,
}


async def hear(rig: Rig, *events: Any) -> None:
    for event in events:
        async with rig.ports.store.write() as uow:
            await HEARS[type(event)](event, SimpleNamespace(releases=SqlReleases(uow)))  # type: ignore[index]


def registered(uri: str, version: str = "1", namespace: str = "team") -> ModelVersionCreated:
    about = {"model": "digits", "model_id": "1", "version_id": version, "format": "sklearn"}
    return ModelVersionCreated(
        **about, namespace=namespace, version=version, uri=uri, metrics={"accuracy": 0.9, "auc": float("nan")}
    )


def ready(fetched: str, asked: str = "model-registry://digits/1", **more: str) -> InferenceServiceReady:
    about = {"namespace": "team", "name": "digits", "uid": "u1", "revision": "digits-1", **more}
    return InferenceServiceReady(**about, url="http://digits", model_uri=asked, fetched_uri=fetched)


async def made(rig: Rig, desk: Artifacts) -> dict[str, dict[str, Any]]:
    run = await rig.over(await rig.submit(compiled()))
    return {each["name"]: each for each in (await desk.of_run(None, run.id))["artifacts"]}


async def an_hour(rig: Rig, rows: Any) -> None:
    """What housekeeping does once an hour with such rows."""
    async with rig.ports.store.read() as reader:
        unneeded = await rows(reader).unneeded()
    async with rig.ports.store.write() as uow:
        await rows(uow).drop(unneeded)


def shape(told: dict[str, Any]) -> tuple[Any, ...]:
    """What is released and by which way, without what depends on times."""
    links = sorted((one["from"], one["to"], one["kind"]) for one in told["links"])
    versions = [(one["model"], one["version"], one["metrics"]) for one in told["model_versions"]]
    return versions, [(one["name"], one["revision"], one["gone"]) for one in told["endpoints"]], links


async def test_a_model_leads_on_to_its_version_and_endpoint_in_whatever_order_these_were_told(here: Here):  # noqa: F811
    rig, desk = here
    found = await made(rig, desk)
    model, uri = found["model"], found["model"]["uri"]
    gone = InferenceServiceDeleted(namespace="team", name="old", uid="u0")
    facts = [registered(uri), ready(f"{uri}/"), ready(uri, name="old", uid="u0", revision="old-1"), gone]
    seen = []
    for order in permutations(facts):
        async with rig.ports.store.write() as uow:
            await uow.later("DELETE FROM pipeline_releases")
        await hear(rig, *order, *order[:2])
        seen.append(shape(await desk.lineage(None, model["artifact_id"], "down")))
    versions, endpoints, links = seen[0]
    assert versions == [("digits", "1", {"accuracy": 0.9, "auc": "NaN"})]
    assert sorted(endpoints) == [("digits", "digits-1", False), ("old", "old-1", True)]
    assert links == [
        (model["artifact_id"], "version/1", "registered"),
        ("version/1", "endpoint/u0/old-1", "serves"),
        ("version/1", "endpoint/u1/digits-1", "serves"),
    ]
    assert all((each[0], sorted(each[1]), each[2]) == (versions, sorted(endpoints), links) for each in seen)
    whole = await desk.lineage(None, found["data"]["artifact_id"], "down")
    assert [one["name"] for one in whole["endpoints"]] != [], "also from the data that the model was made of"
    assert (await desk.lineage(None, model["artifact_id"], "up"))["endpoints"] == []


async def test_a_version_and_an_endpoint_lead_back_to_run_inputs_and_code(here: Here):  # noqa: F811
    rig, desk = here
    found = await made(rig, desk)
    uri = found["model"]["uri"]
    await hear(rig, registered(uri), ready("", name="plain", uid="u2"), ready(uri, asked=uri, uid="u3", name="direct"))
    lineages = Lineages(desk.means)
    for graph in (
        await lineages.of_version(None, "digits", "1"),
        await lineages.of_endpoint(None, "team", "plain"),
        await lineages.of_endpoint(None, "team", "direct"),
    ):
        told = graph.shown()
        assert [task["name"] for task in told["tasks"]][:2] == ["train", "make"]
        [run] = told["runs"]
        assert run["spec"].startswith("sha256:") and run["pipeline"] == "made"
        assert {"model", "data"} <= {one["name"] for one in told["artifacts"]}
        assert {one["name"] for one in told["endpoints"]} == {"plain", "direct"}
    links = {(one["from"], one["to"]) for one in told["links"]}
    assert (found["model"]["artifact_id"], "endpoint/u3/digits-1") in links, "it named the bytes, not the version"
    assert ("version/1", "endpoint/u2/digits-1") in links, "of a serving that told no more than the version's name"
    with pytest.raises(NotFound, match="digits/7 is not known here"):
        await lineages.of_version(None, "digits", "7")
    await hear(rig, registered("s3://elsewhere/model", "8"))
    with pytest.raises(NotFound, match="no run here made what model version digits/8 stands for: s3://elsewhere/model"):
        await lineages.of_version(None, "digits", "8")


async def test_what_others_do_with_a_model_is_told_to_who_may_look_there(here: Here):  # noqa: F811
    rig, desk = here
    found = await made(rig, desk)
    uri, id = found["model"]["uri"], found["model"]["artifact_id"]
    await hear(rig, registered(uri, namespace="other"), ready(uri, namespace="other"), ready(uri, uid="u9"))
    told = await desk.lineage(None, id, "down")
    assert (told["model_versions"], [one["uid"] for one in told["endpoints"]]) == ([], ["u9"])
    theirs = Lineages(replace(desk.means, allow=only_in("other")))
    for asked in (theirs.of_version(None, "digits", "1"), theirs.of_endpoint(None, "team", "digits")):
        with pytest.raises(Forbidden):
            await asked


async def test_a_lineage_is_drawn_with_all_that_it_leads_to(here: Here):  # noqa: F811
    rig, desk = here
    found = await made(rig, desk)
    await hear(rig, registered(found["model"]["uri"]), ready(found["model"]["uri"], name="a&b"))
    drawn = await desk.lineage_picture(None, found["data"]["artifact_id"])
    for words in (
        ">digits/1<",
        "model version",
        ">a&amp;b<",
        "endpoint, digits-1",
        ">train<",
        "step of made",
        "Dataset",
    ):
        assert words in drawn, words
    assert "executor-logs" not in drawn
    assert drawn.count('class="l"') == 5, "make, data, train, model, version, endpoint"


async def test_an_endpoint_that_is_gone_is_forgotten_after_an_hour_unless_it_stood_for_something_here(here: Here):  # noqa: F811
    rig, desk = here
    uri = (await made(rig, desk))["model"]["uri"]
    await hear(rig, registered("s3://elsewhere/1", "2"))
    served = {"ours": (uri, uri), "named": ("", "model-registry://digits/2"), "theirs": ("s3://elsewhere/2",) * 2}
    for uid, (fetched, asked) in {**served, "alive": ("s3://elsewhere/2",) * 2}.items():
        await hear(rig, ready(fetched, asked, name=uid, uid=uid))
    for uid in (*served, "never told of"):
        await hear(rig, InferenceServiceDeleted(namespace="team", name=uid, uid=uid))
    kept = []
    for _ in range(3):
        await an_hour(rig, SqlReleases)
        async with rig.ports.store.read() as reader:
            rows = await reader.rows("SELECT DISTINCT id FROM pipeline_releases WHERE kind <> 'version'")
            kept.append({str(id) for (id,) in rows})
    stay = {"ours", "named", "alive"}
    assert kept == [{*stay, "theirs", "never told of"}, stay, stay]
