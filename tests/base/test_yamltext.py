"""YAML from strangers is read as PyYAML reads it, but never for longer or into more than its reader allows."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import pytest
import yaml

from libs.base.yamltext import BadYaml, TooMuch, read

ALIKE = [
    "", "---\n", "a: 1\n---\n---\nb", "{a: [1, two, {b: ~}], c: 'x', d: \"y\\n\"}", "x: 0o17", "x: 017", "x: 0x1F",
    "x: 1_000", "x: -0b11", "x: +1", "x: 08", "x: 1e3", "x: 1.e+3", "x: .5", "x: -.inf", "x: Yes", "x: off", "x: '1'",
    "x: !!str 1", "x: !!int '3'", "x: !!float 1", "1: a\ntrue: b\n~: c", "a: 1\na: 2", "x: |\n  a\n  b\n",
    "x: >-\n a\n b", "a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}", "a: &a {x: 1}\nc: &c {x: 2, z: 3}\nb: {<<: [*a, *c]}",
    "a: &a [1]\nb: *a",
]  # fmt: skip


@pytest.mark.parametrize("text", ALIKE)
def test_what_is_read_is_what_pyyaml_reads(text: str) -> None:
    assert read(text, documents=9) == list(yaml.safe_load_all(text))


def test_dates_and_times_stay_texts_and_a_field_given_twice_is_noted() -> None:
    twice: list[str] = []
    assert read("{a: 2026-01-31, b: 1:30, a: 1:30:10.5}", duplicates=twice) == [{"a": "1:30:10.5", "b": "1:30"}]
    assert twice == ["a"]


def chain(link: str) -> str:
    """Each of twelve names unfolds to nine of the one before."""
    names = "abcdefghijkl"
    links = (f"{name}: &{name} {link.format(before)}\n" for before, name in pairwise(names))
    return "a: &a {x: 1}\n" + "".join(links)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[" * 100_000, "nested deeper than 200"),
        ("{a: " * 100_000, "nested deeper than 200"),
        ("---\n" * 100_000, "more than 1 documents"),
        ("[" + "1," * 150_000 + "1]", "more than 100000 values"),
        ("a: &a {" + ",".join(f"k{n}: 1" for n in range(3000)) + "}\nb:\n" + "- {<<: *a}\n" * 99, "more than 100000"),
        ("a: &a [*a]", "leads back to itself"),
        ("a: *nobody", "undefined alias 'nobody'"),
        ("0x" + "f" * 1_000_000, "it has 1000002 digits"),
        ("9" * 5000, "it has 5000 digits"),
        ("!!python/object/apply:os.system ['id']", "the tag"),
        ("!!binary aGVsbG8=", "the tag"),
        ("<<: 1", "<< wants a mapping"),
        ("? [a]\n: b", "a key is an object or a list"),
        ("{unclosed: [", "while parsing"),
        ("a\0b", "control characters"),
        ("a: \ud800", "half of a character"),
        (b"\xc3(", "invalid"),
    ],
    ids=lambda given: repr(given)[:20],
)  # fmt: skip
def test_what_costs_too_much_or_makes_no_sense_is_refused_at_once(text: Any, told: str) -> None:
    begun = time.process_time()
    with pytest.raises(BadYaml, match=told.replace("(", r"\(")):
        read(text, values=100_000)
    assert time.process_time() - begun < 20, "PyYAML takes hours, gigabytes, or the process with it"


def test_merged_mappings_and_numbers_to_the_base_of_sixty_cost_what_they_are_long() -> None:
    begun = time.process_time()
    assert len(read(chain("{{<<: [" + ",".join(["*{0}"] * 9) + "]}}"))[0]["l"]) == 1
    assert isinstance(read("1:" * 200_000 + "1")[0], str)
    assert time.process_time() - begun < 5
    with pytest.raises(TooMuch):
        read(chain("{{<<: [" + ",".join(["*{0}"] * 9) + "]}}"), values=200)
