"""The patches that clients send: merge (RFC 7386), JSON (RFC 6902), strategic merge; pure, the target is
never changed.
"""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

from libs.base import BadRequest, Cause, Invalid
from libs.resources.bodies import check_size
from libs.resources.shapes import ANYTHING, Shape, list_rule

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_YAML = "application/apply-patch+yaml"
APPLY_JSON = "application/apply-patch+json"
_OPERATIONS_MAX = 10_000
_COPIED_MAX = 200_000


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7386: maps merge, null removes, everything else replaces."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def json_patch(target: Any, operations: Any) -> Any:
    """RFC 6902: a list of add, remove, replace, move, copy, test; raises BadRequest or, for a failed test, Invalid."""
    if not isinstance(operations, list):
        raise BadRequest(
            'a JSON patch must be a list of operations, such as [{"op": "replace", "path": "/spec/x", ...}]'
        )
    if len(operations) > _OPERATIONS_MAX:
        raise BadRequest(f"a JSON patch may have at most {_OPERATIONS_MAX} operations, this one has {len(operations)}")
    document, copied = copy.deepcopy(target), 0
    for at, operation in enumerate(operations):
        copied += _copies(document, operation, at)
        if copied > _COPIED_MAX:
            raise BadRequest(f"JSON patch operation {at}: the patch copies more than {_COPIED_MAX} values in all")
        document = _operate(document, operation, at)
    check_size(document)
    return document


def _copies(document: Any, operation: Any, at: int) -> int:
    """How many values `copy` is about to make of what is there: copies of copies double."""
    if not isinstance(operation, dict) or operation.get("op") != "copy":
        return 0
    level, count = [_look_up(document, _pointer(operation.get("from"), at), at)], 0
    while level and count <= _COPIED_MAX:
        count += len(level)
        level = [c for v in level if isinstance(v, (dict, list)) for c in (v.values() if isinstance(v, dict) else v)]
    return count


def _operate(document: Any, operation: Any, at: int) -> Any:
    if not isinstance(operation, dict) or not isinstance(operation.get("path"), str):
        raise BadRequest(f'JSON patch operation {at} must be an object with "op" and "path"')
    op, path = operation.get("op"), _pointer(operation["path"], at)
    if op in ("add", "replace", "test") and "value" not in operation:
        raise BadRequest(f'JSON patch operation {at} ({op} {operation["path"]}) has no "value"')
    value = copy.deepcopy(operation.get("value"))
    match op:
        case "add":
            return _add(document, path, value, at)
        case "remove":
            return _remove(document, path, at)[0]
        case "replace":
            return _replace(document, path, value, at)
        case "test":
            return _test(document, path, value, at, operation["path"])
        case "move" | "copy":
            return _move(document, path, operation, at)
    raise BadRequest(f"JSON patch operation {at}: unknown op {op!r}, use add, remove, replace, move, copy or test")


def _move(document: Any, path: list[str], operation: dict[str, Any], at: int) -> Any:
    source = _pointer(operation.get("from"), at)
    value = copy.deepcopy(_look_up(document, source, at))
    if operation["op"] == "move":
        if path[: len(source)] == source and path != source:
            raise BadRequest(f"JSON patch operation {at} moves {operation['from']} into itself")
        document = _remove(document, source, at)[0]
    return _add(document, path, value, at)


def _test(document: Any, path: list[str], value: Any, at: int, pointer: str) -> Any:
    found = _look_up(document, path, at)
    if not _same(found, value):
        raise Invalid(
            causes=[Cause(pointer, f"JSON patch operation {at}: test failed, the value differs from {value!r}")]
        )
    return document


def _same(a: Any, b: Any) -> bool:
    """Equality of JSON values: true is not 1."""
    if isinstance(a, bool) != isinstance(b, bool):
        return False
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[k], b[k]) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_same, a, b))
    return bool(a == b)


def _pointer(text: Any, at: int) -> list[str]:
    if not isinstance(text, str) or (text and not text.startswith("/")):
        raise BadRequest(f"JSON patch operation {at}: {text!r} is not a JSON pointer, it must start with '/'")
    return [step.replace("~1", "/").replace("~0", "~") for step in text.split("/")[1:]]


def _look_up(document: Any, path: list[str], at: int) -> Any:
    for step in path:
        if isinstance(document, dict) and step in document:
            document = document[step]
        elif isinstance(document, list):
            document = document[_index(step, len(document) - 1, at)]
        else:
            raise _absent(path, at)
    return document


def _add(document: Any, path: list[str], value: Any, at: int) -> Any:
    if not path:
        return value
    parent, last = _look_up(document, path[:-1], at), path[-1]
    if isinstance(parent, dict):
        parent[last] = value
    elif isinstance(parent, list):
        parent.insert(len(parent) if last == "-" else _index(last, len(parent), at), value)
    else:
        raise _absent(path, at)
    return document


def _replace(document: Any, path: list[str], value: Any, at: int) -> Any:
    if not path:
        return value
    _look_up(document, path, at)
    parent = _look_up(document, path[:-1], at)
    parent[path[-1] if isinstance(parent, dict) else int(path[-1])] = value
    return document


def _remove(document: Any, path: list[str], at: int) -> tuple[Any, Any]:
    if not path:
        raise BadRequest(f"JSON patch operation {at} would remove the whole object: delete it instead")
    value = _look_up(document, path, at)
    parent = _look_up(document, path[:-1], at)
    del parent[path[-1] if isinstance(parent, dict) else int(path[-1])]
    return document, value


def _index(step: str, last: int, at: int) -> int:
    if (
        not step.isascii()
        or not step.isdigit()
        or len(step) > 9
        or (len(step) > 1 and step[0] == "0")
        or int(step) > last
    ):
        raise Invalid(
            causes=[Cause("", f"JSON patch operation {at}: no element {step!r} in a list that ends at {last}")]
        )
    return int(step)


def _absent(path: list[str], at: int) -> Invalid:
    pointer = "/" + "/".join(path)
    return Invalid(causes=[Cause(pointer, f"JSON patch operation {at}: the path {pointer} does not exist")])


def strategic_merge(target: Any, patch: Any, shape: Shape = ANYTHING) -> Any:
    """Kubernetes' strategic merge: as RFC 7386, but lists with a merge key merge by it, and `$patch`
    directives apply.
    """
    if not isinstance(patch, dict):
        return patch
    directive = patch.get("$patch")
    if directive == "delete":
        return {}
    base = {} if directive == "replace" or not isinstance(target, dict) else dict(target)
    if isinstance(keep := patch.get("$retainKeys"), list):
        base = {k: v for k, v in base.items() if k in keep}
    for key, value in patch.items():
        if not key.startswith("$"):
            _merge_field(base, key, value, shape)
    _delete_primitives(base, patch)
    _order(base, patch, shape)
    return base


def _merge_field(base: dict[str, Any], key: str, value: Any, shape: Shape) -> None:
    inner = shape.child(key) or ANYTHING
    if value is None:
        base.pop(key, None)
    elif isinstance(value, list):
        base[key] = _merge_list(key, base.get(key), value, inner)
    elif isinstance(value, dict) and value.get("$patch") == "delete":
        base.pop(key, None)
    else:
        base[key] = strategic_merge(base.get(key), value, inner)


def _merge_list(field: str, old: Any, patch: list[Any], shape: Shape) -> list[Any]:
    if any(isinstance(i, dict) and i.get("$patch") == "replace" for i in patch):
        return [i for i in patch if not (isinstance(i, dict) and "$patch" in i)]
    had = list(old) if isinstance(old, list) else []
    rule = list_rule(field, shape, [*had, *patch], builtin=True)
    if rule == "set":
        return [*had, *(i for i in patch if i not in had)]
    if not isinstance(rule, tuple):
        return [strategic_merge(None, i, shape.item) for i in patch]
    return _merge_by_key(had, patch, rule[0], shape)


def _merge_by_key(had: list[Any], patch: list[Any], key: str, shape: Shape) -> list[Any]:
    merged = {_hashable(i.get(key)): i for i in had if isinstance(i, dict)}
    for item in patch:
        if not isinstance(item, dict):
            continue
        at = _hashable(item.get(key))
        if item.get("$patch") == "delete":
            merged.pop(at, None)
        else:
            merged[at] = strategic_merge(merged.get(at), item, shape.item)
    return list(merged.values())


def _hashable(value: Any) -> Any:
    return value if not isinstance(value, (dict, list)) else repr(value)


def _delete_primitives(base: dict[str, Any], patch: dict[str, Any]) -> None:
    for key, gone in patch.items():
        field = key.removeprefix("$deleteFromPrimitiveList/")
        if field != key and isinstance(gone, list) and isinstance(base.get(field), list):
            base[field] = [i for i in base[field] if i not in gone]


def _order(base: dict[str, Any], patch: dict[str, Any], shape: Shape) -> None:
    """`$setElementOrder/<field>` gives the wanted order; elements it does not name keep theirs behind it."""
    for key, order in patch.items():
        field = key.removeprefix("$setElementOrder/")
        if field == key or not isinstance(order, list) or not isinstance(base.get(field), list):
            continue
        rule = list_rule(field, shape.child(field) or ANYTHING, base[field], builtin=True)
        place = {_place(i, rule): at for at, i in enumerate(order)}
        base[field] = sorted(base[field], key=partial(_rank, place, rule))


def _rank(place: dict[Any, int], rule: Any, item: Any) -> int:
    return place.get(_place(item, rule), len(place))


def _place(item: Any, rule: Any) -> Any:
    return _hashable(item.get(rule[0]) if isinstance(item, dict) and isinstance(rule, tuple) else item)
