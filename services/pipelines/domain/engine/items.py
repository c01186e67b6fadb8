"""The items of a loop, and what one iteration is given of them."""

import json
from contextlib import suppress
from typing import Any

from services.pipelines.domain.engine.inputs import InputError
from services.pipelines.domain.engine.records import Values
from services.pipelines.domain.ir.model import Component, Iterator
from services.pipelines.domain.ir.values import ValueTypeError, fit

MOST = 100_000
"""Iterations that one loop may have."""

Items = tuple[Any, ...]


def items_of(iterator: Iterator, inputs: Values) -> Items:
    """The items; InputError if what should hold them is no list, or has more than anybody means."""
    found: Any = iterator.items
    if found is None and iterator.artifacts:
        found = inputs.artifacts.get(iterator.items_input)
    elif found is None:
        found = inputs.parameters.get(iterator.items_input)
    if isinstance(found, str):
        found = _read(found)
    if not isinstance(found, list | tuple):
        raise InputError(f"`{iterator.items_input}` holds no list that could be gone through: {str(found)[:80]}")
    if len(found) > MOST:
        raise InputError(f"`{iterator.items_input}` has {len(found)} items, at most {MOST} are gone through")
    return tuple(found)


def own_inputs(iterator: Iterator, component: Component, item: Any) -> Values:
    """What an iteration has for itself: its item and, as KFP's compilers name them, parts of it."""
    if iterator.artifacts:
        return Values({}, {iterator.item_input: (item,)})
    spec = component.inputs.parameters.get(iterator.item_input)
    with suppress(ValueTypeError):  # KFP types the items of an untyped list as texts, whatever they are
        item = item if spec is None else fit(item, spec.type)
    parts = {}
    if isinstance(item, dict):
        prefix = f"{iterator.item_input}-subvar-"
        names = (name for name in component.inputs.parameters if name.startswith(prefix))
        parts = {name: item[name.removeprefix(prefix)] for name in names if name.removeprefix(prefix) in item}
    return Values({iterator.item_input: item, **parts}, {})


def merged(outer: Values, own: Values) -> Values:
    """All that an iteration is given: the loop's inputs and its own, which go before."""
    return Values({**outer.parameters, **own.parameters}, {**outer.artifacts, **own.artifacts})


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
