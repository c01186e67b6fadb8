"""KFP's placeholders in a command, an environment or a platform document, resolved against one task's inputs.

What a value brings along is never read again: a parameter that contains `{{$...}}` stays the text that it is.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from services.pipelines.domain.engine.records import Artifact, Values
from services.pipelines.domain.steps.places import path_of

_PLACEHOLDER = re.compile(r"\{\{\s*\$(?P<path>[^{}]*)\}\}")
_NAMED = re.compile(
    r"""^\.(?P<side>inputs|outputs)\.(?P<kind>parameters|artifacts)\[(['"])(?P<name>.+?)\3\](?P<rest>.*)$"""
)
_KEY = re.compile(r"""^\.metadata\[(['"])(?P<key>.+?)\1\]$""")


class PlaceholderError(ValueError):
    """A placeholder that means nothing for this task; the message says which and what there is."""


@dataclass(frozen=True)
class Scope:
    """What placeholders may speak of. `facts` are those of the run and the task (`pipeline_job_name`, ...);
    `executor_input` is what `{{$}}` stands for, `outputs` are the artifacts to be written, `files` where output
    parameters go."""

    inputs: Values
    facts: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, Artifact] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    executor_input: Mapping[str, Any] | None = None

    def resolve(self, text: str) -> str:
        """The text with all its placeholders replaced. Raises PlaceholderError."""
        return _PLACEHOLDER.sub(lambda found: self._one(found[0], found["path"].strip()), text)

    def value(self, text: str) -> Any:
        """As `resolve`; but a text that is one input parameter and nothing else keeps that parameter's type."""
        whole = _PLACEHOLDER.fullmatch(text.strip())
        named = _NAMED.match(whole["path"].strip()) if whole else None
        if named and (named["side"], named["kind"], named["rest"]) == ("inputs", "parameters", ""):
            return self._parameter(text, named["name"])
        return self.resolve(text)

    def words(self, word: str) -> list[str]:
        """One word of a command as the words that it stands for: none or several with IfPresent."""
        if not word.lstrip().startswith('{"'):
            return [self.resolve(word)]
        try:
            read = json.loads(word)
        except ValueError:
            return [self.resolve(word)]
        if isinstance(read, dict) and len(read) == 1 and next(iter(read)) in ("Concat", "IfPresent"):
            return self._structure(read)
        return [self.resolve(word)]

    def _structure(self, read: Any) -> list[str]:
        if isinstance(read, list):
            return [word for each in read for word in self._structure(each)]
        if isinstance(read, dict) and "Concat" in read:
            return ["".join(word for each in read["Concat"] for word in self._structure(each))]
        if isinstance(read, dict) and "IfPresent" in read:
            chosen = read["IfPresent"]
            return self._structure(chosen["Then"] if self._given(chosen["InputName"]) else chosen.get("Else") or [])
        return [self.resolve(str(read))]

    def _given(self, name: str) -> bool:
        return self.inputs.parameters.get(name) is not None or bool(self.inputs.artifacts.get(name))

    def _one(self, whole: str, path: str) -> str:
        if path == "" and self.executor_input is not None:
            return json.dumps(self.executor_input)
        if path.startswith(".") and path[1:] in self.facts:
            return self.facts[path[1:]]
        if found := _NAMED.match(path):
            return self._named(whole, found["side"], found["kind"], found["name"], found["rest"])
        raise PlaceholderError(f"{whole} is no placeholder that is known here")

    def _named(self, whole: str, side: str, kind: str, name: str, rest: str) -> str:
        if (side, kind) == ("inputs", "parameters") and not rest:
            return as_text(self._parameter(whole, name))
        if (side, kind) == ("outputs", "parameters") and rest == ".output_file":
            return str(_known(whole, name, self.files))
        if side == "inputs" and kind == "artifacts":
            return _artifact(whole, _known(whole, name, self.inputs.artifacts), rest)
        if side == "outputs" and kind == "artifacts":
            return _artifact(whole, (_known(whole, name, self.outputs),), rest)
        raise PlaceholderError(f"{whole} is no placeholder that is known here")

    def _parameter(self, whole: str, name: str) -> Any:
        return _known(whole, name, self.inputs.parameters)


def as_text(value: Any) -> str:
    """A parameter as text: strings as they are, the rest as JSON."""
    return value if isinstance(value, str) else json.dumps(value)


def _known(whole: str, name: str, there: Mapping[str, Any]) -> Any:
    if name not in there:
        raise PlaceholderError(f"{whole}: there is no {name!r}; there is {', '.join(sorted(there)) or 'nothing'}")
    return there[name]


def _artifact(whole: str, artifacts: tuple[Artifact, ...], rest: str) -> str:
    if not rest:
        return json.dumps([each.to_json() for each in artifacts])
    if len(artifacts) != 1:
        raise PlaceholderError(f"{whole}: there are {len(artifacts)} artifacts of this name")
    one = artifacts[0]
    if rest in (".uri", ".path"):
        return one.uri if rest == ".uri" else path_of(one.uri, one.metadata)
    if rest == ".metadata":
        return json.dumps(dict(one.metadata))
    if found := _KEY.match(rest):
        return as_text(_known(whole, found["key"], one.metadata))
    raise PlaceholderError(f"{whole}: artifacts have uri, path and metadata")
