"""Runs take turns with their steps."""

import pytest

from services.pipelines.domain.turns import Turns


def test_a_small_run_does_not_wait_for_all_steps_of_a_large_one():
    turns: Turns[str] = Turns()
    for number in range(5):
        turns.put("large", f"large-{number}")
    turns.put("small", "small-0")
    turns.put("small", "small-1")
    assert len(turns) == 7
    assert [turns.take() for _ in range(7)] == [
        "large-0", "small-0", "large-1", "small-1", "large-2", "large-3", "large-4",
    ]  # fmt: skip
    with pytest.raises(KeyError):
        turns.take()
