"""The shape of a kind's objects as a schema tells it: which fields exist and how lists merge; it judges no values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from libs.resources.merge_keys import MERGE_KEYS, PORTS

Schema = dict[str, Any]
ListRule = tuple[str, ...] | str  # the keys of a list of maps, "set", or "atomic"


class Shape:
    """One node of a schema with its references resolved; children are built when first asked for (schemas may
    recur).
    """

    def __init__(self, schemas: list[Schema], definitions: Mapping[str, Schema]) -> None:
        self._definitions = definitions
        self._parts = [part for schema in schemas for part in _flat(schema, definitions, 0)]
        self._children: dict[str, Shape | None] = {}
        self._items: Shape | None = None

    @property
    def open(self) -> bool:
        """True where any field may stand: no schema, no list of properties, or an explicit licence."""
        return not self._parts or any(_is_open(part) for part in self._parts)

    def child(self, name: str) -> Shape | None:
        """The shape of a field, or None if no such field is known here."""
        if name not in self._children:
            self._children[name] = self._find(name)
        return self._children[name]

    @property
    def item(self) -> Shape:
        if self._items is None:
            found = [p["items"] for p in self._parts if isinstance(p.get("items"), dict)]
            self._items = Shape(found, self._definitions)
        return self._items

    def keyword(self, name: str) -> Any:
        return next((part[name] for part in self._parts if name in part), None)

    def _find(self, name: str) -> Shape | None:
        named = [p["properties"][name] for p in self._parts if name in p.get("properties", ())]
        if named:
            return Shape(named, self._definitions)
        extra = [p["additionalProperties"] for p in self._parts if isinstance(p.get("additionalProperties"), dict)]
        if extra:
            return Shape(extra, self._definitions)
        return ANYTHING if self.open else None


def _flat(schema: Schema, definitions: Mapping[str, Schema], depth: int) -> Iterator[Schema]:
    """A schema and all its alternatives; a field that one alternative knows is known."""
    if depth > 20:
        return
    if "$ref" in schema:
        yield from _flat(definitions.get(schema["$ref"].rpartition("/")[2], {}), definitions, depth + 1)
    yielded = False
    for word in ("allOf", "anyOf", "oneOf"):
        for part in schema.get(word, ()):
            yielded = True
            if part.get("type") != "null":
                yield from _flat(part, definitions, depth + 1)
    if "$ref" not in schema and (not yielded or "properties" in schema):
        yield schema
    elif any(key.startswith("x-kubernetes") for key in schema):
        yield {"type": "marker", **{k: v for k, v in schema.items() if k.startswith("x-kubernetes")}}


def _is_open(part: Schema) -> bool:
    if part.get("x-kubernetes-preserve-unknown-fields") or part.get("additionalProperties") is True:
        return True
    if part.get("type", "object") != "object":
        return False
    return "properties" not in part and "additionalProperties" not in part


ANYTHING = Shape([], {})


def list_rule(field: str, shape: Shape, items: list[Any], *, builtin: bool) -> ListRule:
    """How the list under `field` merges: what the schema says, then the keys that are the same for every kind."""
    if keys := shape.keyword("x-kubernetes-list-map-keys"):
        return tuple(keys)
    if key := shape.keyword("x-kubernetes-patch-merge-key"):
        return (key,)
    if kind := shape.keyword("x-kubernetes-list-type"):
        return str(kind)
    return _known_rule(field, items, builtin=builtin)


def _known_rule(field: str, items: list[Any], *, builtin: bool) -> ListRule:
    maps = all(isinstance(item, dict) for item in items)
    if field == "finalizers" and not any(isinstance(item, (dict, list)) for item in items):
        return "set"
    if field == "ownerReferences" and maps and all("uid" in item for item in items):
        return ("uid",)
    if not (maps and items):
        return "atomic"
    keys = _keys(field) if builtin or field == "conditions" else None
    if field == "ports" and builtin:
        keys = next(((key,) for key in PORTS if all(key in item for item in items)), None)
    return keys if keys and all(key in item for item in items for key in keys) else "atomic"


def _keys(field: str) -> tuple[str, ...] | None:
    return (MERGE_KEYS[field],) if field in MERGE_KEYS else None


def unknown_fields(value: Any, shape: Shape, path: str = "") -> Iterator[str]:
    """Paths of the fields in `value` that the shape does not know, such as `spec.trainer.numNode`."""
    if isinstance(value, dict):
        for name, inner in value.items():
            child = shape.child(name)
            at = f"{path}.{name}" if path else name
            if child is None:
                yield at
            elif child is not ANYTHING and isinstance(inner, (dict, list)):
                yield from unknown_fields(inner, child, at)
    elif isinstance(value, list) and value:
        item = shape.item
        for at, inner in enumerate(value):
            if isinstance(inner, (dict, list)):
                yield from unknown_fields(inner, item, f"{path}[{at}]")


def pruned(value: Any, shape: Shape) -> Any:
    """`value` without the fields that the shape does not know."""
    if isinstance(value, dict):
        return {k: pruned(v, c) for k, v in value.items() if (c := shape.child(k)) is not None}
    if isinstance(value, list):
        return [pruned(v, shape.item) for v in value]
    return value
