"""Pods that are gone are read from the archive; what the cluster has, or forbids, is the cluster's word."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse

from libs.base.errors import Forbidden, NotFound
from tests.gateway.world import LOCAL_TOKEN, World, app, world

PODS = "/api/v1/namespaces/team/pods"
EVENTS = "/api/v1/namespaces/team/events"
OF_DIGITS = {"labelSelector": "jobset.sigs.k8s.io/jobset-name=digits"}
Object = dict[str, Any]


def pod(index: int, name: str = "") -> Object:
    labels = {"jobset.sigs.k8s.io/replicatedjob-name": "node", "batch.kubernetes.io/job-completion-index": str(index)}
    meta = {"name": name or f"digits-{index}", "labels": labels, "annotations": {"millstream.dev/archived": "now"}}
    return {"metadata": meta, "spec": {"containers": [{"name": "node"}]}, "status": {"phase": "Failed"}}


class Keeper:
    """Stands for the trainer: an archive of two pods."""

    def __init__(self) -> None:
        self.users: list[str] = []
        self.is_forbidden = False

    def router(self) -> APIRouter:
        routes = APIRouter(prefix="/training/v1/namespaces/team/archive")
        routes.get("/pods")(self.pods)
        routes.get("/pods/{name}")(self.pod)
        routes.get("/pods/{name}/log")(self.log)
        routes.get("/events")(self.events)
        return routes

    def _note(self, request: Request) -> None:
        self.users.append(request.state.user.name)
        if self.is_forbidden:
            raise Forbidden("not yours")

    async def pods(self, request: Request) -> Object:
        self._note(request)
        return {"items": [pod(0), pod(1)]}

    async def pod(self, request: Request, name: str) -> Object:
        self._note(request)
        if name != "digits-0":
            raise NotFound.about("pods", name)
        return pod(0)

    async def log(self, request: Request, name: str, tailLines: int) -> PlainTextResponse:
        self._note(request)
        return PlainTextResponse(f"the last {tailLines} lines of {name}\n")

    async def events(self, request: Request) -> Object:
        return {"items": [{"metadata": {"name": "here"}}, {"metadata": {"name": "gone"}}]}


@pytest.fixture
def keeper() -> Keeper:
    return Keeper()


@pytest.fixture
async def gate(tmp_path: Path, keeper: Keeper) -> AsyncIterator[World]:
    trainer = app("trainer", "coach", lambda ports: [keeper.router()], routes=("/training/v1",))
    async with world(tmp_path, apps=[trainer]) as found:
        missing = {"kind": "Status", "reason": "NotFound", "message": "the cluster has none", "code": 404}
        for path in (f"{PODS}/digits-0", f"{PODS}/digits-0/log", f"{PODS}/other"):
            found.node.says[path] = (404, missing)
        found.node.says[PODS] = (200, {"kind": "PodList", "metadata": {"resourceVersion": "7"}, "items": []})
        yield found


@pytest.fixture
async def http(gate: World) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(gate.url) as session:
        yield session


async def test_a_pod_that_is_gone_is_found_with_its_log_as_the_user_who_asks(
    http: aiohttp.ClientSession, keeper: Keeper
) -> None:
    bearer = {"Authorization": f"Bearer {LOCAL_TOKEN}"}
    found = await http.get(f"{PODS}/digits-0", headers=bearer)
    assert (await found.json())["metadata"]["annotations"] == {"millstream.dev/archived": "now"}
    log = await http.get(f"{PODS}/digits-0/log", params={"tailLines": "5"}, headers=bearer)
    assert (log.content_type, await log.text()) == ("text/plain", "the last 5 lines of digits-0\n")
    assert len(keeper.users) == 2 and len(set(keeper.users)) == 1


async def test_what_neither_has_is_not_found_in_the_clusters_words(http: aiohttp.ClientSession) -> None:
    answer = await http.get(f"{PODS}/other")
    assert answer.status == 404
    assert (await answer.json())["message"] == "the cluster has none"


async def test_living_pods_win_and_the_rest_is_added(gate: World, http: aiohttp.ClientSession) -> None:
    living = {**pod(1, "digits-1-new"), "status": {"phase": "Running"}}
    gate.node.says[PODS] = (200, {"kind": "PodList", "metadata": {"resourceVersion": "7"}, "items": [living]})
    told = await (await http.get(PODS, params=OF_DIGITS)).json()
    assert [each["metadata"]["name"] for each in told["items"]] == ["digits-1-new", "digits-0"]
    assert told["metadata"]["resourceVersion"] == "7"


async def test_only_the_pods_of_a_job_are_completed_and_no_watch(gate: World, http: aiohttp.ClientSession) -> None:
    assert (await (await http.get(PODS)).json())["items"] == []
    assert (await (await http.get(PODS, params={"labelSelector": "app=web"})).json())["items"] == []
    async with http.get(PODS, params={**OF_DIGITS, "watch": "true"}) as watch:
        assert await watch.content.readline() == b'{"type":"ADDED"}\n'


async def test_a_table_gets_rows_that_say_where_they_come_from(gate: World, http: aiohttp.ClientSession) -> None:
    columns = [{"name": name} for name in ("Name", "Ready", "Status", "Age")]
    gate.node.says[PODS] = (200, {"kind": "Table", "columnDefinitions": columns, "rows": []})
    told = await (await http.get(PODS, params=OF_DIGITS)).json()
    assert told["rows"][0]["cells"][:3] == ["digits-0", "0/1", "Failed (archived)"]


async def test_events_are_told_once(gate: World, http: aiohttp.ClientSession) -> None:
    gate.node.says[EVENTS] = (200, {"kind": "EventList", "metadata": {}, "items": [{"metadata": {"name": "here"}}]})
    told = await (await http.get(EVENTS)).json()
    assert [each["metadata"]["name"] for each in told["items"]] == ["here", "gone"]


async def test_what_the_archive_forbids_is_not_shown(http: aiohttp.ClientSession, keeper: Keeper) -> None:
    keeper.is_forbidden = True
    assert (await http.get(f"{PODS}/digits-0")).status == 404
    assert (await (await http.get(PODS, params=OF_DIGITS)).json())["items"] == []


async def test_what_the_cluster_forbids_the_archive_is_not_asked(
    gate: World, http: aiohttp.ClientSession, keeper: Keeper
) -> None:
    gate.node.says[f"{PODS}/digits-0"] = (403, {"kind": "Status", "reason": "Forbidden", "code": 403})
    assert (await http.get(f"{PODS}/digits-0")).status == 403
    assert keeper.users == []


async def test_without_an_answer_of_the_archive_the_cluster_speaks_alone(
    gate: World, http: aiohttp.ClientSession
) -> None:
    await gate.stops["trainer"].aclose()
    assert (await http.get(f"{PODS}/digits-0")).status == 404
    assert (await (await http.get(PODS, params=OF_DIGITS)).json())["items"] == []
