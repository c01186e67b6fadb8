"""Tree-structured Parzen estimators (Bergstra et al., 2011) as optuna has them, over a study that is made anew from the
recorded trials each time; the trials that still run count as poor ones, so that two at a time do not try the same."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from libs.base.errors import Cause
from services.tuner.domain.algorithms import RANDOM_STATE, Ask, Values
from services.tuner.domain.space import Parameter, Tried

SETTINGS = {RANDOM_STATE: 0, "n_startup_trials": 1, "n_ei_candidates": 1}
"""How many trials are drawn at random first (10), and how many candidates are weighed for each one after them (24)."""


@dataclass(frozen=True)
class Tpe:
    name: str
    multivariate: bool
    settings: dict[str, int] = field(default_factory=lambda: dict(SETTINGS))
    is_light: bool = False

    def problems(self, space: Sequence[Parameter]) -> Iterator[Cause]:
        return iter(())

    def suggest(self, ask: Ask) -> list[Values]:
        import optuna  # 0.3 s, and numpy with it: for who asks for it only

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        axes = [Axis(one) for one in ask.space]
        told = {axis.name: axis.distribution() for axis in axes}
        tried, made = list(ask.tried), []
        for number in range(ask.first, ask.first + ask.count):
            study = optuna.create_study(
                sampler=self._sampler(ask, number), direction="maximize" if ask.maximize else "minimize"
            )
            study.add_trials([_recorded(one, axes, told) for one in tried])
            found = study.ask(told).params
            made.append({axis.name: axis.text(found[axis.name]) for axis in axes})
            tried.append(Tried(number, made[-1]))
        return list(made)

    def _sampler(self, ask: Ask, number: int) -> Any:
        from optuna.samplers import TPESampler

        given: dict[str, Any] = {name: int(value) for name, value in ask.settings.items() if name != RANDOM_STATE}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it tells of what is experimental
            return TPESampler(seed=ask.chance(number), multivariate=self.multivariate, constant_liar=True, **given)


@dataclass(frozen=True)
class Axis:
    """A parameter as optuna's numbers: steps by their index, so that their order counts; a bell by places on it."""

    of: Parameter

    @property
    def name(self) -> str:
        return self.of.name

    @property
    def _is_wide(self) -> bool:
        """Whole numbers on a logarithmic scale, which optuna has itself."""
        return self.of.is_int and self.of.log and not self.of.normal and self.of.step == 1

    def distribution(self) -> Any:
        from optuna import distributions as known

        one = self.of
        if one.choices and not one.ordered:
            return known.CategoricalDistribution(one.choices)
        if self._is_wide:
            return known.IntDistribution(int(one.low), int(one.high), log=True)
        if one.size is not None:
            return known.IntDistribution(0, one.size - 1)
        if one.normal:
            return known.FloatDistribution(0.0, 1.0)
        return known.FloatDistribution(float(one.low), float(one.high), log=one.log)

    def text(self, value: Any) -> str:
        if self.of.choices and not self.of.ordered:
            return str(value)
        if self._is_wide:
            return str(int(value))
        if self.of.size is not None:
            return self.of.at(int(value))
        return self.of.place(float(value)) if self.of.normal else repr(float(value))

    def value(self, text: str) -> Any:
        """What `text` was made of."""
        if self.of.choices and not self.of.ordered:
            return text
        if self._is_wide:
            return int(text)
        if self.of.size is not None:
            return self.of.index(text)
        return self.of.placed(text) if self.of.normal else float(text)


def _recorded(one: Tried, axes: Sequence[Axis], told: dict[str, Any]) -> Any:
    from optuna.trial import TrialState, create_trial

    state = TrialState.COMPLETE if one.objective is not None else TrialState.FAIL if one.over else TrialState.RUNNING
    params = {axis.name: axis.value(one.values[axis.name]) for axis in axes}
    return create_trial(state=state, value=one.objective, params=params, distributions=told)
