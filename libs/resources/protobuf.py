"""Objects as Kubernetes' typed clients write them: protobuf in an envelope; it assumes no kind, tables name the fields.

A table holds a line for each message: `Message: number name type, ...`. The types are `int`, `bool`, `bytes`, `time`,
`quantity`, `port` (a number or a name) and other messages; nothing means text; `[type]` is a list and `{type}` a map by
text. Go writes fields without pointers even when they are empty, so what is empty is absent; `?` marks pointers, which
keep their zero. Source: the generated.proto files of k8s.io/api and k8s.io/apimachinery.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from libs.base import BadRequest, UnsupportedMediaType, rfc3339

PROTOBUF = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\0"
_REMEDY = "use `kubectl create ... --dry-run=client -o yaml | kubectl apply -f -`"


@dataclass(frozen=True)
class Field:
    """One field of a message; `many` is empty, `list` or `map`, `kept` tells that its zero means something."""

    name: str
    type: str = ""
    many: str = ""
    kept: bool = False


Table = Mapping[str, Mapping[int, Field]]


def table(text: str) -> Table:
    """The messages of a table, and those of metadata."""
    lines = [line.split(":", 1) for line in (text + _META).splitlines() if line.strip()]
    told: dict[str, dict[int, Field]] = {}
    for name, fields in lines:
        told.setdefault(name.strip(), {}).update(_field(*one.split()) for one in fields.split(",") if one.strip())
    return told


def _field(number: str, name: str, type_: str = "") -> tuple[int, Field]:
    kept, bare = type_.endswith("?"), type_.removesuffix("?")
    many = {"[": "list", "{": "map"}.get(bare[:1], "")
    return int(number), Field(name, bare.strip("[]{}"), many, kept)


_META = """
ObjectMeta: 1 name, 2 generateName, 3 namespace, 4 selfLink, 5 uid, 6 resourceVersion, 7 generation int
ObjectMeta: 8 creationTimestamp time, 9 deletionTimestamp time, 10 deletionGracePeriodSeconds int?, 11 labels {}
ObjectMeta: 12 annotations {}, 13 ownerReferences [OwnerReference], 14 finalizers []
OwnerReference: 1 kind, 3 name, 4 uid, 5 apiVersion, 6 controller bool?, 7 blockOwnerDeletion bool?
LabelSelector: 1 matchLabels {}, 2 matchExpressions [LabelSelectorRequirement]
LabelSelectorRequirement: 1 key, 2 operator, 3 values []
DeleteOptions: 1 gracePeriodSeconds int?, 2 preconditions Preconditions, 3 orphanDependents bool?
DeleteOptions: 4 propagationPolicy, 5 dryRun []
Preconditions: 1 uid, 2 resourceVersion
"""
_ENVELOPE = table("Unknown: 1 type TypeMeta, 2 raw bytes, 3 encoding, 4 content\nTypeMeta: 1 apiVersion, 2 kind")
META = table("")


def decode(raw: bytes, messages: Table | None) -> dict[str, Any]:
    """The object in a body; raises UnsupportedMediaType for what no table names, BadRequest for what is no protobuf."""
    if messages is None:
        raise UnsupportedMediaType(f"this server reads these objects as JSON and YAML, not as protobuf: {_REMEDY}")
    if raw[:4] != _MAGIC:
        raise BadRequest("the body is not protobuf as Kubernetes writes it: it must begin with k8s and a zero byte")
    envelope = _message(raw[4:], "Unknown", _ENVELOPE)
    type_ = envelope.get("type") or {}
    kind = str(type_.get("kind", ""))
    if envelope.get("encoding") or kind not in messages:
        raise UnsupportedMediaType(f"this server does not read {kind or 'this'} as protobuf: {_REMEDY}")
    return {**type_, **_message(base64.b64decode(envelope.get("raw", "")), kind, messages)}


def _message(raw: bytes, name: str, messages: Table) -> dict[str, Any]:
    fields, out = messages[name], dict[str, Any]()
    for number, value in _wire(raw):
        field = fields.get(number)
        if field is None:
            raise UnsupportedMediaType(f"this server does not read field {number} of {name} as protobuf: {_REMEDY}")
        if field.many == "map":
            entry = _message(_bytes(value), "entry", {**messages, "entry": {1: Field("k"), 2: Field("v", field.type)}})
            out.setdefault(field.name, {})[entry.get("k", "")] = entry.get("v", "")
        elif field.many == "list":
            out.setdefault(field.name, []).append(_value(value, field.type, messages))
        else:
            told = _value(value, field.type, messages)
            if field.kept or told not in ("", 0, False, None, {}):
                out[field.name] = told
    return out


def _value(value: int | bytes, type_: str, messages: Table) -> Any:
    if type_ in ("int", "bool"):
        number = _number(value)
        return bool(number) if type_ == "bool" else number - (1 << 64) * (number >> 63)
    raw = _bytes(value)
    if type_ == "bytes":
        return base64.b64encode(raw).decode()
    if type_ == "quantity":
        return _message(raw, "q", {"q": {1: Field("text")}}).get("text", "0")
    if type_ == "time":
        seconds = _message(raw, "t", {"t": {1: Field("seconds", "int"), 2: Field("nanos", "int")}}).get("seconds")
        return None if seconds is None else rfc3339(_moment(seconds))
    if type_ == "port":
        told = _message(raw, "p", {"p": {1: Field("type", "int"), 2: Field("number", "int"), 3: Field("text")}})
        return told.get("text", "") if told.get("type") else told.get("number", 0)
    return _message(raw, type_, messages) if type_ else _text(raw)


def _moment(seconds: int) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise BadRequest("the body holds a time that no calendar has") from None


def _text(raw: bytes) -> str:
    if b"\0" in raw:
        raise BadRequest("the body holds the character NUL, which no field may: remove it")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise BadRequest("the body holds text that is not UTF-8") from None


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, bytes):
        return value
    raise BadRequest("the body is not valid protobuf: a number stands where text or a message belongs")


def _number(value: int | bytes) -> int:
    if isinstance(value, int):
        return value
    raise BadRequest("the body is not valid protobuf: text stands where a number belongs")


def _wire(raw: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields in the order written: number and content, a varint as int."""
    at = 0
    while at < len(raw):
        key, at = _varint(raw, at)
        sort = key & 7
        if sort == 0:
            number, at = _varint(raw, at)
            yield key >> 3, number
            continue
        if sort not in (1, 2, 5):
            raise BadRequest("the body is not valid protobuf: unknown wire type")
        size, at = _varint(raw, at) if sort == 2 else (8 if sort == 1 else 4, at)
        if at + size > len(raw):
            raise BadRequest("the body is not valid protobuf: it ends too early")
        yield key >> 3, raw[at : at + size]
        at += size


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 70, 7):
        if at >= len(raw):
            break
        number |= (raw[at] & 0x7F) << shift
        at += 1
        if raw[at - 1] < 0x80:
            return number & ((1 << 64) - 1), at
    raise BadRequest("the body is not valid protobuf: a number does not end")
