"""Metrics in what programs print: Katib's filter, its strategies, and the price of lines that were not meant for it."""

import time

import pytest

from services.tuner.domain import objective
from services.tuner.domain.filling import filled
from services.tuner.domain.metrics import Reader, observation


def found(*lines: str, names: tuple[str, ...] = ("accuracy",), formats: tuple[str, ...] = ()) -> dict[str, list[str]]:
    reader = Reader(names, formats)
    for line in lines:
        reader.take(line)
    told = observation(reader.figures, names)["metrics"]
    return {one["name"]: [one["latest"], one["min"], one["max"]] for one in told}


@pytest.mark.parametrize(
    ("line", "value"),
    {
        "plain": ("accuracy=0.9", "0.9"),
        "with blanks": ("accuracy = 0.9", "0.9"),
        "in a sentence": ("2026-01-01 INFO epoch=3 accuracy=9e-1, loss=0.1", "9e-1"),
        "negative": ("accuracy=-3", "-3"),
        "in braces": ("{accuracy=0.9}", "0.9"),
    }.values(),
)
def test_katibs_filter_finds_a_metric_anywhere_in_a_line(line: str, value: str) -> None:
    assert found(line) == {"accuracy": [value] * 3}


@pytest.mark.parametrize("line", ["accuracy: 0.9", "accuracy=", "accuracy=high", "my-accuracy=0.9", "accuracy=nan"])
def test_what_is_no_metric_is_passed_over(line: str) -> None:
    assert found(line) == {}


def test_latest_least_and_greatest_are_kept_as_they_were_printed() -> None:
    assert found("accuracy=0.50", "accuracy=0.90", "accuracy=0.7") == {"accuracy": ["0.7", "0.50", "0.90"]}


def test_a_line_made_to_cost_much_costs_little() -> None:
    began = time.monotonic()
    assert found("accuracy " + "a" * 10_000_000, "a" * 60_000 + " accuracy=1", "accuracy = " * 5_000) != {}
    assert time.monotonic() - began < 2.0


@pytest.mark.parametrize(
    ("strategy", "value"), {"least": ("min", 0.5), "greatest": ("max", 0.9), "the last": ("latest", 0.7)}.values()
)
def test_the_strategy_says_which_figure_counts(strategy: str, value: float) -> None:
    told = {"metrics": [{"name": "accuracy", "latest": "0.7", "min": "0.5", "max": "0.9"}]}
    wanted = {"objectiveMetricName": "accuracy", "type": "maximize"}
    assert objective.value({**wanted, "metricStrategies": [{"name": "accuracy", "value": strategy}]}, told) == value
    assert objective.value(wanted, told) == 0.9
    assert objective.value({**wanted, "type": "minimize"}, told) == 0.5


def test_values_are_filled_into_texts_once_and_as_they_are() -> None:
    run = {"command": ["bash", "-c", "f('${trialParameters.a}')"], "n": 1, "deep": [{"x": "${trialParameters.b}$HOME"}]}
    known = {"a": 'it"s \\ ${trialParameters.b}', "b": "1"}
    assert filled(run, known) == {
        "command": ["bash", "-c", "f('it\"s \\ ${trialParameters.b}')"],
        "n": 1,
        "deep": [{"x": "1$HOME"}],
    }
