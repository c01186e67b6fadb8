"""Whether a schema still keeps what an older one promised; it compares schemas alone and reads no code.

A wish is read by us: it may only grow wider, so that whoever wrote it by the old schema is still understood. A fact is
read by others as well: it may gain optional fields and nothing else, so that old readers understand new writers too.
"""

from collections.abc import Iterator
from itertools import chain
from typing import Any

from contracts.golden.schemas import SORT, Schema

LOWER_BOUNDS = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
UPPER_BOUNDS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
EXACT = ("pattern", "const", "format", "multipleOf", "uniqueItems")


def breaks(old: Schema, new: Schema) -> list[str]:
    """Each broken promise as a sentence that names the field; empty if there is none."""
    found = [*_Comparison(old, new, added_is_fine=True).narrowed(old, new, "")]
    if old.get(SORT) == "event":
        back = _Comparison(new, old, added_is_fine=False).narrowed(new, old, "")
        found += [f"{sentence} (seen by a reader of the old schema)" for sentence in back]
    return sorted(set(found))


class _Comparison:
    """Looks for what `old` accepts and `new` does not. References are followed; a pair is looked at once per path."""

    def __init__(self, old: Schema, new: Schema, *, added_is_fine: bool) -> None:
        self._old_root, self._new_root = old, new
        self._forward = added_is_fine
        self._open: set[tuple[int, int]] = set()

    def narrowed(self, old: Any, new: Any, path: str) -> Iterator[str]:
        old, new = _resolve(old, self._old_root), _resolve(new, self._new_root)
        pair = (id(old), id(new))
        if pair in self._open:
            return  # a model that contains itself
        if _was_refused(old):
            return
        self._open.add(pair)
        yield from chain.from_iterable(rule(old, new, path) for rule in self._rules())
        self._open.discard(pair)

    def _rules(self) -> Any:
        return (self._type, self._enum, self._bounds, self._union, self._properties, self._default, self._parts)

    def _type(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        before, after = _types(old), _types(new)
        if after and not before and "anyOf" not in old and _says_something(old):
            yield f"{path or 'the message'}: now has the type {', '.join(sorted(after))}"
        elif after and before and not before <= after | ({"integer"} if "number" in after else set()):
            yield f"{path or 'the message'}: was {', '.join(sorted(before))}, is {', '.join(sorted(after))}"

    def _enum(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        if "enum" in new and "enum" not in old and "const" not in old and "anyOf" not in old:
            yield f"{path}: only some values are allowed now"
        for value in old.get("enum", []):
            if "enum" in new and value not in new["enum"]:
                yield f"{path}: the value {value!r} is gone"

    def _bounds(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        for word in LOWER_BOUNDS:
            if word in new and new[word] > old.get(word, float("-inf")) and (word in old or new[word] != 0):
                yield f"{path}: {word} is {new[word]}, was {old.get(word, 'not limited')}"
        for word in UPPER_BOUNDS:
            if word in new and new[word] < old.get(word, float("inf")):
                yield f"{path}: {word} is {new[word]}, was {old.get(word, 'not limited')}"
        for word in EXACT:
            if word in new and new[word] != old.get(word):
                yield f"{path}: {word} is {new[word]!r}, was {old.get(word, 'not given')!r}"

    def _union(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        if "anyOf" not in old and "anyOf" not in new:
            return
        for before in old.get("anyOf", [_without_notes(old)]):
            if not any(self._accepts(before, after) for after in new.get("anyOf", [_without_notes(new)])):
                yield f"{path}: no longer takes {_name(_resolve(before, self._old_root))} as it was"

    def _accepts(self, before: Any, after: Any) -> bool:
        return not any(self.narrowed(before, after, "?"))

    def _properties(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        for name, schema in before.items():
            if name in after:
                yield from self.narrowed(schema, after[name], _join(path, name))
            elif self._forward:
                yield f"{_join(path, name)}: is gone"
        for name in sorted(set(new.get("required", ())) - set(old.get("required", ()))):
            was_known = name in before
            if self._forward or was_known:
                yield f"{_join(path, name)}: {'is required now' if self._forward else 'may be missing now'}"

    def _default(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        if "default" in old and "default" in new and old["default"] != new["default"]:
            yield f"{path}: without it {new['default']!r} is meant, was {old['default']!r}"

    def _parts(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        for word in ("items", "additionalProperties"):
            if new.get(word) is False and old.get(word) is not False:
                yield f"{path}: takes no other fields now"
            elif isinstance(old.get(word), dict) and isinstance(new.get(word), dict):
                yield from self.narrowed(old[word], new[word], f"{path}[]")
            elif isinstance(new.get(word), dict) and old.get(word, True) is True and _says_something(new[word]):
                yield f"{path}[]: is limited now"


def _resolve(node: Any, root: Schema) -> Schema:
    while isinstance(node, dict) and "$ref" in node:
        node = root["$defs"][node["$ref"].rpartition("/")[2]]
    return node if isinstance(node, dict) else {}


def _types(schema: Schema) -> set[str]:
    found = schema.get("type", [])
    return {found} if isinstance(found, str) else set(found)


def _was_refused(schema: Schema) -> bool:
    """A field that took nothing but null, so that it told users to remove it: whatever it takes now is more."""
    return _without_notes(schema) == {"nullable": True, "x-kubernetes-preserve-unknown-fields": True}


NOTES = {"title", "description", "examples", "default", "deprecated"}


def _without_notes(schema: Schema) -> Schema:
    return {k: v for k, v in schema.items() if k not in NOTES}


def _says_something(schema: Schema) -> bool:
    return bool(_without_notes(schema))


def _name(schema: Schema) -> str:
    return str(schema.get("title") or schema.get("type") or "a value")


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
