"""Back-off and verdicts: pure, so told without a broker."""

from itertools import pairwise

import pytest

from libs.bus import Poison, Tuning
from libs.bus.tuning import Bury, Retry, backoff, describe, is_killer, judge

TUNING = Tuning(max_attempts=4, backoff_first_s=1.0, backoff_max_s=8.0, max_unfinished=9)


def test_the_ceiling_of_the_back_off_doubles_up_to_its_limit() -> None:
    for attempt, ceiling in [(1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (5, 8.0), (5000, 8.0)]:
        delays = [backoff(attempt, f"{key}", TUNING) for key in range(200)]
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


def test_an_error_without_words_is_told_by_its_class() -> None:
    assert describe(TimeoutError()) == "TimeoutError"
