"""From a template and what fired it to a manifest: `${path}` stands for a value; nothing here is ever evaluated.

A string that is one placeholder and nothing else becomes the value itself, so numbers stay numbers; within a longer
string the value is written as text. What is not there is an error, never an empty string.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

PLACEHOLDER = re.compile(r"\$\{([^{}]*)\}")
ROOTS = ("event", "schedule", "trigger")
MISSING = object()
Path = tuple[str | int, ...]


class NoValue(ValueError):
    """A placeholder for which there is no value; `where` is the place in the template."""

    def __init__(self, where: str, path: str) -> None:
        super().__init__(f"{where}: there is no {path}")


def filled(template: Any, known: Mapping[str, Any], where: str = "spec.template") -> Any:
    """The template with every placeholder replaced; raises NoValue."""
    if isinstance(template, Mapping):
        return {key: filled(value, known, f"{where}.{key}") for key, value in template.items()}
    if isinstance(template, list):
        return [filled(value, known, f"{where}[{index}]") for index, value in enumerate(template)]
    return _text(template, known, where) if isinstance(template, str) else template


def placeholders(template: Any, at: Path = ()) -> Iterator[tuple[Path, str]]:
    """Where each stands, and its path."""
    if isinstance(template, Mapping):
        for key, value in template.items():
            yield from placeholders(value, (*at, key))
    elif isinstance(template, list):
        for index, value in enumerate(template):
            yield from placeholders(value, (*at, index))
    elif isinstance(template, str):
        for found in PLACEHOLDER.finditer(template):
            yield at, found[1]


def as_text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def look_up(known: Any, path: str) -> Any:
    """What `a.b.0` names, or MISSING. A key that has dots itself is found too, the longest first."""
    if not path:
        return known
    if isinstance(known, list):
        head, _, rest = path.partition(".")
        return look_up(known[int(head)], rest) if head.isdecimal() and int(head) < len(known) else MISSING
    if not isinstance(known, Mapping):
        return MISSING
    words = path.split(".")
    for length in range(len(words), 0, -1):
        key = ".".join(words[:length])
        if key in known:
            found = look_up(known[key], ".".join(words[length:]))
            if found is not MISSING:
                return found
    return MISSING


def written(where: Path) -> str:
    """A place as people write it: `spec.trainer.env[0].value`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in where).lstrip(".")


def _text(text: str, known: Mapping[str, Any], where: str) -> Any:
    def value(path: str) -> Any:
        found = look_up(known, path)
        if found is MISSING:
            raise NoValue(where, path)
        return found

    whole = PLACEHOLDER.fullmatch(text)
    return value(whole[1]) if whole else PLACEHOLDER.sub(_writer(value), text)


def _writer(value: Callable[[str], Any]) -> Callable[[re.Match[str]], str]:
    def write(found: re.Match[str]) -> str:
        given = value(found[1])
        return given if isinstance(given, str) else as_text(given)

    return write
