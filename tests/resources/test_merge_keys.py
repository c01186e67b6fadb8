"""What a built-in kind's schema says about merging is what the server does; kubectl computes its patches from it."""

from typing import Any

from libs.resources.kinds import Kind
from libs.resources.patches import strategic_merge
from libs.resources.schemas import schema_of

_PORT = {"type": "object", "properties": {"name": {"type": "string"}, "port": {"type": "integer"}}}
_VARIABLE = {"type": "object", "properties": {"name": {"type": "string"}, "value": {"type": "string"}}}
_TOLERATION = {"type": "object", "properties": {"key": {"type": "string"}}}
_SPEC = {
    "type": "object",
    "properties": {
        "ports": {"type": "array", "items": {"$ref": "#/$defs/Port"}},
        "env": {"type": "array", "items": _VARIABLE},
        "tolerations": {"type": "array", "items": _TOLERATION},
    },
}
SCHEMA = {"type": "object", "properties": {"spec": _SPEC}, "$defs": {"Port": _PORT}}


def _kind(group: str) -> Kind:
    return Kind(group, "v1", "Door", "doors", "door", schema=SCHEMA)


def _merging(kind: Kind, field: str) -> tuple[Any, Any]:
    told = schema_of(kind).root["properties"]["spec"]["properties"][field]
    return told.get("x-kubernetes-patch-strategy"), told.get("x-kubernetes-patch-merge-key")


def test_lists_of_built_ins_tell_their_key() -> None:
    kind = _kind("apps")
    assert _merging(kind, "ports") == ("merge", "port")
    assert _merging(kind, "env") == ("merge", "name")
    assert _merging(kind, "tolerations") == (None, None)


def test_lists_of_other_kinds_tell_none() -> None:
    assert _merging(_kind("toys.millstream.dev"), "env") == (None, None)


def test_the_server_merges_by_what_is_told() -> None:
    shape = schema_of(_kind("apps")).shape
    live = {"spec": {"ports": [{"name": "http", "port": 80}], "env": [{"name": "A"}, {"name": "B"}]}}
    patch = {
        "spec": {
            "ports": [{"name": "http", "port": 81}, {"$patch": "delete", "port": 80}],
            "env": [{"$patch": "delete", "name": "A"}],
        }
    }
    assert strategic_merge(live, patch, shape) == {
        "spec": {"ports": [{"name": "http", "port": 81}], "env": [{"name": "B"}]}
    }
