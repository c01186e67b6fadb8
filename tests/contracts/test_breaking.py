"""What may be changed within a version and what may not, told by small schemas before and after."""

from typing import Any

import pytest

from contracts.golden.breaking import breaks

Schema = dict[str, Any]


def message(sort: str, required: tuple[str, ...] = ("name",), **properties: Schema) -> Schema:
    fields = {"name": {"type": "string"}, **properties}
    return {"x-millstream-sort": sort, "type": "object", "properties": fields, "required": list(required)}


TEXT, WHOLE, NUMBER = {"type": "string"}, {"type": "integer"}, {"type": "number"}
REFUSED = {"nullable": True, "x-kubernetes-preserve-unknown-fields": True}
OPTIONAL = {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}

NARROWED = [
    pytest.param(message("?", note=OPTIONAL), message("?"), "note: is gone", id="a field is removed"),
    pytest.param(message("?", note=OPTIONAL), message("?", remark=OPTIONAL), "note: is gone", id="a field is renamed"),
    pytest.param(
        message("?"), message("?", ("name", "age"), age=WHOLE), "age: is required now", id="a new field is required"
    ),
    pytest.param(
        message("?", age=WHOLE), message("?", ("name", "age"), age=WHOLE), "age: is required now", id="an old one is"
    ),
    pytest.param(
        message("?", age=NUMBER), message("?", age=WHOLE), "age: was number, is integer", id="a type is narrowed"
    ),
    pytest.param(
        message("?", age=TEXT), message("?", age=WHOLE), "age: was string, is integer", id="a type is another"
    ),
    pytest.param(
        message("?", mode=TEXT | {"enum": ["a", "b"]}),
        message("?", mode=TEXT | {"enum": ["a"]}),
        "mode: the value 'b' is gone",
        id="a value of an enumeration is removed",
    ),
    pytest.param(
        message("?", mode=TEXT),
        message("?", mode=TEXT | {"enum": ["a"]}),
        "mode: only some values are allowed now",
        id="a free word becomes an enumeration",
    ),
    pytest.param(
        message("?", note=OPTIONAL),
        message("?", note=TEXT),
        "note: no longer takes null",
        id="null is not taken any more",
    ),
    pytest.param(
        message("?", age=WHOLE),
        message("?", age=WHOLE | {"minimum": 1}),
        "age: minimum is 1, was not limited",
        id="a bound is added",
    ),
    pytest.param(
        message("?", age=WHOLE | {"maximum": 9}),
        message("?", age=WHOLE | {"maximum": 8}),
        "age: maximum is 8, was 9",
        id="a bound is tightened",
    ),
    pytest.param(
        message("?", tag=TEXT),
        message("?", tag=TEXT | {"pattern": "^a"}),
        "tag: pattern is '^a'",
        id="a pattern is added",
    ),
    pytest.param(
        message("?", tags={"type": "array", "items": TEXT}),
        message("?", tags={"type": "array", "items": WHOLE}),
        "tags[]: was string, is integer",
        id="the items of a list are narrowed",
    ),
    pytest.param(
        message("?", labels={"type": "object", "additionalProperties": TEXT}),
        message("?", labels={"type": "object", "additionalProperties": WHOLE}),
        "labels[]: was string, is integer",
        id="the values of a map are narrowed",
    ),
    pytest.param(
        message("?", model=message("?")),
        message("?", model=message("?", ("name", "uri"), uri=TEXT)),
        "model.uri: is required now",
        id="a field inside a field is required",
    ),
    pytest.param(
        message("?", deep={"type": "object"}),
        message("?", deep={"type": "object", "additionalProperties": False}),
        "deep: takes no other fields now",
        id="an open object is closed",
    ),
    pytest.param(
        message("?", count=WHOLE | {"default": 1}),
        message("?", count=WHOLE | {"default": 2}),
        "count: without it 2 is meant, was 1",
        id="a default means something else",
    ),
]


@pytest.mark.parametrize("sort", ["event", "command", "kind"])
@pytest.mark.parametrize(("old", "new", "told"), NARROWED)
def test_what_takes_something_away_breaks_every_sort_of_contract(
    old: Schema, new: Schema, told: str, sort: str
) -> None:
    found = breaks(old | {"x-millstream-sort": sort}, new | {"x-millstream-sort": sort})
    assert any(sentence.startswith(told) for sentence in found), found


ALLOWED = [
    pytest.param(message("?"), message("?", note=OPTIONAL), id="an optional field is added"),
    pytest.param(
        message("?", note=TEXT | {"description": "old"}),
        message("?", note=TEXT | {"description": "new", "examples": ["x"], "title": "Note"}),
        id="only words for people change",
    ),
    pytest.param(
        message("?", model=message("?")),
        message("?", model=message("?", note=OPTIONAL)),
        id="one inside a field is added",
    ),
]


@pytest.mark.parametrize("sort", ["event", "command", "kind"])
@pytest.mark.parametrize(("old", "new"), ALLOWED)
def test_what_only_adds_breaks_nothing(old: Schema, new: Schema, sort: str) -> None:
    assert breaks(old | {"x-millstream-sort": sort}, new | {"x-millstream-sort": sort}) == []


WIDENED = [
    pytest.param(message("?", age=WHOLE), message("?", age=NUMBER), id="a type is widened"),
    pytest.param(message("?", note=TEXT), message("?", note=OPTIONAL), id="null is taken too"),
    pytest.param(message("?", ("name", "age"), age=WHOLE), message("?", age=WHOLE), id="a field becomes optional"),
    pytest.param(
        message("?", mode=TEXT | {"enum": ["a"]}), message("?", mode=TEXT | {"enum": ["a", "b"]}), id="a value is added"
    ),
    pytest.param(
        message("?", age=WHOLE | {"minimum": 1}), message("?", age=WHOLE | {"minimum": 0}), id="a bound is loosened"
    ),
]


@pytest.mark.parametrize(("old", "new"), WIDENED)
def test_what_widens_breaks_a_fact_but_not_a_wish(old: Schema, new: Schema) -> None:
    found = breaks(old | {"x-millstream-sort": "event"}, new)
    assert found and all("reader of the old schema" in sentence for sentence in found)
    assert breaks(old | {"x-millstream-sort": "command"}, new) == []
    assert breaks(old | {"x-millstream-sort": "kind"}, new) == []


def test_a_schema_that_refers_to_itself_is_compared_to_its_end() -> None:
    def tree(leaf: Schema) -> Schema:
        node = {"type": "object", "properties": {"leaf": leaf, "child": {"$ref": "#/$defs/Node"}}}
        return {"x-millstream-sort": "kind", "$ref": "#/$defs/Node", "$defs": {"Node": node}}

    assert breaks(tree(TEXT), tree(TEXT)) == []
    assert breaks(tree(TEXT), tree(WHOLE)) == ["leaf: was string, is integer"]


def test_a_kinds_field_that_was_always_refused_may_take_anything_later() -> None:
    assert breaks(message("kind", share=REFUSED), message("kind", share=WHOLE)) == []
