"""Random search: each trial's values are drawn anew, as likely as the distributions of its parameters say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random as Dice

from libs.base.errors import Cause
from services.tuner.domain.algorithms import RANDOM_STATE, Ask, Values
from services.tuner.domain.space import Parameter


@dataclass(frozen=True)
class Random:
    name: str = "random"
    settings: dict[str, int] = field(default_factory=lambda: {RANDOM_STATE: 0})
    is_light: bool = True

    def problems(self, space: Sequence[Parameter]) -> Iterator[Cause]:
        return iter(())

    def suggest(self, ask: Ask) -> list[Values]:
        made: list[Values] = []
        for number in range(ask.first, ask.first + ask.count):
            dice = Dice(ask.chance(number))
            made.append({one.name: one.place(dice.random()) for one in ask.space})
        return made
