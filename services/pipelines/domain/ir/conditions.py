"""The conditions of `triggerPolicy`: the part of CEL that KFP compiles (and a little more), parsed once, then asked.

Grammar: `||`, `&&`, `!`, `== != < <= > >=`, parentheses, texts, numbers, true, false, null, `int() double() string()
bool()` and `inputs.parameter_values['name']`.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Evaluate = Callable[[Mapping[str, Any]], Any]

DEEPEST = 64
LONGEST = 16384

TOKEN = re.compile(
    r"\s*(?:(?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|(?P<text>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")"
    r"|(?P<op>&&|\|\||[=!<>]=|[<>!()\[\].,-])|(?P<word>[A-Za-z_]\w*))"
)
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


class ConditionError(ValueError):
    """A condition that does not parse, or that cannot be answered for the values at hand."""


@dataclass(frozen=True, slots=True)
class Condition:
    """`text` as it was written, the names of the `inputs` that it asks for, and how to answer it."""

    text: str
    inputs: frozenset[str]
    evaluate: Evaluate

    def holds(self, parameters: Mapping[str, Any]) -> bool:
        """Whether it is true of these; ConditionError says why it cannot be answered."""
        answer = self.evaluate(parameters)
        if not isinstance(answer, bool):
            raise ConditionError(f"condition {self.text!r} gives {answer!r}: it must give true or false")
        return answer

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Condition) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)


def parse(text: str) -> Condition:
    """Reads a condition; ConditionError names the place that it does not understand."""
    if len(text) > LONGEST:
        raise ConditionError(f"the condition has {len(text)} characters: at most {LONGEST} are read")
    reader = _Reader(text)
    evaluate = reader.either(0)
    if reader.kind != "end":
        raise reader.lost("the end")
    return Condition(text, frozenset(reader.inputs), evaluate)


def _tokens(text: str) -> Iterator[tuple[str, str, int]]:
    at, end = 0, len(text.rstrip())
    while at < end:
        found = TOKEN.match(text, at)
        if found is None or found.lastgroup is None:
            raise ConditionError(f"condition {text!r} is not understood at character {at + 1}: {text[at : at + 12]!r}")
        yield found.lastgroup, found[found.lastgroup], found.start(found.lastgroup)
        at = found.end()
    yield "end", "", end


class _Reader:
    """One pass over the tokens; each method reads one level of precedence and gives what answers it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.inputs: set[str] = set()
        self._left = _tokens(text)
        self.next()

    def next(self) -> str:
        """The token that was current; the one after it is current now."""
        before = getattr(self, "word", "")
        self.kind, self.word, self.at = next(self._left)
        return before

    def lost(self, wanted: str) -> ConditionError:
        found = repr(self.word) if self.kind != "end" else "the end"
        return ConditionError(
            f"condition {self.text!r} is not understood at character {self.at + 1}: found {found}, expected {wanted}"
        )

    def expect(self, op: str) -> None:
        if self.kind not in ("op", "word") or self.word != op:
            raise self.lost(repr(op))
        self.next()

    def is_op(self, *ops: str) -> bool:
        return self.kind == "op" and self.word in ops

    def either(self, depth: int) -> Evaluate:
        if depth > DEEPEST:
            raise ConditionError(f"the condition is nested deeper than {DEEPEST} levels")
        parts = [self.both(depth)]
        while self.is_op("||"):
            self.next()
            parts.append(self.both(depth))
        return parts[0] if len(parts) == 1 else lambda given: any(_truth(part(given)) for part in parts)

    def both(self, depth: int) -> Evaluate:
        parts = [self.comparison(depth)]
        while self.is_op("&&"):
            self.next()
            parts.append(self.comparison(depth))
        return parts[0] if len(parts) == 1 else lambda given: all(_truth(part(given)) for part in parts)

    def comparison(self, depth: int) -> Evaluate:
        left = self.unary(depth)
        if not self.is_op(*COMPARE):
            return left
        op = self.next()
        right = self.unary(depth)
        compare = COMPARE[op]
        return lambda given: compare(left(given), right(given))

    def unary(self, depth: int) -> Evaluate:
        if not self.is_op("!"):
            return self.primary(depth)
        self.next()
        if depth > DEEPEST:
            raise ConditionError(f"the condition is nested deeper than {DEEPEST} levels")
        inner = self.unary(depth + 1)
        return lambda given: not _truth(inner(given))

    def primary(self, depth: int) -> Evaluate:
        if self.is_op("("):
            self.next()
            inner = self.either(depth + 1)
            self.expect(")")
            return inner
        if self.kind == "number":
            return _always(_number(self.next()))
        if self.kind == "text":
            return _always(_unquote(self.next()))
        if self.kind == "word":
            return self.named(depth)
        raise self.lost("a value")

    def named(self, depth: int) -> Evaluate:
        word = self.word
        if word in WORDS:
            self.next()
            return _always(WORDS[word])
        if word in CASTS:
            self.next()
            self.expect("(")
            inner, cast = self.either(depth + 1), CASTS[word]
            self.expect(")")
            return lambda given: cast(inner(given))
        if word == "inputs":
            return self.input()
        raise self.lost("inputs, true, false, int(...), double(...), string(...) or bool(...)")

    def input(self) -> Evaluate:
        self.next()
        self.expect(".")
        if self.word not in ("parameter_values", "parameters"):
            raise self.lost("parameter_values")
        old = self.next() == "parameters"
        self.expect("[")
        if self.kind != "text":
            raise self.lost("the name of an input in quotes")
        name = _unquote(self.next())
        self.expect("]")
        if old:  # as KFP 1.8 wrote it: inputs.parameters['x'].string_value
            self.expect(".")
            self.next()
        self.inputs.add(name)
        return lambda given: _given(given, name)


def _always(value: Any) -> Evaluate:
    return lambda given: value


def _given(given: Mapping[str, Any], name: str) -> Any:
    if name not in given:
        raise ConditionError(f"the condition asks for the input `{name}`, which has no value")
    return given[name]


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ConditionError(f"{value!r} stands where true or false is expected")
    return value


def _number(text: str) -> int | float:
    return int(text) if re.fullmatch(r"-?\d+", text) else float(text)


def _unquote(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: ESCAPES.get(found[1], found[1]), text[1:-1], flags=re.DOTALL)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _equal(left: Any, right: Any) -> bool:
    """Values of different types are different, as in CEL; 1 and 1.0 are the same, true and 1 are not."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return bool(left == right)


def _ordered(name: str, compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def ask(left: Any, right: Any) -> bool:
        alike = (_is_number(left) and _is_number(right)) or (isinstance(left, str) and isinstance(right, str))
        if not alike:
            raise ConditionError(f"{left!r} {name} {right!r}: only two numbers or two texts have an order")
        return compare(left, right)

    return ask


def _int(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        raise ConditionError(f"int({value!r}): it is no whole number") from None


def _double(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise ConditionError(f"double({value!r}): it is no number") from None


def _string(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if str(value).lower() in ("true", "false"):
        return str(value).lower() == "true"
    raise ConditionError(f"bool({value!r}): it is neither true nor false")


COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": _equal,
    "!=": lambda left, right: not _equal(left, right),
    "<": _ordered("<", lambda left, right: left < right),
    "<=": _ordered("<=", lambda left, right: left <= right),
    ">": _ordered(">", lambda left, right: left > right),
    ">=": _ordered(">=", lambda left, right: left >= right),
}
CASTS: dict[str, Callable[[Any], Any]] = {"int": _int, "double": _double, "string": _string, "bool": _bool}
WORDS = {"true": True, "false": False, "null": None}
