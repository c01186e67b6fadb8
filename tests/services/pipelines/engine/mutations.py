"""Compiled pipelines with something broken in them, as a careless or malicious client might send; each from a seed."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

ODD: Sequence[Any] = (
    None, "", 0, -1, 1.5, float("inf"), True, [], {}, [[]], [None], {"a": {}}, {"": 1}, "\x00", "\ud800", "x" * 5000,
    2**63, -(2**70), "{{$", "{{$.inputs.parameters['x']}}", "NaN", "root", "comp-add", "../..", "true", "(" * 500,
    "inputs.parameter_values['x'] == ", "!" * 3000 + "true", "-1s", "9" * 20 + "s", "1d",
)  # fmt: skip
NAMES = (
    "artifacts", "artifactIterator", "componentRef", "constant", "dag", "dependentTasks", "executorLabel", "inputs",
    "iteratorPolicy", "parameterIterator", "parameters", "retryPolicy", "runtimeValue", "taskOutputParameter", "tasks",
    "triggerPolicy", "x",
)  # fmt: skip
Path = tuple[Any, ...]


def mutated(documents: Sequence[Any], random: Random) -> list[Any]:
    """The documents with one to four things changed, removed, moved or put in."""
    made = copy.deepcopy(list(documents))
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        places = [path for path in _paths(made) if len(path) > 1]
        if places:
            _mutate(made, places, random)
    return made


def _paths(value: Any, path: Path = ()) -> Iterator[Path]:
    yield path
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _paths(inner, (*path, name))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from _paths(inner, (*path, at))


def _mutate(made: list[Any], places: Sequence[Path], random: Random) -> None:
    *outer, last = random.choice(places)
    parent, how = _at(made, outer), random.random()
    other = copy.deepcopy(random.choice((random.choice(ODD), _at(made, random.choice(places)))))
    if how < 0.6:
        parent[last] = other
    elif how < 0.75:
        del parent[last]
    elif isinstance(parent, dict):
        parent[random.choice(NAMES)] = other
    else:
        parent.append(other)


def _at(value: Any, path: Sequence[Any]) -> Any:
    for name in path:
        value = value[name]
    return value
