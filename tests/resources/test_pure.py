"""The pure parts against their definitions: selectors, merge patch, JSON patch, field ownership."""

import copy
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.base import BadRequest, Conflict
from libs.resources import ownership as own
from libs.resources.kinds import Column, Kind
from libs.resources.managed import Writer, applied
from libs.resources.names import label_key_problem, label_value_problem, name_problem
from libs.resources.patches import json_patch, merge_patch, strategic_merge
from libs.resources.selectors import Requirement, parse_fields, parse_labels
from libs.resources.shapes import ANYTHING
from libs.resources.tables import duration, table

names = st.sampled_from(["a", "b", "c", "d"])
scalars = st.one_of(st.integers(-5, 5), st.booleans(), st.text(max_size=3), st.floats(allow_nan=False, width=16))
json_values = st.recursive(
    st.one_of(scalars, st.none()),
    lambda v: st.one_of(st.lists(v, max_size=3), st.dictionaries(names, v, max_size=3)),
    max_leaves=8,
)
no_nulls = st.recursive(
    scalars, lambda v: st.one_of(st.lists(v, max_size=3), st.dictionaries(names, v, max_size=3)), max_leaves=8
)
objects = st.dictionaries(names, no_nulls, max_size=4)
labels = st.dictionaries(names, st.sampled_from(["x", "y", "z"]), max_size=3)

RFC_7386 = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("target", "patch", "result"), RFC_7386)
def test_merge_patch_does_what_the_rfc_says(target: Any, patch: Any, result: Any) -> None:
    assert merge_patch(target, patch) == result


@given(json_values, json_values)
def test_merge_patch_is_idempotent_and_changes_nothing_given(target: Any, patch: Any) -> None:
    before = copy.deepcopy((target, patch))
    once = merge_patch(target, patch)
    assert merge_patch(once, patch) == once
    assert (target, patch) == before


@given(objects)
def test_a_json_patch_that_builds_an_object_builds_it(wanted: dict[str, Any]) -> None:
    operations = [{"op": "add", "path": f"/{k}", "value": v} for k, v in wanted.items()]
    assert json_patch({}, operations) == wanted
    away = [{"op": "remove", "path": f"/{k}"} for k in wanted]
    assert json_patch(wanted, away) == {}


def test_json_patch_moves_copies_and_tests() -> None:
    document = {"a": [1, 2, 3], "b~/c": {"d": True}}
    patch = [
        {"op": "test", "path": "/b~0~1c/d", "value": True},
        {"op": "move", "from": "/a/0", "path": "/a/-"},
        {"op": "copy", "from": "/b~0~1c", "path": "/e"},
        {"op": "replace", "path": "/e/d", "value": None},
    ]
    assert json_patch(document, patch) == {"a": [2, 3, 1], "b~/c": {"d": True}, "e": {"d": None}}
    assert document == {"a": [1, 2, 3], "b~/c": {"d": True}}


def test_a_strategic_patch_orders_retains_and_deletes() -> None:
    target = {
        "env": [{"name": "a", "value": "1"}, {"name": "b", "value": "2"}],
        "finalizers": ["x", "y"],
        "k": {"p": 1, "q": 2},
    }
    patch = {
        "env": [{"name": "c", "value": "3"}],
        "$setElementOrder/env": [{"name": "c"}, {"name": "a"}, {"name": "b"}],
        "$deleteFromPrimitiveList/finalizers": ["x"],
        "k": {"$retainKeys": ["q"], "q": 5},
    }
    told = strategic_merge(target, patch)
    assert [e["name"] for e in told["env"]] == ["c", "a", "b"]
    assert told["finalizers"] == ["y"] and told["k"] == {"q": 5}


@given(labels, st.lists(st.sampled_from(["x", "y", "z"]), min_size=1, max_size=3), names)
def test_every_selector_means_what_it_says(have: dict[str, str], values: list[str], key: str) -> None:
    told = ", ".join(values)
    assert parse_labels(f"{key} in ({told})").matches(have) == (have.get(key) in values)
    assert parse_labels(f"{key} notin ({told})").matches(have) == (have.get(key) not in values)
    assert parse_labels(f"{key}={values[0]}").matches(have) == (have.get(key) == values[0])
    assert parse_labels(f"{key}!={values[0]}").matches(have) == (have.get(key) != values[0])
    assert parse_labels(key).matches(have) == (key in have)
    assert parse_labels(f"!{key}").matches(have) == (key not in have)


@given(st.text(max_size=40))
def test_no_text_breaks_a_selector_parser(text: str) -> None:
    for parse in (parse_labels, parse_fields):
        try:
            parse(text).matches({})  # type: ignore[operator]
        except BadRequest as error:
            assert "unable to parse" in error.message


def test_set_based_terms_keep_their_commas() -> None:
    parsed = parse_labels("a=b,c in (x, y, z),!d")
    assert parsed.requirements[1] == Requirement("c", "in", frozenset("xyz")) and len(parsed.requirements) == 3


@given(objects)
def test_fields_survive_their_encoding(obj: dict[str, Any]) -> None:
    paths = own.fields_of(obj)
    assert own.decode(own.encode(paths)) == paths


@given(objects, objects)
def test_what_is_applied_is_there_and_what_was_there_stays(live: dict[str, Any], wanted: dict[str, Any]) -> None:
    result = own.merged(live, wanted)
    assert all(own.same_value(result, wanted, p) for p in own.fields_of(wanted))
    untouched = {
        p for p in own.fields_of(live) if not any(p[: len(q)] == q or q[: len(p)] == p for q in own.fields_of(wanted))
    }
    assert all(own.same_value(result, live, p) for p in untouched)


@given(objects)
def test_an_object_without_all_its_fields_is_empty(obj: dict[str, Any]) -> None:
    assert own.without(obj, own.fields_of(obj)) == {}


@settings(max_examples=200)
@given(st.lists(st.tuples(st.sampled_from(["m", "n"]), objects), min_size=1, max_size=5))
def test_forced_applies_leave_exactly_what_managers_last_said(applies: list[tuple[str, dict[str, Any]]]) -> None:
    """After any sequence of forced applies every field of the last one is there, and every field has an owner."""
    live: Any = None
    for manager, spec in applies:
        writer = Writer(manager, "v1", "2026-01-01T00:00:00Z")
        live = applied(live, {"spec": spec}, writer, ANYTHING, builtin=False, force=True)
    last = {"spec": applies[-1][1]}
    assert all(own.same_value(live, last, p) for p in own.fields_of(last))
    owned = frozenset[Any]().union(*(own.decode(e["fieldsV1"]) for e in live["metadata"].get("managedFields", [])))
    stated = own.fields_of({k: v for k, v in live.items() if k != "metadata"})
    assert all(any(p[: len(q)] == q for q in owned) for p in stated if own.value_at(live, p) != {})


def test_a_manager_that_states_the_same_value_shares_the_field() -> None:
    first = applied(None, {"spec": {"a": 1}}, Writer("m", "v1", "t"), ANYTHING, builtin=False, force=False)
    both = applied(first, {"spec": {"a": 1}}, Writer("n", "v1", "t"), ANYTHING, builtin=False, force=False)
    kept = applied(both, {"spec": {}}, Writer("m", "v1", "t"), ANYTHING, builtin=False, force=False)
    assert kept["spec"] == {"a": 1}
    with pytest.raises(Conflict, match=r"conflict with \"n\" using v1: \.spec\.a"):
        applied(kept, {"spec": {"a": 2}}, Writer("m", "v1", "t"), ANYTHING, builtin=False, force=False)


def test_names_and_labels_follow_their_rules() -> None:
    assert name_problem("a.b-c") is None and name_problem("a.b", label=True)
    assert all(name_problem(n) for n in ("", "-a", "A", "a_b", "a" * 254, 5))
    assert label_key_problem("example.com/app") is None
    assert all(label_key_problem(k) for k in ("", "/a", "a/b/c", "a b", "x" * 64, "A_/b"))
    assert label_value_problem("") is None and label_value_problem("a b") and label_value_problem(1)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (5, "5s"),
        (119, "119s"),
        (125, "2m5s"),
        (180, "3m"),
        (3600, "60m"),
        (11000, "3h3m"),
        (90000, "25h"),
        (200000, "2d7h"),
        (10**6, "11d"),
    ],
)
def test_ages_read_as_kubectl_writes_them(seconds: int, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("only", "names", "cells"),
    [
        (False, ["Name", "Reason", "Age"], ["e.17a", "Started", "5s"]),
        (True, ["Reason"], ["Started"]),
    ],
    ids=["name and age frame the columns", "names that nobody chose are left out"],
)
def test_a_table_shows_name_and_age_unless_the_columns_say_it_all(
    only: bool, names: list[str], cells: list[str]
) -> None:
    columns = (Column("Reason", "string", ".reason"),)
    kind = Kind("", "v1", "Event", "events", "event", columns=columns, only_columns=only)
    event = {"metadata": {"name": "e.17a", "creationTimestamp": "2026-11-22T10:00:00Z"}, "reason": "Started"}
    shown = table(kind, [event], datetime(2026, 11, 22, 10, 0, 5, tzinfo=UTC), metadata={}, include="None")
    assert [column["name"] for column in shown["columnDefinitions"]] == names
    assert shown["rows"] == [{"cells": cells}]
