"""KFP's API on PostgreSQL: the tests that lean on order, uniqueness and concurrency, run once more there."""

import pytest

from libs.testing.store_postgres import Postgres, running_postgres
from tests.services.pipelines.api.test_lists import (
    test_a_filter_leaves_what_it_says,
    test_pages_follow_one_another_without_gap_or_repetition_in_any_order,
)
from tests.services.pipelines.api.test_recurring import test_two_leaders_at_once_start_one_run
from tests.services.pipelines.api.test_runs import (
    test_runs_are_filtered_by_state_and_deleted_with_what_only_they_used,
)

__all__ = [
    "test_a_filter_leaves_what_it_says",
    "test_pages_follow_one_another_without_gap_or_repetition_in_any_order",
    "test_runs_are_filtered_by_state_and_deleted_with_what_only_they_used",
    "test_two_leaders_at_once_start_one_run",
]


@pytest.fixture(scope="module")
def postgres():
    with running_postgres() as server:
        yield server


@pytest.fixture
def store_url(postgres: Postgres) -> str:
    return postgres.emptied_database()
