"""Puts a trial's values where its template asks for them: `${trialParameters.NAME}` in any text of the manifest.

Values go into texts, never into JSON: quotes and backslashes stay what they are. What stands for them is found in one
pass, so that a value which looks like a placeholder is not filled in again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

PLACEHOLDER = re.compile(r"\$\{trialParameters\.([^{}]*)\}")
OF_TRIAL = {
    "${trialSpec.Name}": "name",
    "${trialSpec.Namespace}": "namespace",
    "${trialSpec.Kind}": "kind",
    "${trialSpec.APIVersion}": "apiVersion",
}
"""Katib's references to what the trial runs instead of to a parameter."""


def filled(value: Any, known: Mapping[str, str]) -> Any:
    """The manifest with its placeholders filled in; those without a value stay."""
    if isinstance(value, str):
        return PLACEHOLDER.sub(lambda found: known.get(found[1], found[0]), value)
    if isinstance(value, dict):
        return {key: filled(inner, known) for key, inner in value.items()}
    return [filled(inner, known) for inner in value] if isinstance(value, list) else value


def texts(value: Any, where: str) -> Iterator[tuple[str, str]]:
    """All texts of a manifest with their paths."""
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from texts(inner, f"{where}.{key}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from texts(inner, f"{where}[{index}]")


def placeholders(value: Any, where: str) -> Iterator[tuple[str, str]]:
    """Path and name of each placeholder."""
    for path, text in texts(value, where):
        for found in PLACEHOLDER.finditer(text):
            yield path, found[1]


def known(template: Any, values: Mapping[str, str], name: str, namespace: str) -> dict[str, str]:
    """By the placeholder's name, what it stands for in one trial; `template` is the Experiment's trialTemplate."""
    run = template["trialSpec"]
    own = {"name": name, "namespace": namespace, "kind": run["kind"], "apiVersion": run["apiVersion"]}
    return {
        one["name"]: own[OF_TRIAL[one["reference"]]] if one["reference"] in OF_TRIAL else values[one["reference"]]
        for one in template.get("trialParameters") or []
    }
