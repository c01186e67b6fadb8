"""Reads the search space of an Experiment, and says what is wrong with it before anything runs."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

from libs.base.errors import Cause
from services.tuner.domain.space import Parameter

Object = dict[str, Any]
RANGES, LISTS = ("double", "int"), ("discrete", "categorical")
INT_MOST = 2**53
NUMBER_CHARS_MAX = 64
WHERE = "spec.parameters"


def parameters(spec: Object) -> list[Parameter]:
    """Of a spec that has no problems."""
    return [_parameter(one) for one in spec["parameters"]]


def problems(spec: Object) -> Iterator[Cause]:
    seen: set[str] = set()
    for index, one in enumerate(spec["parameters"]):
        where = f"{WHERE}[{index}]"
        if one["name"] in seen:
            told = f"{one['name']!r} is there already; give each parameter a name of its own"
            yield Cause(f"{where}.name", told, "FieldValueDuplicate")
        seen.add(one["name"])
        check = _range if one["parameterType"] in RANGES else _list
        yield from check(one, f"{where}.feasibleSpace")


def _range(one: Object, where: str) -> Iterator[Cause]:
    space, kind = one["feasibleSpace"], one["parameterType"]
    if space.get("list"):
        told = f"cannot be used with parameterType {kind}; use min and max, or parameterType discrete"
        yield Cause(f"{where}.list", told, "FieldValueForbidden")
    wrong = False
    for field in ("min", "max", "step"):
        text = space.get(field)
        if text is None and field != "step":
            wrong = True
            yield Cause(f"{where}.{field}", f"is required with parameterType {kind}", "FieldValueRequired")
        elif text is not None and (odd := _no_number(text, kind)):
            wrong = True
            yield Cause(f"{where}.{field}", odd)
    if not wrong:
        yield from _ends(space, where)


def _ends(space: Object, where: str) -> Iterator[Cause]:
    low, high, step = (Decimal(space[field]) if space.get(field) else None for field in ("min", "max", "step"))
    assert low is not None and high is not None
    if low > high:
        yield Cause(f"{where}.min", f"{space['min']} must not exceed max, which is {space['max']}")
    if step is not None and step <= 0:
        yield Cause(f"{where}.step", f"{space['step']} must be greater than 0")
    elif step is not None and low <= high and (high - low) / step > INT_MOST:
        yield Cause(f"{where}.step", f"{space['step']} makes too many values; choose a greater one")
    if _is_log(space) and low <= 0:
        told = f"{space['min']} must be greater than 0 with distribution {space['distribution']}; use uniform otherwise"
        yield Cause(f"{where}.min", told)


def _list(one: Object, where: str) -> Iterator[Cause]:
    space, kind = one["feasibleSpace"], one["parameterType"]
    for field in ("min", "max", "step"):
        if space.get(field) is not None:
            told = f"cannot be used with parameterType {kind}; name the values in list"
            yield Cause(f"{where}.{field}", told, "FieldValueForbidden")
    if not space.get("list"):
        yield Cause(f"{where}.list", f"is required with parameterType {kind}: name the values", "FieldValueRequired")
    if space.get("distribution") not in (None, "uniform"):
        told = f"{space['distribution']} cannot be used with parameterType {kind}; leave it out"
        yield Cause(f"{where}.distribution", told, "FieldValueForbidden")
    seen: set[str] = set()
    for index, text in enumerate(space.get("list") or []):
        if text in seen:
            yield Cause(f"{where}.list[{index}]", f"{text!r} is there already", "FieldValueDuplicate")
        seen.add(text)
        if kind == "discrete" and (odd := _no_number(text, "double")):
            yield Cause(f"{where}.list[{index}]", f"{odd}, or use parameterType categorical")


def _no_number(text: str, kind: str) -> str | None:
    """What is wrong with a number, as a sentence that its field begins."""
    try:
        value = Decimal(text) if len(text) <= NUMBER_CHARS_MAX else Decimal("nan")
    except InvalidOperation:
        value = Decimal("nan")
    shown = text if len(text) <= NUMBER_CHARS_MAX else f"{text[:NUMBER_CHARS_MAX]}..."
    if not value.is_finite():
        return f"{shown!r} is no number; write one such as {'8' if kind == 'int' else '0.01'}"
    if kind == "int" and (value != value.to_integral_value() or abs(value) > INT_MOST):
        return f"{shown!r} is no whole number up to {INT_MOST}; use parameterType double for others"
    return f"{shown!r} is too great or too small; write one up to 1e300" if _is_extreme(value) else None


def _is_extreme(value: Decimal) -> bool:
    return value != 0 and not -300 <= value.adjusted() <= 300


def _is_log(space: Object) -> bool:
    return space.get("distribution") in ("logUniform", "logNormal")


def _parameter(one: Object) -> Parameter:
    name, kind, space = one["name"], one["parameterType"], one["feasibleSpace"]
    if kind in LISTS:
        texts = space["list"] if kind == "categorical" else sorted(space["list"], key=Decimal)
        return Parameter(name, choices=tuple(texts), ordered=kind == "discrete")
    step = Decimal(space["step"]) if space.get("step") else Decimal(1) if kind == "int" else None
    return Parameter(
        name,
        is_int=kind == "int",
        low=Decimal(space["min"]),
        high=Decimal(space["max"]),
        step=step,
        log=_is_log(space),
        normal=space.get("distribution") in ("normal", "logNormal"),
    )
