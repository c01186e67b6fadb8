"""Watches: what begins, what follows, what ends them."""

import asyncio
import json
from typing import Any

import httpx

from libs.base import SystemClock, SystemIds
from libs.resources import Resources, selectors
from libs.store import Change, Store, trim
from libs.testing.resources import GROUP, TOYS, WIDGET, widget

WIDGETS = f"/apis/{GROUP}/v1/namespaces/default/widgets"
TABLE = {"accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}


async def collect(http: httpx.AsyncClient, count: int, headers: Any = None, **query: str) -> list[Any]:
    """The first `count` events of a watch."""
    events: list[Any] = []
    params = {"watch": "true", "timeoutSeconds": "10", **query}
    async with http.stream("GET", WIDGETS, params=params, headers=headers) as answer:
        assert answer.status_code == 200, await answer.aread()
        async for line in answer.aiter_lines():
            events.append(json.loads(line))
            if len(events) == count:
                return events
    return events


def told(events: list[Any]) -> list[tuple[str, str]]:
    return [(e["type"], e["object"]["metadata"].get("name", "")) for e in events]


async def test_a_watch_without_a_version_begins_with_what_exists(http: httpx.AsyncClient, resources: Resources) -> None:
    await resources.create(WIDGET, widget("old"))
    watching = asyncio.create_task(collect(http, 4))
    await asyncio.sleep(0.3)
    await resources.create(WIDGET, widget("new"))
    await resources.patch(WIDGET, "default", "new", {"spec": {"size": 2}})
    last = await resources.delete(WIDGET, "default", "new")
    events = await asyncio.wait_for(watching, 30)
    assert told(events) == [("ADDED", "old"), ("ADDED", "new"), ("MODIFIED", "new"), ("DELETED", "new")]
    versions = [int(e["object"]["metadata"]["resourceVersion"]) for e in events]
    assert versions == sorted(set(versions)) and versions[-1] > int(last["metadata"]["resourceVersion"])


async def test_a_watch_from_a_version_misses_nothing_and_repeats_nothing(
    http: httpx.AsyncClient, resources: Resources
) -> None:
    for name in ("before", "and-before"):
        await resources.create(WIDGET, widget(name))
    version = (await http.get(WIDGETS)).json()["metadata"]["resourceVersion"]
    for n in range(5):
        await resources.create(WIDGET, widget(f"w{n}"))
    watching = asyncio.create_task(collect(http, 10, resourceVersion=version))
    for n in range(5, 10):
        await resources.create(WIDGET, widget(f"w{n}"))
        await asyncio.sleep(0.01)
    assert told(await asyncio.wait_for(watching, 30)) == [("ADDED", f"w{n}") for n in range(10)]


async def test_an_object_that_stops_matching_is_deleted_for_the_watcher(
    http: httpx.AsyncClient, resources: Resources
) -> None:
    version = (await http.get(WIDGETS)).json()["metadata"]["resourceVersion"]
    await resources.create(WIDGET, widget("w"))
    for label in ("x", "y", "x"):
        await resources.patch(WIDGET, "default", "w", {"metadata": {"labels": {"l": label}}})
    await resources.delete(WIDGET, "default", "w")
    events = await collect(http, 4, resourceVersion=version, labelSelector="l=x")
    assert [e["type"] for e in events] == ["ADDED", "DELETED", "ADDED", "DELETED"]


async def test_initial_events_end_with_their_bookmark(http: httpx.AsyncClient, resources: Resources) -> None:
    await resources.create(WIDGET, widget("one"))
    asked = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
    events = await collect(http, 2, **asked)
    assert [e["type"] for e in events] == ["ADDED", "BOOKMARK"]
    assert events[1]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert int(events[1]["object"]["metadata"]["resourceVersion"]) > 0
    refused = await http.get(WIDGETS, params={"watch": "true", "sendInitialEvents": "true"})
    assert refused.status_code == 422


async def test_a_watch_ends_at_its_timeout(http: httpx.AsyncClient) -> None:
    answer = await http.get(WIDGETS, params={"watch": "True", "timeoutSeconds": "1"})
    assert answer.status_code == 200 and answer.text == ""


async def test_a_table_watch_tells_its_columns_once(http: httpx.AsyncClient, resources: Resources) -> None:
    await resources.create(WIDGET, widget("a", size=1))
    await resources.create(WIDGET, widget("b", size=2))
    first, second = await collect(http, 2, headers=TABLE)
    assert first["object"]["columnDefinitions"] and second["object"]["columnDefinitions"] is None
    assert second["object"]["rows"][0]["cells"][:2] == ["b", 2]


async def test_a_version_that_was_trimmed_is_gone(http: httpx.AsyncClient, resources: Resources, store: Store) -> None:
    for n in range(5):
        await resources.create(WIDGET, widget(f"w{n}"))
    await trim(store, keep_rows=1)
    answer = await http.get(WIDGETS, params={"watch": "true", "resourceVersion": "1"})
    assert answer.status_code == 410 and answer.json()["reason"] == "Expired"


async def test_a_watch_hears_of_another_replicas_changes(resources: Resources, tmp_path: Any) -> None:
    other = await Store.open(f"sqlite:///{tmp_path}/store.db", clock=SystemClock(), ids=SystemIds())
    replica = Resources(other, TOYS, clock=SystemClock(), ids=SystemIds(), source="millstream/toys")
    changes = resources.watch(WIDGET, "default")
    waiting = asyncio.ensure_future(anext(changes))
    await asyncio.sleep(0.1)
    await replica.create(WIDGET, widget("elsewhere"))
    assert (await asyncio.wait_for(waiting, 30))["object"]["metadata"]["name"] == "elsewhere"
    await changes.aclose()  # type: ignore[attr-defined]
    await other.close()


async def test_many_watchers_see_the_same_and_leave_nothing_behind(resources: Resources) -> None:
    async def follow(labels: str | None) -> list[str]:
        seen = []
        async for change in resources.watch(WIDGET, None, selectors=selectors(labels), timeout=60):
            seen.append(change["object"]["metadata"]["name"])
            if len(seen) == 20:
                break
        return seen

    watching = [asyncio.create_task(follow(None if n % 2 else "!none")) for n in range(10)]
    await asyncio.sleep(0.1)
    for n in range(20):
        await resources.create(WIDGET, widget(f"w{n}"))
    assert await asyncio.wait_for(asyncio.gather(*watching), 30) == [[f"w{n}" for n in range(20)]] * 10


async def test_what_an_object_was_before_is_not_decoded_once_more(resources: Resources, monkeypatch: Any) -> None:
    decoded: list[int] = []
    monkeypatch.setattr(Change, "prev", property(lambda change: change.prev_json and decoded.append(change.seq)))
    batches = await resources.changes(WIDGET, None, None, selectors("kept=yes"), False, None, 10)
    made = widget("a")
    made["metadata"]["labels"] = {"kept": "yes"}
    await resources.create(WIDGET, made)
    await resources.patch(WIDGET, "default", "a", {"spec": {"size": 2}})
    await resources.patch(WIDGET, "default", "a", {"metadata": {"labels": {"kept": "no"}}})
    seen: list[str] = []
    async for batch in batches:
        seen += [happening.type for happening in batch]
        if len(seen) == 3:
            break
    assert (seen, decoded) == (["ADDED", "MODIFIED", "DELETED"], [])


async def test_draining_ends_every_watch(http: httpx.AsyncClient, resources: Resources) -> None:
    watching = asyncio.create_task(collect(http, 1))
    await asyncio.sleep(0.2)
    resources.drain()
    assert await asyncio.wait_for(watching, 30) == []
