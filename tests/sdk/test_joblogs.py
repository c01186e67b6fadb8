"""Which nodes and attempts `millstream logs` shows, in what order, and how `millstream metrics` draws a course."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from millstream.archive import JobPod, _kept
from millstream.cli.figures import _row, sparkline
from millstream.cli.joblogs import LogChoice, bare, in_order, since_time
from millstream.errors import ClientError


def pod(rank: int, attempt: int = 0) -> JobPod:
    return JobPod(f"digits-{rank}-{attempt}", f"{rank}/{attempt}", "node", rank, attempt, "node", True)


PODS = [pod(0), pod(1), pod(0, 1), pod(1, 1), pod(0, 2)]


@dataclass
class Logs:
    """A job on paper: lines by the pod's name."""

    by_pod: dict[str, list[str]] = field(default_factory=dict)

    def lines(self, pod: JobPod, follow: bool = False, **params: str) -> Iterator[str]:
        if pod.name not in self.by_pod:
            raise ClientError("no such pod")
        yield from self.by_pod[pod.name]


@pytest.mark.parametrize(
    ("choice", "shown"),
    [
        pytest.param(LogChoice(), [(0, 2)], id="the last attempt"),
        pytest.param(LogChoice(attempt=0), [(0, 0), (1, 0)], id="the first"),
        pytest.param(LogChoice(attempt=-2), [(0, 1), (1, 1)], id="the one before the last"),
        pytest.param(LogChoice(all_attempts=True, rank=1), [(1, 0), (1, 1)], id="all of one rank"),
    ],
)
def test_nodes_are_chosen_by_rank_and_attempt(choice: LogChoice, shown: list[tuple[int, int]]) -> None:
    assert [(each.rank, each.attempt) for each in choice.of(PODS)] == shown


def test_what_there_is_not_is_told_with_what_there_is() -> None:
    with pytest.raises(ClientError, match="no attempt 7; there are 0, 1, 2"):
        LogChoice(attempt=7).of(PODS)
    with pytest.raises(ClientError, match="no attempt before the last, 0"):
        LogChoice(attempt=-2).of([pod(0)])
    with pytest.raises(ClientError, match="the rank 5; there are 0, 1"):
        LogChoice(rank=5).of(PODS)


def test_the_lines_of_several_nodes_come_in_the_order_of_time() -> None:
    logs = Logs(
        {
            "digits-0-0": ["2026-11-22T10:00:01.0Z a", "2026-11-22T10:00:03.0Z c", "without a time"],
            "digits-1-0": ["2026-11-22T10:00:02.0Z b", "2026-11-22T10:00:04.0Z d"],
        }
    )
    told = [f"{each.rank} {bare(line)}" for each, line in in_order(logs, [pod(0), pod(1)], {})]  # type: ignore[arg-type]
    assert told == ["0 a", "1 b", "0 c", "0 without a time", "1 d"]


def test_a_node_whose_log_cannot_be_read_does_not_hide_the_others() -> None:
    logs = Logs({"digits-0-0": ["2026-11-22T10:00:01.0Z a"]})
    told = [line for _, line in in_order(logs, [pod(0), pod(1)], {})]  # type: ignore[arg-type]
    assert sorted(told) == ["(no such pod)", "2026-11-22T10:00:01.0Z a"]


def test_since_takes_spans_and_times_and_refuses_the_rest() -> None:
    ago = datetime.now(UTC) - timedelta(minutes=5)
    assert abs((datetime.fromisoformat(since_time("5m")) - ago).total_seconds()) < 5
    assert since_time("2026-11-22T11:00:00+01:00") == "2026-11-22T10:00:00Z"
    with pytest.raises(ClientError, match="say 90s, 5m"):
        since_time("yesterday")


def test_a_course_is_drawn_from_least_to_most() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert sparkline([1.0, 1.0]) == "▅▅"
    assert sparkline([1.0, math.nan, 0.0]) == "█ ▁"
    assert sparkline([math.nan]) == ""
    assert len(sparkline([float(value) for value in range(1000)])) == 40


def test_figures_are_shown_in_as_many_digits_as_one_looks_at() -> None:
    assert _row("loss", ["1.7241483926773071", "0.039263032376766205"])[1:5] == [
        "1.72415",
        "0.039263",
        "0.039263",
        "1.72415",
    ]
    assert _row("loss", ["0.5", "nan"])[1:5] == ["0.5", "nan", "0.5", "0.5"]


@pytest.mark.parametrize(
    ("phase", "printed", "shown"),
    [
        ("Failed", ["dataset-initializer"], "dataset-initializer"),
        ("Failed", ["dataset-initializer", "node"], "node"),
        ("Running", ["dataset-initializer"], "node"),
        ("Failed", [], "node"),
    ],
)
def test_of_a_node_that_failed_before_its_program_began_the_initializer_is_shown(
    phase: str, printed: list[str], shown: str
) -> None:
    place = {"name": "p", "uid": "u", "role": "node", "rank": 0, "attempt": 0, "goneAt": None}
    logs = [{"container": each} for each in printed]
    assert _kept({**place, "containers": ["node"], "phase": phase, "logs": logs}).container == shown
