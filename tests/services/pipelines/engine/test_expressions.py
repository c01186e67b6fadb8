"""Conditions and selectors answer as KFP's do, and what cannot be answered says why."""

from typing import Any

import pytest

from services.pipelines.domain.ir import conditions, selectors

GIVEN = {"n": 3, "f": 0.25, "s": "h", "b": True, "text": "12", "quoted": "it's", "l": [1, 2]}


def asked(text: str) -> bool:
    for name in GIVEN:
        text = text.replace(f"${name}", f"inputs.parameter_values['{name}']")
    return conditions.parse(text).holds(GIVEN)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("$s == 'h'", True),
        ("!($s == 'h') && $n == 3", False),
        ("$s == 't' || int($text) >= 12", True),
        ("$s == 't' || $s == 'h' && $f < 0.5", True),
        ("$n == 3.0", True),
        ("$b == true", True),
        ("$b == 1", False),
        ("$s == 3", False),
        ("$s != 3", True),
        ("int($f) == 0", True),
        ("-1 < $n", True),
        ("$quoted == 'it\\'s'", True),
        ('string($n) == "3"', True),
        ("$s > 'a'", True),
        ("false || !(!($b == true))", True),
        ("inputs.parameters['n'].int_value == 3", True),
    ],
)
def test_conditions(text: str, answer: bool) -> None:
    assert asked(text) is answer


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("$n < 'a'", "only two numbers or two texts have an order"),
        ("int($s) == 1", "int('h'): it is no whole number"),
        ("inputs.parameter_values['gone'] == 1", "asks for the input `gone`"),
        ("$n", "it must give true or false"),
        ("$n && $b", "3 stands where true or false is expected"),
        ("$n ==", "found the end, expected a value"),
        ("$n == 1 2", "found '2', expected the end"),
        ("open('/etc/passwd') == 1", "expected inputs, true, false"),
        ("(" * 100 + "true" + ")" * 100, "nested deeper"),
        ("!" * 100 + "true", "nested deeper"),
        ("$n == 1 # so", "is not understood at character"),
    ],
)
def test_conditions_that_have_no_answer_say_why(text: str, reason: str) -> None:
    with pytest.raises(conditions.ConditionError) as refused:
        asked(text)
    assert reason in str(refused.value)


@pytest.mark.parametrize(
    ("text", "value", "part"),
    [
        ('parseJson(string_value)["a"]', {"a": 1}, 1),
        ('parseJson(string_value)["a"]["b"]', '{"a": {"b": [1]}}', [1]),
        ('parseJson(parseJson(string_value)["a"])["b"]', '{"a": "{\\"b\\": 2}"}', 2),
        ('parseJson(string_value)["a.b)]"]', {"a.b)]": 5}, 5),
        ("parseJson(string_value)[1]", [1, 2], 2),
        ("struct_value.a", {"a": 3}, 3),
        ("parseJson(string_value)", "[1]", [1]),
    ],
)
def test_selectors(text: str, value: Any, part: Any) -> None:
    assert selectors.parse(text).pick(value) == part


def test_a_selector_that_finds_nothing_says_where() -> None:
    with pytest.raises(selectors.SelectorError, match="there is no 'b'"):
        selectors.parse('parseJson(string_value)["b"]').pick({"a": 1})
    with pytest.raises(selectors.SelectorError, match="is no JSON"):
        selectors.parse('parseJson(string_value)["b"]').pick("word")
    with pytest.raises(selectors.SelectorError, match="not understood"):
        selectors.parse("eval(string_value)")
