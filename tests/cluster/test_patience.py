"""What a busy, restarting or rotating API server may ask of its clients, and that they do it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from libs.base import ApiError, SystemClock, Unauthorized, Unavailable
from libs.base.errors import Conflict, TooManyRequests
from libs.cluster import JOB, POD, Cluster
from libs.cluster.patience import ATTEMPTS_MAX, wait_before_again
from tests.cluster.toyserver import ToyServer, pod, status

NAMED = {"apiVersion": "v1", "kind": "Pod", **pod("a", 1)}


class Hurried(SystemClock):
    """Real time, but nobody sleeps; the wishes are written down."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@pytest.fixture
async def toy(tmp_path: Path) -> AsyncIterator[ToyServer]:
    server = ToyServer()
    server.kubeconfig = await server.start(tmp_path)  # type: ignore[attr-defined]
    yield server
    await server.runner.cleanup()


@pytest.fixture
def clock() -> Hurried:
    return Hurried()


@pytest.fixture
async def cluster(toy: ToyServer, clock: Hurried) -> AsyncIterator[Cluster]:
    found = await Cluster.connect(toy.kubeconfig, clock=clock)  # type: ignore[attr-defined]
    yield found
    await found.close()


def busy(seconds: str, code: int = 429) -> tuple[int, Any, dict[str, str]]:
    reason = "TooManyRequests" if code == 429 else "ServiceUnavailable"
    return code, status(code, reason), {"Retry-After": seconds}


async def test_a_throttled_call_is_sent_again_as_late_as_was_asked(
    toy: ToyServer, cluster: Cluster, clock: Hurried
) -> None:
    toy.answers = [busy("1"), busy("3"), (200, pod("a", 1))]
    assert (await cluster.get(POD, "team", "a") or {})["metadata"]["name"] == "a"
    first, second = clock.slept
    assert 1 <= first <= 1.25 and 3 <= second <= 3.75


async def test_a_throttled_creation_is_sent_again_too(toy: ToyServer, cluster: Cluster) -> None:
    """Priority and fairness refuses before anything was done."""
    toy.answers = [busy("1"), (201, NAMED)]
    await cluster.create(NAMED)
    assert [request.method for request in toy.asked] == ["POST", "POST"]
    assert toy.bodies[0] == toy.bodies[1]


async def test_a_server_that_starts_says_when_to_come_back(toy: ToyServer, cluster: Cluster) -> None:
    toy.answers = [busy("1", 503), (200, NAMED), busy("1", 503)]
    await cluster.apply(NAMED)
    with pytest.raises(Unavailable):
        await cluster.create(NAMED)
    assert [request.method for request in toy.asked] == ["PATCH", "PATCH", "POST"]


async def test_patience_ends_and_the_wish_is_passed_on(toy: ToyServer, cluster: Cluster) -> None:
    toy.answers = [busy("2")] * (ATTEMPTS_MAX + 1)
    with pytest.raises(TooManyRequests) as caught:
        await cluster.get(POD, "team", "a")
    assert caught.value.retry_after_s == 2 and len(toy.asked) == ATTEMPTS_MAX


async def test_who_asks_for_minutes_is_not_waited_for(toy: ToyServer, cluster: Cluster, clock: Hurried) -> None:
    toy.answers = [busy("120")]
    with pytest.raises(TooManyRequests) as caught:
        await cluster.get(POD, "team", "a")
    assert caught.value.retry_after_s == 120 and clock.slept == []


async def test_retry_after_may_be_a_date(toy: ToyServer, cluster: Cluster, clock: Hurried) -> None:
    then = format_datetime(datetime.now(UTC) + timedelta(seconds=4), usegmt=True)
    toy.answers = [busy(then), (200, pod("a", 1))]
    await cluster.get(POD, "team", "a")
    assert 2 <= clock.slept[0] <= 5.5


async def test_a_cut_call_is_sent_again_when_that_does_no_harm(toy: ToyServer, cluster: Cluster) -> None:
    toy.answers = [b"cut", b"cut", b"cut", (200, NAMED)]
    await cluster.apply(NAMED)
    asked = len(toy.asked)
    toy.answers = [b"cut"] * 8
    with pytest.raises(Unavailable, match="does not answer"):
        await cluster.create(NAMED)
    assert asked >= 4 and [request.method for request in toy.asked[asked:]] == ["POST"]


async def test_a_conflict_is_for_the_caller_to_solve(toy: ToyServer, cluster: Cluster) -> None:
    toy.answers = [(409, status(409, "Conflict"))]
    with pytest.raises(Conflict):
        await cluster.replace(NAMED)
    assert len(toy.asked) == 1


async def test_a_refused_token_is_read_again_once(toy: ToyServer, cluster: Cluster, tmp_path: Path) -> None:
    toy.answers = [(401, status(401, "Unauthorized")), (200, pod("a", 1)), (200, "line\n")]
    (tmp_path / "token").write_text("second-token")
    await cluster.get(POD, "team", "a")
    assert [line async for line in cluster.logs("team", "a")] == ["line"]
    told = [request.headers["Authorization"] for request in toy.asked]
    assert told == ["Bearer first-token", "Bearer second-token", "Bearer second-token"]


async def test_a_token_that_stays_the_same_is_refused_for_good(toy: ToyServer, cluster: Cluster) -> None:
    toy.answers = [(401, status(401, "Unauthorized"))] * 3
    with pytest.raises(Unauthorized):
        await cluster.delete(JOB, "team", "a")
    assert len(toy.asked) == 1


async def test_pages_that_expired_are_asked_for_at_once(toy: ToyServer, cluster: Cluster) -> None:
    page = {"kind": "PodList", "metadata": {"continue": "more", "resourceVersion": "4"}, "items": [pod("a", 1)]}
    whole = {"kind": "PodList", "metadata": {"resourceVersion": "9"}, "items": [pod("b", 2), pod("c", 8)]}
    toy.answers = [(200, page), (410, status(410, "Expired")), (200, whole)]
    assert [item["metadata"]["name"] for item in await cluster.list(POD, "team")] == ["b", "c"]
    assert "limit" not in toy.asked[2].query and "continue" not in toy.asked[2].query


async def told(cluster: Cluster, count: int) -> list[tuple[str, str]]:
    events: list[tuple[str, str]] = []
    async for kind, obj in cluster.watch(POD, namespace="team"):
        events.append((kind, (obj.get("metadata") or {}).get("name", "")))
        if len(events) == count:
            break
    return events


async def test_a_watch_whose_place_is_gone_by_status_code_lists_again(toy: ToyServer, cluster: Cluster) -> None:
    toy.answers = [
        (200, {"kind": "PodList", "metadata": {"resourceVersion": "4"}, "items": [pod("a", 1)]}),
        (410, status(410, "Expired")),
        (200, {"kind": "PodList", "metadata": {"resourceVersion": "8"}, "items": [pod("b", 7)]}),
    ]
    assert await told(cluster, 4) == [("ADDED", "a"), ("SYNCED", ""), ("ADDED", "b"), ("DELETED", "a")]


async def test_a_throttled_watch_waits_and_keeps_its_place(toy: ToyServer, cluster: Cluster, clock: Hurried) -> None:
    """Listing everything again is what a busy server can least bear."""
    toy.answers = [(200, {"kind": "PodList", "metadata": {"resourceVersion": "4"}, "items": []}), busy("7")]
    toy.watches = [[{"type": "ADDED", "object": pod("z", 5)}, None]]
    assert await told(cluster, 2) == [("SYNCED", ""), ("ADDED", "z")]
    assert [request.query.get("watch") for request in toy.asked] == [None, "true", "true"]
    assert toy.asked[2].query["resourceVersion"] == "4" and max(clock.slept) == 7


async def test_watches_that_end_at_once_are_asked_for_ever_less(
    toy: ToyServer, cluster: Cluster, clock: Hurried
) -> None:
    toy.listings = [(4, [])]
    toy.watches = [[]] * 6 + [[{"type": "ADDED", "object": pod("z", 5)}, None]]
    assert await told(cluster, 2) == [("SYNCED", ""), ("ADDED", "z")]
    assert clock.slept == sorted(clock.slept) and len(set(clock.slept)) == 6


@pytest.mark.parametrize(
    ("method", "error", "cut", "again"),
    [
        pytest.param("POST", TooManyRequests("", retry_after_s=1), False, True, id="throttled before it began"),
        pytest.param("POST", Unavailable("", retry_after_s=1), False, False, id="a creation may have been done"),
        pytest.param("PATCH", Unavailable("", retry_after_s=1), False, True, id="a patch does no more when done twice"),
        pytest.param("GET", Unavailable(""), False, False, id="no wish, no patience"),
        pytest.param("GET", Conflict("", retry_after_s=1), False, False, id="a conflict is no trouble of the server"),
        pytest.param("DELETE", ApiError(""), True, True, id="cut"),
        pytest.param("POST", ApiError(""), True, False, id="cut while creating"),
    ],
)
def test_only_what_is_safe_is_sent_again(method: str, error: ApiError, cut: bool, again: bool) -> None:
    assert (wait_before_again(method, error, 1, cut=cut, spread=0.5) is not None) == again
    assert wait_before_again(method, error, ATTEMPTS_MAX, cut=cut, spread=0.5) is None
