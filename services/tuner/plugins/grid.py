"""Grid search: every combination once, the last parameter changing fastest; the trial's number says which one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from libs.base.errors import Cause
from services.tuner.domain.algorithms import Ask, Values
from services.tuner.domain.space import Parameter


@dataclass(frozen=True)
class Grid:
    name: str = "grid"
    settings: dict[str, int] = field(default_factory=dict)
    is_light: bool = True

    def problems(self, space: Sequence[Parameter]) -> Iterator[Cause]:
        for index, one in enumerate(space):
            if one.size is None:
                where = f"spec.parameters[{index}].feasibleSpace.step"
                told = "is required by grid for a parameter of type double; give one, or choose another algorithm"
                yield Cause(where, told, "FieldValueRequired")

    def suggest(self, ask: Ask) -> list[Values]:
        whole = math.prod(one.size or 1 for one in ask.space)
        last = min(ask.first + ask.count, whole)
        return [_combination(number, ask.space) for number in range(ask.first, last)]


def _combination(number: int, space: Sequence[Parameter]) -> Values:
    found: dict[str, str] = {}
    for one in reversed(space):
        assert one.size is not None
        number, index = divmod(number, one.size)
        found[one.name] = one.at(index)
    return {one.name: found[one.name] for one in space}
