"""KFP's API on PostgreSQL: the tests that lean on order, uniqueness and concurrency, run once more there."""

import pytest

from libs.testing.store_postgres import Postgres
from tests.services.pipelines.api.test_lists import (
    test_a_filter_leaves_what_it_says,
    test_pages_follow_one_another_without_gap_or_repetition_in_any_order,
)
from tests.services.pipelines.api.test_objects import (
    test_what_is_applied_is_found_over_rest_and_changes_and_goes_with_it,
    test_what_is_uploaded_is_an_object_and_changes_and_goes_with_it,
)
from tests.services.pipelines.api.test_pictures import (
    test_the_console_offers_the_namespaces_with_runs_that_one_may_list,
)
from tests.services.pipelines.api.test_recording import test_an_artifact_of_a_task_stands_in_its_lineage
from tests.services.pipelines.api.test_recurring import test_two_leaders_at_once_start_one_run
from tests.services.pipelines.api.test_runs import (
    test_runs_are_filtered_by_state_and_deleted_with_what_only_they_used,
)

__all__ = [
    "test_a_filter_leaves_what_it_says",
    "test_an_artifact_of_a_task_stands_in_its_lineage",
    "test_pages_follow_one_another_without_gap_or_repetition_in_any_order",
    "test_runs_are_filtered_by_state_and_deleted_with_what_only_they_used",
    "test_the_console_offers_the_namespaces_with_runs_that_one_may_list",
    "test_two_leaders_at_once_start_one_run",
    "test_what_is_applied_is_found_over_rest_and_changes_and_goes_with_it",
    "test_what_is_uploaded_is_an_object_and_changes_and_goes_with_it",
]


@pytest.fixture
def store_url(postgres: Postgres) -> str:
    return postgres.emptied_database()
