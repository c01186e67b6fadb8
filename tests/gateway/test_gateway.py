"""The door: who may pass, where they are led, and what they must not bring along."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from libs.base import SystemClock
from libs.service.identity import HEADER, Verifier
from tests.gateway.world import LOCAL_TOKEN, PUBLIC, World, world

BOATS = "/apis/toys.example.org/v1/namespaces/team/boats"
TRAINS = "/apis/toys.example.org/v1/namespaces/team/trains"
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"


@pytest.fixture
async def gate(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as found:
        yield found


@pytest.fixture
async def http(gate: World) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(gate.url) as session:
        yield session


def boat(name: str) -> dict[str, Any]:
    return {"apiVersion": "toys.example.org/v1", "kind": "Boat", "metadata": {"name": name}}


async def test_two_services_share_a_group_and_each_gets_its_plural(http: aiohttp.ClientSession) -> None:
    assert (await http.post(BOATS, json=boat("ark"))).status == 201
    train = {**boat("express"), "kind": "Train"}
    assert (await http.post(TRAINS, json=train)).status == 201
    assert (await (await http.get(f"{BOATS}/ark")).json())["kind"] == "Boat"
    assert [x["metadata"]["name"] for x in (await (await http.get(TRAINS)).json())["items"]] == ["express"]


async def test_discovery_and_openapi_are_merged(http: aiohttp.ClientSession) -> None:
    listed = await (await http.get("/apis/toys.example.org/v1")).json()
    assert {"boats", "trains"} <= {each["name"] for each in listed["resources"]}
    groups = (await (await http.get("/apis")).json())["groups"]
    assert [each["name"] for each in groups].count("toys.example.org") == 1
    answer = await http.get("/apis", headers={"Accept": AGGREGATED})
    assert answer.headers["Content-Type"] == AGGREGATED.split(",")[0]
    (group,) = (each for each in (await answer.json())["items"] if each["metadata"]["name"] == "toys.example.org")
    assert {each["resource"] for each in group["versions"][0]["resources"]} == {"boats", "trains"}
    index = await (await http.get("/openapi/v3")).json()
    document = await (await http.get(index["paths"]["apis/toys.example.org/v1"]["serverRelativeURL"])).json()
    assert any("boats" in path for path in document["paths"]) and any("trains" in path for path in document["paths"])


async def test_an_unchanged_document_is_not_sent_again(http: aiohttp.ClientSession) -> None:
    first = await http.get("/openapi/v3")
    again = await http.get("/openapi/v3", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status, await again.read()) == (304, b"")


async def test_one_service_down_leaves_the_rest(gate: World, http: aiohttp.ClientSession) -> None:
    await gate.stops["trains"].aclose()
    listed = await (await http.get("/apis/toys.example.org/v1")).json()
    assert "boats" in {each["name"] for each in listed["resources"]}
    assert (await http.get(BOATS)).status == 200
    refused = await http.get(TRAINS)
    assert refused.status == 503
    assert (await refused.json())["reason"] == "ServiceUnavailable"


async def test_prefixes_win_over_groups_and_the_longest_wins(gate: World, http: aiohttp.ClientSession) -> None:
    await http.get("/apis/v2beta1/runs?page_size=3&filter=a%2Bb")
    assert gate.pipelines.asked[0].raw_path == "/apis/v2beta1/runs?page_size=3&filter=a%2Bb"
    assert (await http.get("/api/model_registry/v1/special/x")).status == 200
    assert (await http.get("/api/model_registry/v1x")).status == 404


async def test_a_browser_at_the_door_is_led_to_the_page_and_a_program_told_that_there_is_nothing(
    http: aiohttp.ClientSession,
) -> None:
    led = await http.get("/", headers={"Accept": "text/html,*/*"}, allow_redirects=False)
    assert (led.status, led.headers["Location"]) == (302, "/apis/v2beta1/page")
    assert (await http.get("/", headers={"Accept": "application/json"})).status == 404


async def test_a_service_proxy_path_is_stripped(gate: World, http: aiohttp.ClientSession) -> None:
    await http.get("/api/v1/namespaces/kubeflow/services/ml-pipeline:http/proxy/apis//v2beta1/runs?a=b")
    assert gate.pipelines.asked[0].raw_path == "/apis/v2beta1/runs?a=b"


async def test_built_in_kinds_are_the_nodes(gate: World, http: aiohttp.ClientSession) -> None:
    await http.get("/api/v1/namespaces/team/pods/a/log?follow=true")
    await http.get("/apis/batch/v1/namespaces/team/jobs")
    assert [request.path for request in gate.node.asked] == [
        "/api/v1/namespaces/team/pods/a/log",
        "/apis/batch/v1/namespaces/team/jobs",
    ]


async def test_a_caller_cannot_bring_an_identity_along(gate: World, http: aiohttp.ClientSession) -> None:
    forged = {
        "X-Millstream-Identity": "forged",
        "X_Millstream_Identity": "forged",
        "X-Remote-User": "root",
        "X-Forwarded-User": "root",
        "Impersonate-User": "root",
        "Authorization": f"Bearer {LOCAL_TOKEN}",
    }
    told = await (await http.get("/api/v1/namespaces", headers=forged)).json()
    headers = dict(told["headers"])
    assert not {
        "x_millstream_identity",
        "x-remote-user",
        "x-forwarded-user",
        "impersonate-user",
        "authorization",
    } & set(headers)
    user = Verifier(PUBLIC, SystemClock()).verify(headers["x-millstream-identity"])
    assert user.name == "local-user"


async def test_a_traced_request_goes_on_under_the_gateways_span(http: aiohttp.ClientSession) -> None:
    trace, caller = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    answer = await http.get("/api/v1/pods", headers={"traceparent": f"00-{trace}-{caller}-01"})
    told = [value for name, value in (await answer.json())["headers"] if name == "traceparent"]
    assert len(told) == 1
    assert told[0].split("-")[1] == trace
    assert told[0].split("-")[2] != caller


async def test_only_self_authenticated_routes_see_the_callers_token(http: aiohttp.ClientSession) -> None:
    secret = {"Authorization": "Bearer of-the-job"}
    told = await (await http.post("/apis/v2beta1/jobs/x/progress", headers=secret)).json()
    assert dict(told["headers"])["authorization"] == "Bearer of-the-job"
    assert "x-millstream-identity" not in dict(told["headers"])
    assert (await http.post("/apis/v2beta1/jobs/x/other", headers=secret)).status == 401


async def test_a_watch_flows_at_once_and_ends_when_the_caller_leaves(gate: World, http: aiohttp.ClientSession) -> None:
    async with asyncio.timeout(30):
        answer = await http.get("/api/v1/pods?watch=true")
        assert await answer.content.readline() == b'{"type":"ADDED"}\n'
        answer.close()
        await gate.node.left.wait()


async def test_a_large_body_streams_through_and_one_too_large_is_413(gate: World, tmp_path: Path) -> None:
    async def body(size: int) -> AsyncIterator[bytes]:
        for _ in range(size // 65536):
            yield b"x" * 65536

    async with aiohttp.ClientSession(gate.url) as http:
        told = await (await http.post("/apis/v2beta1/upload", data=body(8 * 2**20))).json()
        assert told["size"] == 8 * 2**20
        assert (await http.post("/apis/v2beta1/upload", data=b"x" * (33 * 2**20))).status == 413
        assert (await http.post("/apis/v2beta1/upload", data=body(34 * 2**20))).status == 413


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/nowhere", 404),
        ("/apis/toys.example.org/v1/namespaces/team/planes", 404),
        ("/apis/toys.example.org/v9", 404),
        ("/apis/v2beta1/%2e%2e/%2e%2e/api/v1/secrets", 400),
        ("/apis/v2beta1/a%00b", 400),
        ("/apis/v2beta1/" + "a" * 20_000, 414),
        ("/openapi/v2", 404),
        ("/openapi/v3/../../api/v1/secrets", 400),
        ("/openapi/v3/x%3Fwatch=1", 404),
        ("/apis/apps/v1%252Fdeployments", 404),
        ("/apis/apps/v1%3Fwatch=1", 404),
    ],
)
async def test_bad_paths_get_a_status(gate: World, path: str, code: int) -> None:
    from yarl import URL

    async with aiohttp.ClientSession() as http:
        answer = await http.get(URL(gate.url + path, encoded=True))
        assert answer.status == code
        assert json.loads(await answer.read())["kind"] == "Status"
    assert gate.node.asked == []


async def test_the_gateway_asks_for_documents_as_anybody_could(gate: World, http: aiohttp.ClientSession) -> None:
    """What it sees it shows to all, also a document whose path is one word (`/openapi/v3/version` of a cluster)."""
    assert (await http.get("/openapi/v3/version")).status == 200
    [asked] = gate.node.asked
    assert asked.path == "/openapi/v3/version"
    assert Verifier(PUBLIC, SystemClock()).verify(asked.headers[HEADER]).groups == ("system:authenticated",)


async def test_headers_too_large_are_431(http: aiohttp.ClientSession) -> None:
    assert (await http.get("/version", headers={f"x-{n}": "y" * 8000 for n in range(9)})).status == 431


async def test_a_connection_the_service_closes_is_no_error(http: aiohttp.ClientSession) -> None:
    answers = [await http.get("/apis/v2beta1/runs?close=1") for _ in range(5)]
    assert [each.status for each in answers] == [200] * 5


async def test_who_am_i_and_may_i(http: aiohttp.ClientSession) -> None:
    me = await (await http.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", data=b"k8s\x00junk")).json()
    assert me["status"]["userInfo"]["username"] == "local-user"
    asked = {"spec": {"resourceAttributes": {"verb": "get"}}}
    may = await (await http.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", json=asked)).json()
    assert may["status"]["allowed"] is True
    assert may["spec"] == asked["spec"]
    bad = await http.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", data=b"{")
    assert bad.status == 400


async def test_a_foreign_web_page_is_not_the_local_user(http: aiohttp.ClientSession) -> None:
    assert (await http.get(BOATS)).status == 200
    assert (await http.get(BOATS, headers={"Origin": "https://evil.example"})).status == 401
    assert (await http.get(BOATS, headers={"Host": "rebound.evil.example"})).status == 401
    assert (await http.get(BOATS, headers={"X-Forwarded-For": "203.0.113.7"})).status == 401


async def test_readiness_and_version_need_no_credential(gate: World) -> None:
    async with aiohttp.ClientSession(gate.url) as http:
        evil = {"Origin": "https://evil.example"}
        for path in ("/healthz", "/readyz", "/livez", "/version"):
            assert (await http.get(path, headers=evil)).status == 200
