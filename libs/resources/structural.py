"""Checks values against an OpenAPI v3 schema where a kind has no pydantic model; the errors name field, value and
remedy.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from libs.base import Cause

Schema = Mapping[str, Any]
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
}


def problems(value: Any, schema: Schema, definitions: Mapping[str, Schema], path: str = "") -> Iterator[Cause]:
    """Everything in `value` that the schema forbids; unknown fields are not its business."""
    if "$ref" in schema:
        schema = definitions.get(schema["$ref"].rpartition("/")[2], {})
    if value is None and (schema.get("nullable") or not path):
        return
    for part in schema.get("allOf", ()):
        yield from problems(value, part, definitions, path)
    if any_of := schema.get("anyOf") or schema.get("oneOf"):
        yield from _best(value, any_of, definitions, path)
    if schema.get("x-kubernetes-int-or-string"):
        yield from _int_or_string(value, path)
    elif cause := _wrong_type(value, schema, path):
        yield cause
    else:
        yield from _inside(value, schema, definitions, path)


def _best(value: Any, options: list[Schema], definitions: Mapping[str, Schema], path: str) -> Iterator[Cause]:
    """The alternative with the fewest complaints speaks for all."""
    yield from min((list(problems(value, o, definitions, path)) for o in options), key=len)


def _int_or_string(value: Any, path: str) -> Iterator[Cause]:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        yield Cause(path, f"Invalid value: {value!r}: must be an integer or a string", "FieldValueTypeInvalid")


def _wrong_type(value: Any, schema: Schema, path: str) -> Cause | None:
    wanted = schema.get("type")
    allowed = _TYPES.get(str(wanted))
    if allowed is None:
        return None
    whole = wanted == "integer" and isinstance(value, float) and value.is_integer()
    if (isinstance(value, allowed) or whole) and not (isinstance(value, bool) and wanted != "boolean"):
        return None
    return Cause(path, f"Invalid value: {short(value)}: must be of type {wanted}", "FieldValueTypeInvalid")


def _inside(value: Any, schema: Schema, definitions: Mapping[str, Schema], path: str) -> Iterator[Cause]:
    if "enum" in schema and value not in schema["enum"]:
        choices = ", ".join(f'"{c}"' for c in schema["enum"])
        yield Cause(path, f"Unsupported value: {short(value)}: supported values: {choices}", "FieldValueNotSupported")
    if isinstance(value, dict):
        yield from _in_map(value, schema, definitions, path)
    elif isinstance(value, list):
        yield from _in_list(value, schema, definitions, path)
    elif isinstance(value, str):
        yield from _in_text(value, schema, path)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield from _in_number(value, schema, path)


def _in_map(value: dict[str, Any], schema: Schema, definitions: Mapping[str, Schema], path: str) -> Iterator[Cause]:
    for name in schema.get("required", ()):
        if value.get(name) is None:
            yield Cause(_join(path, name), "Required value", "FieldValueRequired")
    known, extra = schema.get("properties", {}), schema.get("additionalProperties")
    for name, inner in value.items():
        rule = known.get(name) or (extra if isinstance(extra, dict) else None)
        if rule is not None and inner is not None:
            yield from problems(inner, rule, definitions, _join(path, name))


def _in_list(value: list[Any], schema: Schema, definitions: Mapping[str, Schema], path: str) -> Iterator[Cause]:
    if len(value) < schema.get("minItems", 0):
        yield Cause(path, f"Invalid value: must have at least {schema['minItems']} items")
    if len(value) > schema.get("maxItems", len(value)):
        yield Cause(path, f"Too many: {len(value)}: must have at most {schema['maxItems']} items", "FieldValueTooMany")
    if isinstance(items := schema.get("items"), dict):
        for at, item in enumerate(value):
            yield from problems(item, items, definitions, f"{path}[{at}]")


def _in_text(value: str, schema: Schema, path: str) -> Iterator[Cause]:
    if len(value) < schema.get("minLength", 0):
        yield Cause(path, f"Invalid value: {short(value)}: must have at least {schema['minLength']} characters")
    if len(value) > schema.get("maxLength", len(value)):
        yield Cause(path, f"Too long: must have at most {schema['maxLength']} characters", "FieldValueTooLong")
    if (pattern := schema.get("pattern")) and not _compiled(pattern).search(value):
        yield Cause(path, f"Invalid value: {short(value)}: must match '{pattern}'")


def _in_number(value: float, schema: Schema, path: str) -> Iterator[Cause]:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and (value < low or (schema.get("exclusiveMinimum") is True and value == low)):
        yield Cause(path, f"Invalid value: {value}: must be at least {low}")
    if high is not None and (value > high or (schema.get("exclusiveMaximum") is True and value == high)):
        yield Cause(path, f"Invalid value: {value}: must be at most {high}")


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def short(value: Any) -> str:
    text = f'"{value}"' if isinstance(value, str) else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
