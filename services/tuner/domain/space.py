"""A parameter's values as the algorithms see them: a line of steps, or a stretch of numbers; values travel as text.

Where a value lies is told by a place from 0 to 1, so that an algorithm that draws places need not know distributions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from statistics import NormalDist

SIGMAS = 6
"""From end to end, of a normal distribution: what Katib takes a range for."""


@dataclass(frozen=True)
class Parameter:
    """One that was found valid (domain.spaces). Of a list `choices` has the texts; of a range `low` to `high` are its
    ends, `step` what lies between two values if not all are allowed. A logarithmic distribution has `log`."""

    name: str
    is_int: bool = False
    choices: tuple[str, ...] = ()
    ordered: bool = False
    low: Decimal = Decimal(0)
    high: Decimal = Decimal(0)
    step: Decimal | None = None
    log: bool = False
    normal: bool = False

    @cached_property
    def size(self) -> int | None:
        """How many values there are; None for all the numbers of a range."""
        if self.choices:
            return len(self.choices)
        return None if self.step is None else int((self.high - self.low) // self.step) + 1

    def at(self, index: int) -> str:
        """The value of a step, counted from 0."""
        if self.choices:
            return self.choices[index]
        assert self.step is not None
        return _text(self.low + index * self.step, self.is_int)

    def index(self, text: str) -> int:
        """The step of a value that `at` gave."""
        if self.choices:
            return self.choices.index(text)
        assert self.step is not None
        return int((Decimal(text) - self.low) / self.step)

    def place(self, where: float) -> str:
        """The value at a place from 0 to 1, as likely as its distribution says."""
        if self.size is None:
            return repr(min(max(self._number(where), float(self.low)), float(self.high)))
        if self.choices or not (self.log or self.normal):
            return self.at(min(int(where * self.size), self.size - 1))
        assert self.step is not None
        index = round((self._number(where) - float(self.low)) / float(self.step))
        return self.at(min(max(index, 0), self.size - 1))

    def placed(self, text: str) -> float:
        """The place of one of the numbers of a range."""
        low, high = self._ends
        if low == high:
            return 0.0
        value = self._scaled(float(text))
        if not self.normal:
            return min(max((value - low) / (high - low), 0.0), 1.0)
        bell, first, last = self._bell
        return min(max((bell.cdf(value) - first) / (last - first), 0.0), 1.0)

    def _number(self, where: float) -> float:
        low, high = self._ends
        if low == high:
            return float(self.low)
        if self.normal:
            bell, first, last = self._bell
            value = bell.inv_cdf(first + where * (last - first))
        else:
            value = low + where * (high - low)
        return math.exp(value) if self.log else value

    def _scaled(self, value: float) -> float:
        return math.log(value) if self.log else value

    @cached_property
    def _ends(self) -> tuple[float, float]:
        """Of the stretch on which places are even; whole numbers reach half a step beyond theirs, as each shall have
        its share."""
        low, high = float(self.low), float(self.high)
        half = float(self.step) / 2 if self.step is not None and low < high else 0.0
        below = low - half if not self.log or low > half else low
        return self._scaled(below), self._scaled(high + half)

    @cached_property
    def _bell(self) -> tuple[NormalDist, float, float]:
        """The bell over the stretch, and how much of it lies before and up to its ends."""
        low, high = self._ends
        bell = NormalDist((low + high) / 2, (high - low) / SIGMAS)
        return bell, bell.cdf(low), bell.cdf(high)


@dataclass(frozen=True)
class Tried:
    """A trial as algorithms know it: its values, and the objective's if it ended well. `over` without: it failed."""

    number: int
    values: Mapping[str, str]
    objective: float | None = None
    over: bool = False


def _text(value: Decimal, is_int: bool) -> str:
    return str(int(value)) if is_int else format(value.normalize(), "f")
