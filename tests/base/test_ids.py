"""Names for new things."""

import uuid
from datetime import UTC, datetime

import pytest

from libs.base import Ids, SeededIds, SystemIds
from libs.base.ids import SUFFIX_ALPHABET


class SteppingBack:
    """A clock whose every reading is one second earlier."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000

    def now(self) -> datetime:
        self.seconds -= 1
        return datetime.fromtimestamp(self.seconds, UTC)

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None: ...


@pytest.mark.parametrize("ids", [SystemIds(), SeededIds(1)], ids=["system", "seeded"])
def test_ids_have_the_shape_that_clients_check(ids: Ids):
    assert uuid.UUID(ids.uid()).version == 4
    assert uuid.UUID(ids.event()).version == 7
    assert uuid.UUID(ids.event()).variant == uuid.RFC_4122
    assert set(ids.suffix(200)) <= set(SUFFIX_ALPHABET)
    assert len(ids.suffix()) == 5


@pytest.mark.parametrize(
    "ids", [SystemIds(), SeededIds(1), SystemIds(SteppingBack())], ids=["system", "seeded", "clock steps back"]
)
def test_event_ids_sort_in_the_order_they_were_made(ids: Ids):
    made = [ids.event() for _ in range(10_000)]
    assert made == sorted(set(made))


def test_the_same_seed_gives_the_same_ids():
    a, b = SeededIds(7), SeededIds(7)
    assert [a.uid(), a.event(), a.suffix()] == [b.uid(), b.event(), b.suffix()]


def test_another_seed_gives_other_ids():
    assert SeededIds(7).uid() != SeededIds(8).uid()
