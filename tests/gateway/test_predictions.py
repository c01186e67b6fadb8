"""`/serving/<namespace>/<name>/...` through the gateway itself: who may, where it leads, what passes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from libs.resources import Kind
from libs.service.app import App
from libs.service.identity import HEADER
from libs.service.manifest import Manifest
from tests.aggregated import api_server
from tests.gateway.world import SCHEMA, Echo, World, world
from tests.platform import free_ports

ISVC = Kind(
    group="serving.kserve.io", version="v1beta1", kind="InferenceService", plural="inferenceservices",
    singular="inferenceservice", schema=SCHEMA,
)  # fmt: skip
OWNER = App(manifest=Manifest(name="serving", owns=("inferenceservices.serving.kserve.io/v1beta1",)), kinds=[ISVC])
ALL = "/apis/serving.kserve.io/v1beta1/namespaces/team/inferenceservices"


class Caller:
    """The local user before a gateway and one predictor, which says what it was asked."""

    def __init__(self, world: World, predictor: Echo) -> None:
        self.world, self.predictor = world, predictor

    async def ask(self, path: str, method: str = "GET", **more: Any) -> tuple[int, Any]:
        url = URL(self.world.url + path, encoded=True)
        async with aiohttp.ClientSession() as session, session.request(method, url, **more) as answer:
            return answer.status, await answer.json(content_type=None)

    async def make(self, name: str) -> None:
        made = {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": {"name": name}}
        assert (await self.ask(ALL, "POST", json=made))[0] == 201


async def _opened(stack: AsyncExitStack, folder: Path, predictor_url: str | None = None, **more: Any) -> Caller:
    predictor = Echo()
    url = predictor_url or await predictor.start(stack) + "/{namespace}.{name}"
    running = await stack.enter_async_context(
        world(folder, apps=[OWNER], serving_proxy=True, predictor_url=url, **more)
    )
    return Caller(running, predictor)


@pytest.fixture
async def caller(tmp_path: Path) -> AsyncIterator[Caller]:
    async with AsyncExitStack() as stack:
        opened = await _opened(stack, tmp_path)
        await opened.make("digits")
        yield opened


async def test_the_predictor_gets_the_request_without_the_prefix_and_byte_for_byte(caller: Caller) -> None:
    code, told = await caller.ask("/serving/team/digits/v2/models/a%2Fb/infer?x=1%20", "POST", data=b"x" * 200_000)
    assert (code, told["method"], told["size"]) == (200, "POST", 200_000)
    assert told["path"] == "/team.digits/v2/models/a%2Fb/infer?x=1%20"
    for path in ("/serving/team/digits", "/serving/team/digits/"):
        assert (await caller.ask(path))[1]["path"] == "/team.digits/"


async def test_the_predictor_learns_nothing_that_it_could_pose_as_the_caller_with(caller: Caller) -> None:
    _, told = await caller.ask("/serving/team/digits/v2", headers={"Authorization": "Bearer the-local-token"})
    names = {name for name, _ in told["headers"]}
    assert not names & {"authorization", HEADER.lower(), "x-forwarded-user"}


async def test_an_answer_streams_and_ends_when_the_caller_leaves(caller: Caller) -> None:
    url = f"{caller.world.url}/serving/team/digits/generate?watch=1"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        assert await answer.content.readline() == b'{"type":"ADDED"}\n'
    await asyncio.wait_for(caller.predictor.left.wait(), 30)


async def test_a_service_that_is_not_there_is_a_404_status(caller: Caller) -> None:
    code, told = await caller.ask("/serving/team/letters/v2")
    assert (code, told["kind"], told["details"]["name"]) == (404, "Status", "letters")
    assert caller.predictor.asked == []


ELSEWHERE = {
    "another host in the name": "/serving/team/digits.evil.example/v2",
    "another port": "/serving/team/digits:8080/v2",
    "a user part": "/serving/team/x@digits/v2",
    "an encoded slash": "/serving/team%2Fdigits/x",
    "an encoded fragment": "/serving/team/digits%23/v2",
    "dots": "/serving/../digits/v2",
    "encoded dots": "/serving/team/%2e%2e/v2",
    "upper case": "/serving/team/Digits/v2",
    "no name": "/serving/team",
    "a name too long": f"/serving/team/{'d' * 64}/v2",
}


@pytest.mark.parametrize("path", ELSEWHERE.values(), ids=ELSEWHERE.keys())
async def test_no_name_leads_elsewhere(caller: Caller, path: str) -> None:
    code, told = await caller.ask(path)
    assert code in (400, 404) and told["kind"] == "Status"
    assert caller.predictor.asked == []


async def test_a_predictor_that_does_not_answer_is_a_503_status(tmp_path: Path) -> None:
    [port] = free_ports(1)
    async with AsyncExitStack() as stack:
        caller = await _opened(stack, tmp_path, f"http://127.0.0.1:{port}")
        await caller.make("digits")
        code, told = await caller.ask("/serving/team/digits/v2")
    assert (code, told["reason"]) == (503, "ServiceUnavailable")


async def test_on_a_cluster_only_who_may_get_the_inference_service_may_ask_it(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        cluster, kubeconfig = await stack.enter_async_context(api_server(tmp_path))
        settings = {"kubeconfig": kubeconfig, "authorization": "cluster"}
        caller = await _opened(stack, tmp_path, of_services=settings)
        await caller.make("digits")
        await caller.make("letters")
        cluster.may = lambda spec: spec["resourceAttributes"].get("name") == "digits"
        assert (await caller.ask("/serving/team/digits/v2"))[0] == 200
        code, told = await caller.ask("/serving/team/letters/v2")
        assert (code, told["reason"]) == (403, "Forbidden")
        assert 'cannot get resource "inferenceservices"' in told["message"]
    assert len(caller.predictor.asked) == 1


async def test_without_the_setting_nothing_is_served_there(tmp_path: Path) -> None:
    async with world(tmp_path, apps=[OWNER]) as running:
        assert (await Caller(running, Echo()).ask("/serving/team/digits/v2"))[0] == 404
