"""Who owns which field: the set algebra behind server-side apply (structured-merge-diff); pure, knows no store.

A set of fields is a frozenset of paths; a path is a tuple of elements as in `FieldsV1`: `f:name`, `k:{"name":"x"}`,
`v:1`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import orjson

from libs.resources.shapes import ANYTHING, Shape, list_rule

Path = tuple[str, ...]
Paths = frozenset[Path]
Tree = dict[str, Any]
_UNOWNED: Paths = frozenset(
    [("f:apiVersion",), ("f:kind",)]
    + [("f:metadata", f"f:{name}") for name in (
        "name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp",
        "deletionGracePeriodSeconds", "selfLink", "generateName", "managedFields",
    )]
)  # fmt: skip


def fields_of(obj: Any, shape: Shape = ANYTHING, *, builtin: bool = False) -> Paths:
    """Every field that `obj` states: leaves, empty maps, and the items of lists that merge by key."""
    return frozenset(p for p in _walk(obj, (), shape, builtin) if p not in _UNOWNED and p[:2] not in _UNOWNED)


def _walk(value: Any, path: Path, shape: Shape, builtin: bool) -> Iterator[Path]:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _walk_field(name, inner, (*path, f"f:{name}"), shape.child(name) or ANYTHING, builtin)
    elif path:
        yield path


def _walk_field(name: str, value: Any, path: Path, shape: Shape, builtin: bool) -> Iterator[Path]:
    if not isinstance(value, list):
        if shape.keyword("x-kubernetes-map-type") == "atomic":
            yield path
        else:
            yield from _walk(value, path, shape, builtin)
        return
    rule = list_rule(name, shape, value, builtin=builtin)
    if not value or rule == "atomic" or not _keyed(value, rule):
        yield path
        return
    for item in value:
        at = (*path, element(item, rule))
        yield at
        if isinstance(rule, tuple):
            yield from _walk(item, at, shape.item, builtin)


def _keyed(items: list[Any], rule: Any) -> bool:
    """A list merges by its rule only if every item has its keys; otherwise it is taken whole."""
    if isinstance(rule, tuple):
        return all(isinstance(i, dict) and any(k in i for k in rule) for i in items)
    return True


def element(item: Any, rule: Any) -> str:
    """The path element of a list item."""
    if isinstance(rule, tuple):
        return "k:" + _json({key: item[key] for key in rule if key in item})
    return "v:" + _json(item)


def _json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def encode(paths: Paths) -> Tree:
    """Paths as a `FieldsV1` tree."""
    tree: Tree = {}
    for path in sorted(paths):
        node = tree
        for step in path[:-1]:
            node = node.setdefault(step, {})
        node.setdefault(path[-1], {})
    return _dotted(tree, (), paths)


def _dotted(tree: Tree, at: Path, paths: Paths) -> Tree:
    """Marks with `.` the inner nodes that are owned themselves."""
    out: Tree = {k: _dotted(v, (*at, k), paths) for k, v in tree.items()}
    return {".": {}, **out} if out and at in paths else out


def decode(tree: Any) -> Paths:
    """A `FieldsV1` tree as paths; anything malformed in it is left out."""
    return frozenset(_leaves(tree, ())) if isinstance(tree, dict) else frozenset()


def _leaves(tree: Tree, at: Path) -> Iterator[Path]:
    if at and (not tree or "." in tree):
        yield at
    for step, inner in tree.items():
        if step != "." and isinstance(inner, dict) and _is_element(step):
            yield from _leaves(inner, (*at, step))


@lru_cache(maxsize=4096)
def _is_element(step: str) -> bool:
    """Clients may send managedFields of their own: what is no path element must not get further."""
    kind, _, rest = step.partition(":")
    try:
        return kind == "f" or (kind == "v" and orjson.loads(rest) is not _MISSING) or _is_key(kind, rest)
    except orjson.JSONDecodeError:
        return False


def _is_key(kind: str, rest: str) -> bool:
    return kind == "k" and isinstance(orjson.loads(rest), dict)


def readable(path: Path) -> str:
    """`.spec.containers[name="x"].image`, as kubectl prints conflicts."""
    out = ""
    for step in path:
        kind, _, rest = step.partition(":")
        if kind == "f":
            out += f".{rest}"
        elif kind == "k":
            out += "[" + ",".join(f"{k}={_json(v)}" for k, v in orjson.loads(rest).items()) + "]"
        else:
            out += f"[={rest}]"
    return out


_MISSING = object()


def value_at(obj: Any, path: Path) -> Any:
    """The value at a path, or a private marker equal to nothing else when it is absent."""
    for step in path:
        kind, _, rest = step.partition(":")
        obj = _step(obj, kind, rest)
        if obj is _MISSING:
            return _MISSING
    return obj


def _step(obj: Any, kind: str, rest: str) -> Any:
    if kind == "f":
        return obj.get(rest, _MISSING) if isinstance(obj, dict) else _MISSING
    at = _find(obj, kind, rest)
    return obj[at] if at is not None else _MISSING


def _find(items: Any, kind: str, rest: str) -> int | None:
    """The index of the item that an element names, or None."""
    if not isinstance(items, list):
        return None
    wanted = orjson.loads(rest)
    for at, item in enumerate(items):
        if kind == "v" and item == wanted and isinstance(item, bool) == isinstance(wanted, bool):
            return at
        if kind == "k" and isinstance(item, dict) and all(k in item and item[k] == v for k, v in wanted.items()):
            return at
    return None


def merged(live: Any, applied: Any, shape: Shape = ANYTHING, *, builtin: bool = False, field: str = "") -> Any:
    """`applied` laid over `live`: maps merge, lists by their rule, all else replaces; `live` is not changed."""
    if isinstance(live, dict) and isinstance(applied, dict):
        if shape.keyword("x-kubernetes-map-type") == "atomic":
            return applied
        out = dict(live)
        for name, value in applied.items():
            inner = shape.child(name) or ANYTHING
            out[name] = merged(live.get(name), value, inner, builtin=builtin, field=name)
        return out
    if isinstance(live, list) and isinstance(applied, list):
        return _merged_list(live, applied, shape, builtin, field)
    return applied


def _merged_list(live: list[Any], applied: list[Any], shape: Shape, builtin: bool, field: str) -> list[Any]:
    rule = list_rule(field, shape, [*live, *applied], builtin=builtin)
    if rule == "atomic" or not (_keyed(live, rule) and _keyed(applied, rule)):
        return applied
    out = {element(item, rule): item for item in live}
    for item in applied:
        at = element(item, rule)
        out[at] = merged(out[at], item, shape.item, builtin=builtin) if at in out and isinstance(rule, tuple) else item
    return list(out.values())


def without(obj: Any, paths: Paths, keep: Paths = frozenset()) -> Any:
    """`obj` without the fields at `paths`; maps and lists that this empties go too, unless they are to be kept."""
    tree: Tree = {}
    for path in paths:
        node = tree
        for step in path:
            node = node.setdefault(step, {})
    return _without(obj, tree, (), paths, keep)


def _without(value: Any, tree: Tree, at: Path, paths: Paths, keep: Paths) -> Any:
    if not isinstance(value, (dict, list)):
        return value
    gone: dict[Any, Any] = {}
    index: Any
    for step, inner in tree.items():
        kind, _, rest = step.partition(":")
        index = rest if kind == "f" and isinstance(value, dict) else _find(value, kind, rest) if kind != "f" else None
        if index is None or (isinstance(value, dict) and index not in value):
            continue
        gone[index] = _kept(value[index], inner, (*at, step), paths, keep)
    if isinstance(value, dict):
        return {k: gone.get(k, v) for k, v in value.items() if gone.get(k, v) is not _MISSING}
    return [left for i, v in enumerate(value) if (left := gone.get(i, v)) is not _MISSING]


def _kept(value: Any, tree: Tree, at: Path, paths: Paths, keep: Paths) -> Any:
    """What remains of one child, `_MISSING` for nothing. A named item goes only if no more than its keys would
    be left.
    """
    left = _without(value, tree, at, paths, keep) if tree else value
    if at not in paths:
        emptied = isinstance(left, (dict, list)) and not left and value and at not in keep
        return _MISSING if emptied else left
    if at[-1].startswith("k:") and isinstance(left, dict):
        return left if left.keys() - orjson.loads(at[-1][2:]).keys() else _MISSING
    return _MISSING if not tree or not left else left


def present(paths: Paths, obj: Any) -> Paths:
    """Of some paths those that still exist in `obj`: who replaces a map by a value ends the ownership of what
    was in it.
    """
    return frozenset(path for path in paths if value_at(obj, path) is not _MISSING)


def abandoned(before: Paths, still: Paths) -> Paths:
    """Of the fields that a manager named before, those that hold nothing which is `still` owned by anybody."""
    kept = {path[:end] for path in still for end in range(1, len(path) + 1)}
    return frozenset(path for path in before if path not in kept)


def changed_fields(old: Any, new: Any, shape: Shape = ANYTHING, *, builtin: bool = False) -> tuple[Paths, Paths]:
    """What an ordinary write did: (fields added or changed, fields removed)."""
    before, after = fields_of(old, shape, builtin=builtin), fields_of(new, shape, builtin=builtin)
    touched = frozenset(p for p in after if p not in before or _differs(old, new, p))
    return touched, before - after


def _differs(old: Any, new: Any, path: Path) -> bool:
    a, b = value_at(old, path), value_at(new, path)
    if path[-1].startswith("k:") or isinstance(b, dict):
        return a is _MISSING or not isinstance(a, dict)
    return bool(a != b or isinstance(a, bool) != isinstance(b, bool))


def same_value(a: Any, b: Any, path: Path) -> bool:
    """Whether two objects agree at a path; items with keys agree by being there."""
    return not _differs(a, b, path)
