"""Request bodies into plain values: JSON, YAML or protobuf, bounded in size and depth, with duplicate fields told;
no HTTP here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import orjson

from libs.base import BadRequest, UnsupportedMediaType, yamltext
from libs.resources import protobuf
from libs.resources.protobuf import PROTOBUF, Table

BODY_BYTES_MAX = 3 * 1024 * 1024
_DEPTH_MAX = 200
_NODES_MAX = 2_000_000
_YAML_TYPES = ("application/yaml", "application/x-yaml", "text/yaml", "application/apply-patch+yaml")


def media_type(content_type: str | None) -> str:
    """The type without parameters, lower case; nothing means JSON, as it does for Kubernetes."""
    return (content_type or "application/json").partition(";")[0].strip().lower() or "application/json"


def decode(raw: bytes, content_type: str, *, duplicates: list[str] | None = None, messages: Table | None = None) -> Any:
    """The value of a body. `duplicates` collects the paths of fields that were given twice (the last one counts),
    `messages` tells how to read protobuf, where that is read at all.
    """
    if content_type == PROTOBUF:
        return protobuf.decode(raw, messages)
    if content_type in _YAML_TYPES and raw.lstrip()[:1] != b"{":
        value = _from_yaml(raw, duplicates)
    elif content_type in _YAML_TYPES or content_type == "application/json" or content_type.endswith("+json"):
        value = _from_json(raw, duplicates)
    else:
        raise UnsupportedMediaType(
            f"cannot read a body of type {content_type!r}: send application/json or application/yaml"
        )
    check_size(value)
    if b"\\u0000" in raw or content_type in _YAML_TYPES:
        _refuse_nul(value)
    return value


def _from_json(raw: bytes, duplicates: list[str] | None) -> Any:
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body is not valid JSON: {error}") from None
    if duplicates is not None:
        check_size(value)
        json.loads(raw, object_pairs_hook=_noting(duplicates))
    return value


def _noting(duplicates: list[str]) -> Any:
    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key, value in items:
            if key in out:
                duplicates.append(key)
            out[key] = value
        return out

    return pairs


def _from_yaml(raw: bytes, duplicates: list[str] | None) -> Any:
    try:
        value = next(iter(yamltext.read(raw, depth=_DEPTH_MAX, values=_NODES_MAX, duplicates=duplicates)), None)
        check_size(value)
        return orjson.loads(orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS))
    except (yamltext.BadYaml, TypeError, orjson.JSONEncodeError) as error:
        raise BadRequest(f"the body is not valid YAML: {str(error)[:300]}") from None


def check_size(value: Any) -> None:
    """Refuses what nests too deep or (YAML aliases, copies within a patch) unfolds into too much."""
    level, depth, nodes = [value], 0, 0
    while level:
        depth, nodes = depth + 1, nodes + len(level)
        if depth > _DEPTH_MAX or nodes > _NODES_MAX:
            raise BadRequest(
                f"the body nests deeper than {_DEPTH_MAX} levels or unfolds into more than {_NODES_MAX} values"
            )
        level = [c for v in level if isinstance(v, (dict, list)) for c in (v.values() if isinstance(v, dict) else v)]


def check_content(value: Any) -> None:
    """What `decode` asks of any body, for a value that came another way; raises BadRequest."""
    check_size(value)
    _refuse_nul(value)


def _refuse_nul(value: Any) -> None:
    """NUL is in no text that PostgreSQL, a command line or a file name could hold."""
    level = [value]
    while level:
        if any("\0" in text for each in level for text in _texts(each)):
            raise BadRequest("the body holds the character NUL (\\u0000), which no field may: remove it")
        level = [c for v in level if isinstance(v, (dict, list)) for c in (v.values() if isinstance(v, dict) else v)]


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        return (value,)
    return [key for key in value if isinstance(key, str)] if isinstance(value, dict) else ()
