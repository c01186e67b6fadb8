"""YAML from strangers as plain values: what it costs is bounded while it is read, whatever the text unfolds to.

PyYAML's own loaders recurse in C (a deep text ends the process), copy merged mappings without bound, and read `1:1:1`
as a number to the base of sixty in quadratic time. This reader takes the parser's events alone.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator
from typing import Any

import yaml

DIGITS_MAX = 400
_TAG = "tag:yaml.org,2002:"
_NOT_READ = ("timestamp", "value", "yaml")
"""Dates stay texts: JSON has none."""
_RESOLVERS: dict[str, list[tuple[str, re.Pattern[str]]]] = {
    first: [(tag.removeprefix(_TAG), regexp) for tag, regexp in found if tag.removeprefix(_TAG) not in _NOT_READ]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    if first is not None
}
_BOOLS = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}
_MERGE = object()
"""The key `<<`; and, of an anchor, that what it names is not whole yet."""


class BadYaml(ValueError):
    """The text is no YAML, or has what is not read here."""


class TooMuch(BadYaml):
    """More documents, values or levels than are read."""


def read(
    text: str | bytes,
    *,
    documents: int = 1,
    depth: int = 200,
    values: int = 2_000_000,
    duplicates: list[str] | None = None,
) -> list[Any]:
    """The documents of a text, at most so many, none of them nested deeper or made of more values than told. Aliases
    are the same object again, so that a walk through it may still find many more. `duplicates` collects the fields that
    were given twice; the last one counts. Raises BadYaml."""
    reader = _Reader(depth, values, [] if duplicates is None else duplicates)
    found: list[Any] = []
    try:
        for document in reader.documents(yaml.parse(text, Loader=yaml.CSafeLoader)):
            found.append(document)
            if len(found) > documents:
                raise TooMuch(f"more than {documents} documents")
    except yaml.YAMLError as error:
        raise BadYaml(" ".join(str(error).split())) from None
    except UnicodeEncodeError:
        raise BadYaml("a text holds half of a character (a lone surrogate)") from None
    return found


class _Mapping:
    """A mapping that is being read: a key waits for its value."""

    def __init__(self, twice: list[str]) -> None:
        """`twice` collects the fields that are given more than once."""
        self.made: dict[Hashable, Any] = {}
        self._merges: list[Any] = []
        self._key: Any = None
        self._waits = False
        self._twice = twice

    def take(self, value: Any) -> None:
        if not self._waits:
            if isinstance(value, dict | list):
                raise BadYaml("a key is an object or a list: write a text")
            self._key, self._waits = value, True
            return
        self._waits = False
        if self._key is _MERGE:
            self._merges.append(value)
            return
        if self._key in self.made:
            self._twice.append(str(self._key))
        self.made[self._key] = value

    def done(self) -> tuple[dict[Hashable, Any], int]:
        """The mapping, and how many values were copied into it. Its own fields go before merged ones, earlier merged
        ones before later ones."""
        copied = 0
        for merge in self._merges:
            for source in merge if isinstance(merge, list) else [merge]:
                if not isinstance(source, dict):
                    raise BadYaml("<< wants a mapping, or a list of them")
                copied += len(source)
                for key, value in source.items():
                    self.made.setdefault(key, value)
        return self.made, copied


class _List:
    def __init__(self) -> None:
        self.made: list[Any] = []
        self.take = self.made.append

    def done(self) -> tuple[list[Any], int]:
        return self.made, 0


class _Reader:
    def __init__(self, depth: int, values: int, duplicates: list[str]) -> None:
        self._depth, self._values, self._most, self._twice = depth, 0, values, duplicates
        self._anchors: dict[str, Any] = {}
        self._open: list[tuple[_Mapping | _List, str | None]] = []
        self._root: Any = None

    def documents(self, events: Iterable[Any]) -> Iterator[Any]:
        for event in events:
            kind = type(event)
            if kind is yaml.ScalarEvent:
                self._take(_scalar(event, self._is_key()), event.anchor)
            elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
                self._begin(event, kind is yaml.MappingStartEvent)
            elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                self._end()
            elif kind is yaml.AliasEvent:
                self._take(self._named(event.anchor), None)
            elif kind is yaml.DocumentStartEvent:
                self._anchors, self._root = {}, None
            elif kind is yaml.DocumentEndEvent:
                yield self._root

    def _begin(self, event: Any, mapping: bool) -> None:
        if event.tag not in (None, "!", f"{_TAG}map", f"{_TAG}seq"):
            raise BadYaml(f"the tag {event.tag!r} is not read here")
        if len(self._open) >= self._depth:
            raise TooMuch(f"nested deeper than {self._depth}")
        self._count(1)
        self._open.append((_Mapping(self._twice) if mapping else _List(), event.anchor))
        if event.anchor:
            self._anchors[event.anchor] = _MERGE  # until it is whole

    def _end(self) -> None:
        ended, anchor = self._open.pop()
        made, copied = ended.done()
        self._count(copied)
        if anchor:
            self._anchors[anchor] = made
        self._put(made)

    def _take(self, value: Any, anchor: str | None) -> None:
        self._count(1)
        if anchor:
            self._anchors[anchor] = value
        self._put(value)

    def _put(self, value: Any) -> None:
        if self._open:
            self._open[-1][0].take(value)
        else:
            self._root = value

    def _named(self, anchor: str) -> Any:
        if anchor not in self._anchors:
            raise BadYaml(f"found undefined alias {anchor!r}")
        if self._anchors[anchor] is _MERGE:
            raise BadYaml("an alias of YAML leads back to itself")
        return self._anchors[anchor]

    def _is_key(self) -> bool:
        inner = self._open[-1][0] if self._open else None
        return isinstance(inner, _Mapping) and not inner._waits

    def _count(self, more: int) -> None:
        self._values += more
        if self._values > self._most:
            raise TooMuch(f"more than {self._most} values")


def _scalar(event: Any, key: bool) -> Any:
    text: str = event.value
    if event.tag in (None, "!"):
        tag = _resolved(text) if event.implicit[0] and event.tag is None else "str"
    else:
        tag = event.tag.removeprefix(_TAG)
    if tag == "str":
        return text
    if tag == "merge":
        return _MERGE if key else text
    try:
        return _READERS[tag](text)
    except KeyError:
        raise BadYaml(f"the tag {event.tag!r} is not read here, or {text[:40]!r} is none of it") from None
    except (ValueError, OverflowError) as error:
        raise BadYaml(f"{text[:40]!r} is no {tag}: {error}") from None


def _resolved(text: str) -> str:
    for tag, regexp in _RESOLVERS.get(text[:1], ()):
        if regexp.match(text):
            return "str" if ":" in text and tag in ("int", "float") else tag
    return "str"


def _int(text: str) -> int:
    digits = text.replace("_", "").lower()
    if len(digits) > DIGITS_MAX:
        raise ValueError(f"it has {len(digits)} digits")
    sign, digits = (-1, digits[1:]) if digits[:1] == "-" else (1, digits.removeprefix("+"))
    if digits[:2] in ("0x", "0b"):
        return sign * int(digits, 0)
    return sign * int(digits, 8 if digits[:1] == "0" and len(digits) > 1 else 10)


def _float(text: str) -> float:
    digits = text.replace("_", "").lower()
    sign, digits = (-1.0, digits[1:]) if digits[:1] == "-" else (1.0, digits.removeprefix("+"))
    return sign * float(digits.replace(".inf", "inf").replace(".nan", "nan"))


_READERS = {"null": lambda text: None, "bool": lambda text: _BOOLS[text.lower()], "int": _int, "float": _float}
