"""The cluster client keeps its reader's picture right through lost connections, lost places and rotated tokens."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from libs.base import Conflict, NotFound, SystemClock, Unavailable
from libs.cluster import JOB, POD, Cluster, Resource, resource_of
from tests.cluster.toyserver import ToyServer, pod, status


@pytest.fixture
async def toy(tmp_path: Path) -> AsyncIterator[ToyServer]:
    server = ToyServer()
    server.kubeconfig = await server.start(tmp_path)  # type: ignore[attr-defined]
    yield server
    await server.runner.cleanup()


@pytest.fixture
async def cluster(toy: ToyServer) -> AsyncIterator[Cluster]:
    found = await Cluster.connect(toy.kubeconfig)  # type: ignore[attr-defined]
    yield found
    await found.close()


async def told(cluster: Cluster, count: int) -> list[tuple[str, str]]:
    """The first `count` events as (type, name@version)."""
    events: list[tuple[str, str]] = []
    async with asyncio.timeout(30):
        async for kind, obj in cluster.watch(POD, namespace="team"):
            meta = obj.get("metadata", {})
            events.append((kind, f"{meta['name']}@{meta['resourceVersion']}" if meta else ""))
            if len(events) == count:
                break
    return events


def event(kind: str, obj: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, "object": obj}


async def test_a_watch_lists_says_synced_and_follows(toy: ToyServer, cluster: Cluster) -> None:
    toy.listings = [(5, [pod("a", 3)])]
    toy.watches = [
        [event("MODIFIED", pod("a", 6)), event("BOOKMARK", pod("", 9)), event("DELETED", pod("a", 10)), None]
    ]
    assert await told(cluster, 4) == [("ADDED", "a@3"), ("SYNCED", ""), ("MODIFIED", "a@6"), ("DELETED", "a@10")]
    assert toy.asked[1].query["resourceVersion"] == "5"


async def test_after_410_only_the_difference_is_told(toy: ToyServer, cluster: Cluster) -> None:
    toy.listings = [(5, [pod("a", 3), pod("b", 4)]), (20, [pod("a", 3), pod("c", 15)])]
    toy.watches = [[event("ERROR", status(410, "Expired"))], [None]]
    assert await told(cluster, 5) == [
        ("ADDED", "a@3"),
        ("ADDED", "b@4"),
        ("SYNCED", ""),
        ("ADDED", "c@15"),
        ("DELETED", "b@4"),
    ]


async def test_a_cut_connection_is_made_good_by_listing_again(toy: ToyServer, cluster: Cluster) -> None:
    toy.listings = [(5, [pod("a", 3)]), (9, [pod("a", 8)])]
    toy.watches = [[b"cut"], [None]]
    assert await told(cluster, 3) == [("ADDED", "a@3"), ("SYNCED", ""), ("MODIFIED", "a@8")]


async def test_a_watch_that_ended_in_peace_resumes_where_it_was(toy: ToyServer, cluster: Cluster) -> None:
    toy.listings = [(5, [])]
    toy.watches = [[event("BOOKMARK", pod("", 7))], [event("ADDED", pod("z", 8)), None]]
    assert await told(cluster, 2) == [("SYNCED", ""), ("ADDED", "z@8")]
    assert toy.asked[-1].query["resourceVersion"] == "7"


async def test_garbage_in_a_watch_means_list_again(toy: ToyServer, cluster: Cluster) -> None:
    toy.listings = [(5, []), (6, [pod("a", 6)])]
    toy.watches = [[b"<html>\n"], [None]]
    assert await told(cluster, 2) == [("SYNCED", ""), ("ADDED", "a@6")]


async def test_an_event_of_three_megabytes_arrives(toy: ToyServer, cluster: Cluster) -> None:
    toy.listings = [(5, [])]
    toy.watches = [[event("ADDED", pod("big", 6, annotations={"text": "x" * 3_000_000})), None]]
    assert await told(cluster, 2) == [("SYNCED", ""), ("ADDED", "big@6")]


async def test_list_items_know_their_kind(toy: ToyServer, cluster: Cluster) -> None:
    toy.listings = [(5, [pod("a", 3)])]
    items = await cluster.list(POD, "team", labels="app=x")
    assert (items[0]["kind"], items[0]["apiVersion"]) == ("Pod", "v1")
    assert toy.asked[0].query["labelSelector"] == "app=x"


async def test_pages_are_put_together(toy: ToyServer, cluster: Cluster) -> None:
    toy.answers = [
        (200, {"kind": "PodList", "metadata": {"continue": "more", "resourceVersion": "4"}, "items": [pod("a", 1)]}),
        (200, {"kind": "PodList", "metadata": {"resourceVersion": "4"}, "items": [pod("b", 2)]}),
    ]
    assert [item["metadata"]["name"] for item in await cluster.list(POD, "team")] == ["a", "b"]
    assert toy.asked[1].query["continue"] == "more"


async def test_apply_is_a_forced_server_side_apply(toy: ToyServer, cluster: Cluster) -> None:
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "digits", "namespace": "team"}}
    toy.answers = [(200, job)]
    assert await cluster.apply(job) == job
    request = toy.asked[0]
    assert (request.method, request.path) == ("PATCH", "/apis/batch/v1/namespaces/team/jobs/digits")
    assert request.headers["Content-Type"] == "application/apply-patch+yaml"
    assert dict(request.query) == {"fieldManager": "millstream", "force": "true"}
    assert toy.bodies[0] == job


async def test_a_missing_object_is_none_and_its_deletion_false(toy: ToyServer, cluster: Cluster) -> None:
    toy.answers = [(404, status(404, "NotFound")), (404, status(404, "NotFound"))]
    assert await cluster.get(POD, "team", "gone") is None
    assert await cluster.delete(JOB, "team", "gone", grace_s=3) is False
    assert toy.bodies[1]["gracePeriodSeconds"] == 3


async def test_errors_are_those_of_the_status(toy: ToyServer, cluster: Cluster) -> None:
    toy.answers = [(409, status(409, "Conflict")), (500, "<html>proxy error</html>")]
    with pytest.raises(Conflict, match="told: Conflict"):
        await cluster.replace({"apiVersion": "v1", "kind": "Pod", **pod("a", 1)})
    with pytest.raises(Exception, match="proxy error"):
        await cluster.get(POD, "team", "a")


async def test_log_lines_come_as_they_are_written(toy: ToyServer, cluster: Cluster) -> None:
    toy.answers = [(200, "first\nsecond ä\nno newline at the end")]
    lines = [line async for line in cluster.logs("team", "a", tail=5, follow=True)]
    assert lines == ["first", "second ä", "no newline at the end"]
    assert dict(toy.asked[0].query) == {"tailLines": "5", "follow": "true"}


async def test_logs_of_no_pod_are_not_found(toy: ToyServer, cluster: Cluster) -> None:
    toy.answers = [(404, status(404, "NotFound"))]
    with pytest.raises(NotFound):
        await anext(aiter(cluster.logs("team", "gone")))


async def test_a_silent_cluster_is_unavailable(toy: ToyServer, cluster: Cluster) -> None:
    await toy.runner.cleanup()
    with pytest.raises(Unavailable, match="does not answer"):
        await cluster.get(POD, "team", "a")


async def test_a_rotated_token_is_read_again(toy: ToyServer, tmp_path: Path) -> None:
    class Later(SystemClock):
        seconds = 0.0

        def monotonic(self) -> float:
            return self.seconds

        def now(self) -> datetime:
            return datetime.now(UTC)

    clock = Later()
    cluster = await Cluster.connect(toy.kubeconfig, clock=clock)  # type: ignore[attr-defined]
    toy.answers = [(200, {}), (200, {})]
    await cluster.get(POD, "team", "a")
    (tmp_path / "token").write_text("second-token")
    clock.seconds = 61
    await cluster.get(POD, "team", "a")
    await cluster.close()
    assert [r.headers["Authorization"] for r in toy.asked] == ["Bearer first-token", "Bearer second-token"]


def test_unknown_kinds_are_guessed_as_client_go_does() -> None:
    obj = {"apiVersion": "example.org/v1", "kind": "Policy", "metadata": {"namespace": "team"}}
    assert resource_of(obj) == Resource("example.org", "v1", "policies", True, "Policy")
    assert resource_of({"apiVersion": "v1", "kind": "Pod"}) is POD
    assert POD.path("team", "a", "log") == "/api/v1/namespaces/team/pods/a/log"
    assert JOB.path() == "/apis/batch/v1/jobs"


def test_importing_the_room_does_not_load_the_client() -> None:
    code = "import sys, libs.cluster; print('kubernetes' in sys.modules, 'aiohttp' in sys.modules)"
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert seen.stdout.split() == ["False", "False"]
