"""Sobol's sequence: trials spread more evenly over the space than chance would; the trial's number says which point."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from libs.base.errors import Cause
from services.tuner.domain.algorithms import RANDOM_STATE, Ask, Values
from services.tuner.domain.space import Parameter


@dataclass(frozen=True)
class Sobol:
    name: str = "sobol"
    settings: dict[str, int] = field(default_factory=lambda: {RANDOM_STATE: 0})
    is_light: bool = False

    def problems(self, space: Sequence[Parameter]) -> Iterator[Cause]:
        return iter(())

    def suggest(self, ask: Ask) -> list[Values]:
        from scipy.stats.qmc import Sobol as Sequence_  # 0.5 s and 40 MiB: for who asks for it only

        points = Sequence_(len(ask.space), scramble=True, rng=ask.chance(-1))
        if ask.first:
            points.fast_forward(ask.first)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it would like to be asked for powers of two alone
            drawn = points.random(ask.count)
        return [
            {one.name: one.place(float(where)) for one, where in zip(ask.space, point, strict=True)} for point in drawn
        ]
