"""What is remembered of a cluster's answers, for how long, and for whom."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from libs.base.errors import Unauthorized, Unavailable
from libs.service.commands import BUS_USER
from libs.service.identity import User
from libs.service.remembered import Remembered
from libs.service.reviews import GOOD_S, Attributes, Path, Reviews
from libs.service.rights import cluster_rights
from libs.testing.clock import VirtualClock
from tests.service.toy import toy_kind

ADA = User("ada", ("team-a",))
LIST = Attributes("list", "trainer.kubeflow.org", "v1alpha1", "trainjobs", namespace="team")


class Cluster:
    """Answers reviews as told, and counts."""

    def __init__(self, **status: Any) -> None:
        self.status, self.asked = status, list[Mapping[str, Any]]()
        self.down = False

    async def create(self, review: Mapping[str, Any]) -> dict[str, Any]:
        self.asked.append(review)
        await asyncio.sleep(0)
        if self.down:
            raise Unavailable("the cluster does not answer")
        return {**review, "status": self.status}


@pytest.mark.parametrize("allowed", [True, False])
async def test_an_answer_counts_for_ten_seconds_whatever_it_was(allowed: bool) -> None:
    cluster, clock = Cluster(allowed=allowed), VirtualClock()
    reviews = Reviews(cluster.create, clock)
    assert await reviews.allows(ADA, LIST) is allowed
    cluster.status = {"allowed": not allowed}
    await clock.advance(GOOD_S - 0.1)
    assert await reviews.allows(ADA, LIST) is allowed
    await clock.advance(0.2)
    assert await reviews.allows(ADA, LIST) is not allowed
    assert len(cluster.asked) == 2


async def test_many_who_ask_the_same_at_once_are_one_question() -> None:
    cluster = Cluster(allowed=True)
    reviews = Reviews(cluster.create, VirtualClock())
    assert all(await asyncio.gather(*(reviews.allows(ADA, LIST) for _ in range(50))))
    assert len(cluster.asked) == 1


async def test_who_gives_up_waiting_takes_no_answer_from_the_others() -> None:
    cluster = Cluster(allowed=True)
    reviews = Reviews(cluster.create, VirtualClock())
    first, second = (asyncio.ensure_future(reviews.allows(ADA, LIST)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second is True


async def test_an_api_server_that_is_away_is_no_answer_and_is_asked_again() -> None:
    cluster, clock = Cluster(allowed=True), VirtualClock()
    reviews = Reviews(cluster.create, clock)
    cluster.down = True
    for _ in range(2):
        with pytest.raises(Unavailable, match="SubjectAccessReview"):
            await reviews.allows(ADA, LIST)
    with pytest.raises(Unavailable, match="TokenReview"):
        await reviews.user_of("token")
    cluster.down = False
    assert await reviews.allows(ADA, LIST)


@pytest.mark.parametrize("status", [{}, {"allowed": "yes"}, {"allowed": True, "denied": True}, {"allowed": None}])
async def test_only_a_plain_yes_allows(status: dict[str, Any]) -> None:
    assert not await Reviews(Cluster(**status).create, VirtualClock()).allows(ADA, LIST)


@pytest.mark.parametrize("status", [{}, {"authenticated": True}, {"authenticated": True, "user": {"username": ""}}])
async def test_a_token_without_a_name_speaks_for_nobody(status: dict[str, Any]) -> None:
    with pytest.raises(Unauthorized):
        await Reviews(Cluster(**status).create, VirtualClock()).user_of("token")


async def test_a_path_is_asked_about_as_what_is_no_resource() -> None:
    cluster = Cluster(allowed=True)
    await Reviews(cluster.create, VirtualClock()).allows(ADA, Path("get", "/api/model_registry/v1"))
    [asked] = cluster.asked
    assert asked["spec"]["nonResourceAttributes"] == {"verb": "get", "path": "/api/model_registry/v1"}
    assert "resourceAttributes" not in asked["spec"]


async def test_memory_is_bounded_and_the_newest_stay() -> None:
    clock, asked = VirtualClock(), list[int]()
    known: Remembered[int, int] = Remembered(clock, 10.0, most=3)

    async def ask(number: int) -> int:
        asked.append(number)
        return number

    for number in (1, 2, 3, 4, 4, 3, 2, 1):
        assert await known.get(number, lambda n=number: ask(n)) == number  # type: ignore[misc]
    assert asked == [1, 2, 3, 4, 1]


async def test_the_bus_needs_no_leave_and_a_user_of_its_name_does() -> None:
    cluster = Cluster(allowed=False)
    may = cluster_rights(Reviews(cluster.create, VirtualClock()))
    assert await may(BUS_USER, "patch", toy_kind(), "team", "x", "")
    assert not await may(User(BUS_USER.name, BUS_USER.groups), "patch", toy_kind(), "team", "x", "status")
    [asked] = cluster.asked
    assert asked["spec"]["resourceAttributes"]["subresource"] == "status"
