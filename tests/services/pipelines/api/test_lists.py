"""Lists: filters, orders and pages as kfp.Client and the generated clients ask for them."""

import json
from typing import Any

import pytest

from services.pipelines.handlers.experiments import Experiments
from tests.services.pipelines.api.conftest import Server, refused


def predicate(operation: Any, key: str, **value: Any) -> str:
    return json.dumps({"predicates": [{"operation": operation, "key": key, **value}]})


async def experiments(server: Server, *names: str) -> list[str]:
    ids = []
    for name in names:
        ids.append((await server.post("/experiments", {"display_name": name}))["experiment_id"])
        await server.clock.advance(1)
    return ids


async def names(server: Server, **query: Any) -> list[str]:
    found = await server.get("/experiments", **query)
    return [each["display_name"] for each in found["experiments"]]


async def test_pages_follow_one_another_without_gap_or_repetition_in_any_order(server: Server):
    await experiments(server, "c", "a", "d", "b", "e")
    for sort_by, expected in {"": "cadbe", "name": "abcde", "name desc": "edcba", "created_at desc": "ebdac"}.items():
        seen, token = "", ""
        while True:
            found = await server.get("/experiments", page_size=2, page_token=token, sort_by=sort_by)
            seen += "".join(each["display_name"] for each in found["experiments"])
            assert found["total_size"] == 5
            token = found["next_page_token"]
            if not token:
                break
        assert seen == expected


async def test_a_page_goes_on_behind_the_last_item_however_the_list_grows(server: Server):
    await experiments(server, "b", "d")
    first = await server.get("/experiments", page_size=1, sort_by="name")
    await experiments(server, "a", "c")
    assert await names(server, page_size=9, sort_by="name", page_token=first["next_page_token"]) == ["c", "d"]


FILTERS: list[tuple[str, list[str]]] = [
    (predicate(1, "display_name", stringValue="red one"), ["red one"]),
    (predicate("EQUALS", "display_name", stringValue="red one"), ["red one"]),
    (predicate("NOT_EQUALS", "name", string_value="red one"), ["red two", "blue 100%"]),
    (predicate(9, "name", stringValue="RED"), ["red one", "red two"]),
    (predicate(9, "name", stringValue="0%"), ["blue 100%"]),
    (predicate(8, "name", stringValues={"values": ["red two", "no"]}), ["red two"]),
    (predicate(3, "created_at", timestampValue="2026-01-01T00:00:00Z"), ["red two", "blue 100%"]),
    (
        predicate("LESS_THAN_EQUALS", "created_at", timestamp_value="2026-01-01T01:00:01+01:00"),
        ["red one", "red two"],
    ),
    (predicate(1, "storage_state", stringValue="ARCHIVED"), []),
    (predicate(9, "description", stringValue="nobody's"), []),
    ('{"predicates": []}', ["red one", "red two", "blue 100%"]),
]


async def test_a_filter_leaves_what_it_says(server: Server):
    await experiments(server, "red one", "red two", "blue 100%")
    for filter, expected in FILTERS:
        assert await names(server, filter=filter) == expected, filter


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"filter": "{"}, "filter: not JSON"),
    ({"filter": "[" * 9000}, "filter: not JSON"),
    ({"filter": predicate(4, "name", stringValue="x")}, "filter.predicates[0].operation: 4"),
    ({"filter": predicate(1, "color", stringValue="x")}, "'color' is not one of created_at"),
    ({"filter": predicate(1, "name", intValue=3)}, "this key wants string_value"),
    ({"filter": predicate(1, "created_at", stringValue="x")}, "this key wants timestamp_value"),
    ({"filter": predicate(1, "created_at", timestampValue="yesterday")}, "'yesterday' cannot be read"),
    ({"filter": predicate(1, "name")}, "takes exactly one of"),
    ({"filter": predicate(8, "name", stringValues={"values": []})}, "1 to 1000 of them"),
    ({"filter": predicate(1, "created_at", longValue=str(2**70))}, "more than 64 bits"),
    ({"sort_by": "name sideways"}, "sort_by: 'name sideways'"),
    ({"sort_by": "color"}, "sort_by: 'color'"),
    ({"page_token": "x"}, "page_token: not one that this server gave"),
    ({"page_token": "WzEsMl0="}, "another sort_by or filter"),
    ({"page_size": -1}, "page_size"),
    ({"namespace": "No Namespace"}, "namespace: 'No Namespace'"),
]


async def test_what_no_list_can_be_asked_for_is_refused_with_the_field(server: Server):
    for query, told in REFUSED:
        status, code, message = refused(await server.http.get("/experiments", params=query))
        assert (status, code) == (400, 3) and told in message, query


async def test_a_token_of_another_order_or_filter_is_refused(server: Server):
    await experiments(server, "a", "b")
    token = (await server.get("/experiments", page_size=1, sort_by="name"))["next_page_token"]
    for query in ({"sort_by": "name desc"}, {"sort_by": "name", "filter": predicate(1, "name", stringValue="a")}):
        answer = await server.http.get("/experiments", params={"page_token": token, **query})
        assert "another sort_by or filter" in refused(answer)[2]


@pytest.mark.parametrize(
    ("method", "path", "told"),
    [
        ("POST", "/visualizations/default", "GET /pipelines/v1/artifacts/{id}/view"),
        ("POST", "/workflows", "nobody reports"),
        ("GET", "/filters", "every list takes"),
        ("POST", "/tasks:batchUpdate", "recorded by who runs them"),
        ("PATCH", "/tasks/x", "there is POST artifact_tasks"),
        ("POST", "/runs/x:reportMetrics", "Output[Metrics]"),
        ("GET", "/nothing/at/all", "there is no call GET /apis/v2beta1/nothing/at/all"),
        ("PUT", "/runs/x", "there is no call PUT"),
    ],
)
async def test_a_call_that_is_not_there_is_refused_as_kfp_refuses_with_what_to_do_instead(
    server: Server, method: str, path: str, told: str
):
    status, code, message = refused(await server.http.request(method, path))
    assert (status, code) == ((404, 5) if "there is no call" in told else (501, 12)) and told in message


async def test_a_body_that_is_none_and_what_nobody_thought_of_are_answered_in_kfps_form(
    server: Server, monkeypatch: pytest.MonkeyPatch
):
    assert refused(await server.http.post("/runs")) == (400, 3, "body: Field required")

    async def broken(*told: Any) -> None:
        raise RuntimeError("secret words")

    monkeypatch.setattr(Experiments, "list", broken)
    status, code, message = refused(await server.http.get("/experiments"))
    assert (status, code) == (500, 13) and "secret" not in message
