"""Recognises what kfp compiles a Python component to: packages to install, then one function to run.

What is not recognised word for word is left alone: it runs as it stands.
"""

from __future__ import annotations

import re
import shlex
from typing import NamedTuple

ENSURE_PIP = re.compile(r'^\s*if ! \[ -x "\$\(command -v pip\)" \]; then\s+python3 -m ensurepip[^;&`$]*?\s+fi\s+')
PIP = ["python3", "-m", "pip", "install"]
FUNCTION = (
    'program_path=$(mktemp -d) printf "%s" "$0" > "$program_path/ephemeral_component.py" '
    "_KFP_RUNTIME=true python3 -m kfp.dsl.executor_main "
    '--component_module_path "$program_path/ephemeral_component.py" "$@"'
)


class Command(NamedTuple):
    """`installs` are the arguments of each `pip install` in their order, `rest` the command without them."""

    installs: list[list[str]]
    rest: list[str]


class Function(NamedTuple):
    """A component's source and the arguments of kfp's executor."""

    source: str
    arguments: list[str]


def parted(words: list[str]) -> Command:
    """The pip installs taken off a command that kfp compiled; any other command whole."""
    if len(words) > 3 and words[:2] == ["sh", "-c"]:
        installs = _installs(words[2])
        if installs is not None:
            return Command(installs, words[3:])
    return Command([], list(words))


def _installs(script: str) -> list[list[str]] | None:
    head = ENSURE_PIP.match(script)
    if head is None:
        return None
    assignment, _, rest = script[head.end() :].strip().partition(" ")
    if assignment != "PIP_DISABLE_PIP_VERSION_CHECK=1":
        return None
    reader = shlex.shlex(rest, posix=True, punctuation_chars=True)
    reader.whitespace_split = True
    groups: list[list[str]] = [[]]
    for word in reader:
        if word == "&&":
            groups.append([])
        elif word and set(word) <= set("();<>|&"):
            return None
        else:
            groups[-1].append(word)
    if groups.pop() != ["$0", "$@"] or not all(group[:4] == PIP for group in groups):
        return None
    found = [group[4:] for group in groups]
    return None if any("$" in word or "`" in word for group in found for word in group) else found


def function(rest: list[str]) -> Function | None:
    """The function that the rest of a command runs, if it runs one as kfp compiles it."""
    if len(rest) < 4 or rest[:2] != ["sh", "-ec"] or " ".join(rest[2].split()) != FUNCTION:
        return None
    return Function(rest[3], rest[4:])
