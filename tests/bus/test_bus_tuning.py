"""Back-off and verdicts: pure, so told without a broker."""

from itertools import pairwise

import pytest

from libs.bus import Delivery, Poison, Tuning
from libs.bus.attempt import Failures, attempt
from libs.bus.tuning import Bury, Retry, backoff, describe, is_killer, judge
from libs.testing.clock import START, VirtualClock

TUNING = Tuning(max_attempts=4, backoff_first_s=1.0, backoff_max_s=8.0, max_unfinished=9)


def test_the_ceiling_of_the_back_off_doubles_up_to_its_limit() -> None:
    for number, ceiling in [(1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (5, 8.0), (5000, 8.0)]:
        delays = [backoff(number, f"{key}", TUNING) for key in range(200)]
        assert all(ceiling / 2 <= delay < ceiling for delay in delays)
        assert max(delays) - min(delays) > ceiling / 3, "messages that failed together come again apart"


def test_the_same_message_has_the_same_back_off_everywhere() -> None:
    assert backoff(3, "trainer:17", TUNING) == backoff(3, "trainer:17", TUNING)


def test_a_failure_is_retried_until_its_last_attempt() -> None:
    verdicts = [judge(ValueError("no"), attempt=n, key="k", tuning=TUNING) for n in (1, 2, 3, 4)]
    waits = [verdict.delay_s for verdict in verdicts[:3] if isinstance(verdict, Retry)]
    assert len(waits) == 3
    assert all(later > sooner for sooner, later in pairwise(waits))
    assert verdicts[3] == Bury("ValueError: no")


def test_poison_needs_no_second_attempt() -> None:
    assert judge(Poison("garbled"), attempt=1, key="k", tuning=TUNING) == Bury("garbled")


@pytest.mark.parametrize(("attempt", "killer"), [(9, False), (10, True)])
def test_a_message_that_no_handler_survives_is_known_by_its_count(attempt: int, killer: bool) -> None:
    assert is_killer(attempt, TUNING) is killer


async def test_deliveries_that_ended_with_their_process_are_no_failures_of_the_letter() -> None:
    """Found by the simulation (seed 423): ten deaths of a service and one error made a good letter a dead one."""

    async def fails(delivery: Delivery) -> None:
        raise ValueError("the database was away for a moment")

    failures, clock = Failures(), VirtualClock()
    verdicts = [
        await attempt(fails, _delivered(n), service="s", clock=clock, tuning=TUNING, failures=failures)
        for n in (6, 7, 8, 9)
    ]
    assert [type(verdict) for verdict in verdicts] == [Retry, Retry, Retry, Bury]


async def test_a_success_forgets_the_failures_before_it() -> None:
    outcomes = iter([ValueError("no"), ValueError("no"), ValueError("no"), None, ValueError("no")])

    async def wavers(delivery: Delivery) -> None:
        if (error := next(outcomes)) is not None:
            raise error

    failures, clock = Failures(), VirtualClock()
    verdicts = [
        await attempt(wavers, _delivered(n), service="s", clock=clock, tuning=TUNING, failures=failures)
        for n in (1, 2, 3, 4, 5)
    ]
    assert [type(verdict) for verdict in verdicts] == [Retry, Retry, Retry, type(None), Retry]


def _delivered(attempt: int) -> Delivery:
    return Delivery("millstream.x.v1.team", {}, b"", 7, START, attempt)


def test_an_error_without_words_is_told_by_its_class() -> None:
    assert describe(TimeoutError()) == "TimeoutError"
