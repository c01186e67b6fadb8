"""Label and field selectors as text, parsed once and asked often; it must not assume which fields a kind has."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from libs.base import BadRequest
from libs.resources.names import label_key_problem, label_value_problem

_SET = re.compile(r"^(?P<key>[^\s!=<>(),]+)\s+(?P<op>in|notin)\s*\((?P<values>[^()]*)\)$")
_PAIR = re.compile(r"^(?P<key>[^\s!=<>(),]+)\s*(?P<op>==|=|!=|<|>)\s*(?P<value>[^\s!=<>(),]*)$")
_BARE = re.compile(r"^(?P<not>!?)\s*(?P<key>[^\s!=<>(),]+)$")


@dataclass(frozen=True)
class Requirement:
    """One term: `op` is one of `in`, `notin`, `exists`, `!`, `>`, `<`."""

    key: str
    op: str
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        match self.op:
            case "in":
                return value is not None and value in self.values
            case "notin":
                return value is None or value not in self.values
            case "exists":
                return value is not None
            case "!":
                return value is None
        return _compares(self.op, value, next(iter(self.values)))


@dataclass(frozen=True)
class LabelSelector:
    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        return all(r.matches(labels) for r in self.requirements)

    def __bool__(self) -> bool:
        return bool(self.requirements)


@dataclass(frozen=True)
class FieldTerm:
    path: tuple[str, ...]
    equal: bool
    value: str


@dataclass(frozen=True)
class FieldSelector:
    terms: tuple[FieldTerm, ...] = ()

    def matches(self, obj: Mapping[str, Any]) -> bool:
        return all((_text_at(obj, t.path) == t.value) == t.equal for t in self.terms)

    def wants(self, *path: str) -> str | None:
        """The value that the field at `path` must equal, if the selector says so."""
        return next((t.value for t in self.terms if t.equal and t.path == path), None)

    def __bool__(self) -> bool:
        return bool(self.terms)


@dataclass(frozen=True)
class Selectors:
    """Both selectors of a request."""

    labels: LabelSelector = LabelSelector()
    fields: FieldSelector = FieldSelector()

    def matches(self, obj: Mapping[str, Any]) -> bool:
        labels = (obj.get("metadata") or {}).get("labels") or {}
        return self.labels.matches(labels) and self.fields.matches(obj)

    def __bool__(self) -> bool:
        return bool(self.labels or self.fields)


EVERYTHING = Selectors()


def selectors(labels: str | None = None, fields: str | None = None) -> Selectors:
    return Selectors(parse_labels(labels or ""), parse_fields(fields or ""))


@lru_cache(maxsize=512)
def parse_labels(text: str) -> LabelSelector:
    """Reads `a=b,c!=d,e in (x, y),f notin (z),g,!h`; raises BadRequest with the term that it cannot read."""
    terms = [term.strip() for term in _split(text)] if text.strip() else []
    return LabelSelector(tuple(_requirement(term, text) for term in terms))


@lru_cache(maxsize=512)
def parse_fields(text: str) -> FieldSelector:
    """Reads `metadata.name=x,status.phase!=Failed`; a backslash escapes a comma, an equals sign or itself in a
    value.
    """
    parts = [p for p in re.split(r"(?<!\\),", text) if p.strip()]
    return FieldSelector(tuple(_field_term(part, text) for part in parts))


def labels_text(selector: Mapping[str, Any]) -> str:
    """A `matchLabels`/`matchExpressions` selector as text for a query; an empty selector gives the empty text."""
    terms = [f"{k}={v}" for k, v in (selector.get("matchLabels") or {}).items()]
    for e in selector.get("matchExpressions") or []:
        words = {"In": "in", "NotIn": "notin"}
        if e["operator"] in words:
            terms.append(f"{e['key']} {words[e['operator']]} ({','.join(e.get('values') or [])})")
        else:
            terms.append(e["key"] if e["operator"] == "Exists" else f"!{e['key']}")
    return ",".join(terms)


def _split(text: str) -> Iterator[str]:
    depth, start = 0, 0
    for at, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            yield text[start:at]
            start = at + 1
    yield text[start:]


def _requirement(term: str, text: str) -> Requirement:
    if found := _SET.match(term):
        values = frozenset(v.strip() for v in found["values"].split(","))
        return _checked(Requirement(found["key"], found["op"], values), text)
    if found := _PAIR.match(term):
        op = {"=": "in", "==": "in", "!=": "notin"}.get(found["op"], found["op"])
        return _checked(Requirement(found["key"], op, frozenset([found["value"]])), text)
    if found := _BARE.match(term):
        return _checked(Requirement(found["key"], "!" if found["not"] else "exists"), text)
    raise BadRequest(
        f"unable to parse label selector {text!r}: {term!r} is none of key, !key, key=value, key in (a, b)"
    )


def _checked(requirement: Requirement, text: str) -> Requirement:
    problem = label_key_problem(requirement.key) or next(
        filter(None, map(label_value_problem, requirement.values)), None
    )
    if requirement.op in "<>" and not _is_int(next(iter(requirement.values))):
        problem = f"{requirement.op} needs a whole number"
    if problem:
        raise BadRequest(f"unable to parse label selector {text!r}: {problem}")
    return requirement


def _compares(op: str, value: str | None, bound: str) -> bool:
    if value is None or not _is_int(value):
        return False
    return int(value) > int(bound) if op == ">" else int(value) < int(bound)


def _is_int(text: str) -> bool:
    return re.fullmatch(r"-?[0-9]{1,18}", text) is not None


def _field_term(part: str, text: str) -> FieldTerm:
    found = re.match(r"^\s*(?P<path>[A-Za-z0-9_./-]+)\s*(?P<op>==|=|!=)(?P<value>.*)$", part, re.S)
    if not found:
        raise BadRequest(f"unable to parse field selector {text!r}: {part!r} is neither path=value nor path!=value")
    value = re.sub(r"\\([\\,=])", r"\1", found["value"].strip())
    return FieldTerm(tuple(found["path"].split(".")), found["op"] != "!=", value)


def _text_at(obj: Any, path: tuple[str, ...]) -> str:
    for step in path:
        obj = obj.get(step) if isinstance(obj, Mapping) else None
    if isinstance(obj, bool):
        return "true" if obj else "false"
    return "" if obj is None or isinstance(obj, (Mapping, list)) else str(obj)
