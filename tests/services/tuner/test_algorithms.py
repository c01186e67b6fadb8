"""What every algorithm promises: values of the space, the same ones for whoever asks again, others for another seed."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import pytest

from services.tuner.domain.algorithms import Algorithm, Ask
from services.tuner.domain.space import Parameter, Tried
from services.tuner.domain.spaces import parameters
from services.tuner.plugins import ALGORITHMS

SPACE: dict[str, tuple[str, dict[str, Any]]] = {
    "rate": ("double", {"min": "0.001", "max": "0.1", "distribution": "logUniform"}),
    "share": ("double", {"min": "0", "max": "1", "distribution": "uniform"}),
    "bell": ("double", {"min": "-2", "max": "2", "distribution": "normal"}),
    "late": ("double", {"min": "1", "max": "100", "distribution": "logNormal"}),
    "tenth": ("double", {"min": "0.1", "max": "0.95", "step": "0.1"}),
    "layers": ("int", {"min": "1", "max": "5"}),
    "width": ("int", {"min": "1", "max": "1024", "distribution": "logUniform"}),
    "odd": ("int", {"min": "1", "max": "9", "step": "2"}),
    "batch": ("discrete", {"list": ["64", "8", "16"]}),
    "kind": ("categorical", {"list": ["sgd", 'a "quoted" \\ one']}),
    "one": ("double", {"min": "3", "max": "3", "distribution": "logUniform"}),
}
STEPPED = ("tenth", "layers", "odd", "batch", "kind")
LIKELY = 12


def space(names: Any = SPACE) -> list[Parameter]:
    return parameters(
        {"parameters": [{"name": n, "parameterType": SPACE[n][0], "feasibleSpace": SPACE[n][1]} for n in names]}
    )


def space_for(algorithm: Algorithm) -> list[Parameter]:
    """All of it, or what the algorithm can search of it."""
    return space(STEPPED) if list(algorithm.problems(space())) else space()


def asked(algorithm: Algorithm, first: int, count: int, tried: list[Tried], **more: Any) -> list[Mapping[str, str]]:
    settings = {"n_startup_trials": "3"} if "n_startup_trials" in algorithm.settings else {}
    ask = {"seed": "uid", "settings": settings, "maximize": True, **more}
    return algorithm.suggest(Ask(space_for(algorithm), first, count, tried=tried, **ask))


def history(algorithm: Algorithm, count: int = LIKELY) -> list[Tried]:
    """Trials that were suggested one after the other; some failed."""
    tried: list[Tried] = []
    for number in range(count):
        [values] = asked(algorithm, number, 1, tried)
        value = None if number % 5 == 4 else float(values["layers"]) + (values["kind"] == "sgd")
        tried.append(Tried(number, values, value, True))
    return tried


def is_of(parameter: Parameter, text: str) -> bool:
    if parameter.choices:
        return text in parameter.choices
    value = Decimal(text)
    step = parameter.step
    return parameter.low <= value <= parameter.high and (step is None or (value - parameter.low) % step == 0)


each_algorithm = pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda one: one.name)


@each_algorithm
def test_all_values_are_of_the_space_and_an_int_is_written_as_one(algorithm: Algorithm) -> None:
    for one in history(algorithm):
        assert [name for name, text in one.values.items() if not is_of_space(algorithm, name, text)] == []
        assert one.values["layers"] in ("1", "2", "3", "4", "5")


def is_of_space(algorithm: Algorithm, name: str, text: str) -> bool:
    return is_of(next(one for one in space_for(algorithm) if one.name == name), text)


@each_algorithm
def test_who_asks_again_with_the_same_trials_is_told_the_same(algorithm: Algorithm) -> None:
    """A new process knows nothing but what was recorded."""
    tried = history(algorithm)
    assert asked(algorithm, LIKELY, 3, tried) == asked(algorithm, LIKELY, 3, tried)


@each_algorithm
def test_two_at_a_time_are_what_one_after_the_other_would_be_while_none_has_ended(algorithm: Algorithm) -> None:
    together = asked(algorithm, 0, 4, [])
    begun = [Tried(number, values) for number, values in enumerate(together[:2])]
    assert asked(algorithm, 2, 2, begun) == together[2:]


@pytest.mark.parametrize("algorithm", [a for a in ALGORITHMS if "random_state" in a.settings], ids=lambda a: a.name)
def test_chance_is_the_experiments_own_unless_its_user_gives_a_seed(algorithm: Algorithm) -> None:
    plain, other = asked(algorithm, 0, 3, []), asked(algorithm, 0, 3, [], seed="another")
    assert plain != other
    given = {"settings": {"random_state": "7"}}
    assert asked(algorithm, 0, 3, [], **given) == asked(algorithm, 0, 3, [], **given, seed="another") != plain


def test_a_grid_has_every_combination_once_and_then_an_end() -> None:
    grid = next(one for one in ALGORITHMS if one.name == "grid")
    whole = asked(grid, 0, 10_000, [])
    assert len(whole) == len({tuple(values.values()) for values in whole}) == 9 * 5 * 5 * 3 * 2
    assert asked(grid, 1349, 5, []) == whole[1349:] and asked(grid, 1350, 5, []) == []


@pytest.mark.parametrize("name", ["tpe", "multivariate-tpe"])
def test_estimators_come_nearer_than_chance_does(name: str) -> None:
    """On a bowl: the mean of what is tried late, over three seeds."""
    assert late_loss(name) < 0.6 * late_loss("random")


def late_loss(name: str) -> float:
    algorithm = next(one for one in ALGORITHMS if one.name == name)
    where = space(("share", "bell"))
    losses = []
    for seed in "abc":
        tried: list[Tried] = []
        for number in range(40):
            [values] = algorithm.suggest(Ask(where, number, 1, seed, {}, tried))
            loss = (float(values["share"]) - 0.3) ** 2 + (float(values["bell"]) - 0.5) ** 2
            tried.append(Tried(number, values, loss, True))
        losses += [one.objective or 0.0 for one in tried[25:]]
    return sum(losses) / len(losses)


@pytest.mark.parametrize(
    ("name", "share"),
    {
        "half of a logarithmic range is below its middle": ("rate", lambda x: x < 0.01),
        "half of a logarithmic range of ints too": ("width", lambda x: x <= 22),
        "half of a bell is below its middle": ("bell", lambda x: x < 0),
        "half of a bell over logarithms too": ("late", lambda x: x < 10),
    }.values(),
)
def test_places_are_as_likely_as_the_distribution_says(name: str, share: Callable[[float], bool]) -> None:
    [one] = space((name,))
    places = [(index + 0.5) / 1000 for index in range(1000)]
    assert abs(sum(share(float(one.place(where))) for where in places) / 1000 - 0.5) < 0.02
    if one.size is None:
        assert all(abs(one.placed(one.place(where)) - where) < 1e-6 for where in places)
