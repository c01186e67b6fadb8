"""Finds metrics in what a program printed, line by line and without keeping the lines.

The filter is Katib's for StdOut: `name = number` anywhere in a line. One of the user's own has two groups, the name and
the number; what it costs is not known here, so whoever runs it sets a limit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

DEFAULT = r"([\w|-]+)\s*=\s*([+-]?\d*(\.\d+)?([Ee][+-]?\d+)?)"
_OWN = re.compile(rf"(?<![\w|-]){DEFAULT}")
"""The default, tried at the beginning of a word alone: that finds the same, and a long line costs no square of it."""
LINE_CHARS_MAX = 64 * 1024
NUMBER_CHARS_MAX = 64


@dataclass
class Figure:
    """A metric's values in short; `latest` is the last one told."""

    latest: str
    min: float
    max: float
    min_text: str
    max_text: str

    def add(self, text: str, value: float) -> None:
        self.latest = text
        if value < self.min or math.isnan(self.min):
            self.min, self.min_text = value, text
        if value > self.max or math.isnan(self.max):
            self.max, self.max_text = value, text


class Reader:
    """Takes lines and knows the figures of the metrics that were asked for."""

    def __init__(self, names: Iterable[str], formats: Sequence[str] = ()) -> None:
        self._names = frozenset(names)
        self._formats = [re.compile(one) for one in formats] or [_OWN]
        self.figures: dict[str, Figure] = {}

    def wants(self, line: str) -> bool:
        """Whether the line names one of the metrics: only such a line is looked into."""
        return any(name in line for name in self._names)

    def take(self, line: str) -> None:
        line = line[:LINE_CHARS_MAX]
        if not self.wants(line):
            return
        for name, text in self._found(line):
            value = number(text)
            if value is None:
                continue
            if name in self.figures:
                self.figures[name].add(text, value)
            else:
                self.figures[name] = Figure(text, value, value, text, text)

    def _found(self, line: str) -> Iterator[tuple[str, str]]:
        for one in self._formats:
            for match in one.finditer(line):
                name, text = (match.group(1) or "").strip(), (match.group(2) or "").strip()
                if name in self._names and text:
                    yield name, text


def number(text: str) -> float | None:
    """A number that a metric may have; None for text that is none."""
    try:
        return float(text) if len(text) <= NUMBER_CHARS_MAX else None
    except ValueError:
        return None


def observation(figures: dict[str, Figure], names: Iterable[str]) -> dict[str, Any]:
    """As a trial's status has it, in the order of the names."""
    found = [(name, figures[name]) for name in names if name in figures]
    return {
        "metrics": [{"name": n, "latest": f.latest, "min": f.min_text, "max": f.max_text} for n, f in found],
    }


def format_problem(text: str) -> str | None:
    """What is wrong with a filter of the user's own."""
    try:
        groups = re.compile(text).groups
    except (re.error, RecursionError, OverflowError) as error:
        return f"{text!r} is no regular expression: {error}"
    return None if groups >= 2 else f"{text!r} must have two groups, of the metric's name and of its value"
