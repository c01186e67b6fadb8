"""Parameters and their types: integers stay integers, and what does not fit its type is named.

`fit` is for what people write (strict); `coerce` is for what steps hand on (a text may hold the number that is meant,
as KFP's own back end has it).
"""

import json
import math
from collections.abc import Mapping
from typing import Any

from services.pipelines.domain.ir.model import Component, ParamSpec, ParamType
from services.pipelines.domain.ir.problems import Problem, SpecError

LARGEST = 1 << 20
"""Bytes of JSON that one parameter of a run, or all of them together, may have."""

WORDS = {
    ParamType.DOUBLE: "a number",
    ParamType.INTEGER: "a whole number",
    ParamType.STRING: "a text",
    ParamType.BOOLEAN: "true or false",
    ParamType.LIST: "a list",
    ParamType.STRUCT: "an object or a list",
    ParamType.FINAL_STATUS: "a task's final status",
    ParamType.TASK_CONFIG: "a task's configuration",
}


class ValueTypeError(ValueError):
    """A value that is not of the type that is asked for."""


def whole(value: Any) -> Any:
    """The same value with 3.0 as 3 everywhere: protobuf's Value, through which a compiled pipeline has gone, knows no
    integers, and a person who wrote 3 wants it back."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {key: whole(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [whole(each) for each in value]
    return value


def fit(value: Any, type_: ParamType) -> Any:
    """The value as its type has it (3.0 as 3 for an integer); ValueTypeError if it is none of it."""
    if type_ is ParamType.INTEGER and isinstance(value, float) and value.is_integer():
        return int(value)
    if type_ is ParamType.DOUBLE and _is_number(value):
        return _double(value)
    if not _is(value, type_):
        raise ValueTypeError(f"{_shown(value)} is not {WORDS[type_]} ({type_})")
    return value


def coerce(value: Any, type_: ParamType) -> Any:
    """`fit`, and besides: a text that holds JSON of the type is read, anything becomes a text where one is wanted."""
    if type_ is ParamType.STRING:
        return value if isinstance(value, str) else text_of(value)
    if isinstance(value, str) and type_ not in (ParamType.FINAL_STATUS, ParamType.TASK_CONFIG):
        value = _read(value, type_)
    return fit(value, type_)


def text_of(value: Any) -> str:
    """A value as it stands in a command line or a file: texts as they are, the rest as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def constant(value: Any, type_: ParamType) -> Any:
    """A value out of a compiled pipeline, its integers whole again."""
    return fit(value if type_ is ParamType.DOUBLE else whole(value), type_)


def run_parameters(root: Component, given: Mapping[str, Any]) -> dict[str, Any]:
    """A run's parameters, typed, with the defaults of those that were not given; SpecError names each that is unknown,
    missing, too large or of another type."""
    problems = [*_unknown(root, given), *_oversized(given)]
    values: dict[str, Any] = {}
    for name, spec in root.inputs.parameters.items():
        if given.get(name) is None:
            if spec.has_default:
                values[name] = spec.default
            elif not spec.optional:
                problems.append(Problem(_field(name), f"the pipeline needs it ({spec.type}) and it was not given"))
            continue
        try:
            values[name] = allowed(fit(given[name], spec.type), spec)
        except ValueTypeError as error:
            problems.append(Problem(_field(name), str(error)))
    problems += [
        Problem(f"inputDefinitions.artifacts.{name}", "a run cannot be given artifacts: use an importer")
        for name, artifact in root.inputs.artifacts.items()
        if not artifact.optional
    ]
    if problems:
        raise SpecError(problems)
    return values


def allowed(value: Any, spec: ParamSpec) -> Any:
    """The value if the parameter may have it; ValueTypeError lists those that it may."""
    if spec.literals and value not in spec.literals:
        raise ValueTypeError(f"{_shown(value)} is none of {', '.join(map(_shown, spec.literals))}")
    return value


def _unknown(root: Component, given: Mapping[str, Any]) -> list[Problem]:
    known = ", ".join(sorted(root.inputs.parameters)) or "none"
    return [
        Problem(_field(name), f"the pipeline has no such parameter (it has: {known})")
        for name in given
        if name not in root.inputs.parameters
    ]


def _oversized(given: Mapping[str, Any]) -> list[Problem]:
    sizes = {name: len(json.dumps(value)) for name, value in given.items()}
    found = [
        Problem(_field(name), f"its value has {size} bytes, at most {LARGEST} are taken: hand on data as an artifact")
        for name, size in sizes.items()
        if size > LARGEST
    ]
    if not found and sum(sizes.values()) > LARGEST:
        total = f"they have {sum(sizes.values())} bytes together, at most {LARGEST} are taken"
        found.append(Problem("runtime_config.parameters", f"{total}: hand on data as an artifact"))
    return found


def _field(name: str) -> str:
    return f"runtime_config.parameters.{name}"


def _read(text: str, type_: ParamType) -> Any:
    if type_ is ParamType.BOOLEAN and text.strip().lower() in ("true", "false"):
        return text.strip().lower() == "true"
    try:
        return json.loads(text)
    except ValueError:
        raise ValueTypeError(f"{_shown(text)} is not {WORDS[type_]} ({type_})") from None


def _is(value: Any, type_: ParamType) -> bool:
    match type_:
        case ParamType.DOUBLE:
            return _is_number(value)
        case ParamType.INTEGER:
            return isinstance(value, int) and not isinstance(value, bool)
        case ParamType.STRING:
            return isinstance(value, str)
        case ParamType.BOOLEAN:
            return isinstance(value, bool)
        case ParamType.LIST:
            return isinstance(value, list | tuple)
        case ParamType.STRUCT:
            # KFP types `dict` so, and `list` of older compilers too.
            return isinstance(value, Mapping | list | tuple)
        case _:
            return isinstance(value, Mapping)


def _is_number(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


def _double(value: int | float) -> float:
    try:
        return float(value)
    except OverflowError:
        raise ValueTypeError(f"{_shown(value)} is more than a number of this type can be (NUMBER_DOUBLE)") from None


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else text[:77] + "..."
