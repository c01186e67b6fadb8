"""The registry on PostgreSQL: the tests that lean on order, uniqueness and concurrency, run once more there."""

import pytest

from libs.testing.store_postgres import Postgres
from tests.services.registry.test_lineage import (
    test_a_letter_that_comes_twice_and_a_job_told_twice_make_one_version,
    test_versions_count_up_and_many_jobs_at_once_get_each_their_own,
)
from tests.services.registry.test_rest import (
    test_a_patch_changes_what_it_names_and_moves_the_update_time_only,
    test_a_taken_name_is_a_conflict_only_below_the_same_parent,
    test_ids_and_times_are_strings_and_every_kind_of_property_survives,
    test_pages_follow_one_another_without_gap_or_repetition_in_any_order,
)

__all__ = [
    "test_a_letter_that_comes_twice_and_a_job_told_twice_make_one_version",
    "test_a_patch_changes_what_it_names_and_moves_the_update_time_only",
    "test_a_taken_name_is_a_conflict_only_below_the_same_parent",
    "test_ids_and_times_are_strings_and_every_kind_of_property_survives",
    "test_pages_follow_one_another_without_gap_or_repetition_in_any_order",
    "test_versions_count_up_and_many_jobs_at_once_get_each_their_own",
]


@pytest.fixture
def store_url(postgres: Postgres) -> str:
    return postgres.emptied_database()
