"""What an algorithm is: it suggests values for the next trials from those that were recorded, and from nothing else.

An algorithm keeps no state, neither in memory nor in a file: asked again with the same trials it answers the same, in
whatever process. Its chance comes from the Experiment's uid (or the user's random_state) and the trial's number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Protocol

from libs.base.errors import Cause
from services.tuner.domain.space import Parameter, Tried

Object = dict[str, Any]
Values = Mapping[str, str]
WHERE = "spec.algorithm"
RANDOM_STATE = "random_state"


@dataclass(frozen=True)
class Ask:
    """Values for `count` trials, of which the first has the number `first`; `tried` are all before them, in order."""

    space: Sequence[Parameter]
    first: int
    count: int
    seed: str
    settings: Mapping[str, str]
    tried: Sequence[Tried] = ()
    maximize: bool = False

    def chance(self, number: int) -> int:
        """The seed of one trial."""
        given = self.settings.get(RANDOM_STATE)
        text = f"{self.seed if given is None else given}/{number}"
        return int.from_bytes(sha256(text.encode()).digest()[:4], "big")


class Algorithm(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def settings(self) -> Mapping[str, int]:
        """The settings that it knows, all of them whole numbers, and the least that each may be."""
        ...

    @property
    def is_light(self) -> bool:
        """Whether it may be asked on the event loop."""
        ...

    def problems(self, space: Sequence[Parameter]) -> Iterator[Cause]:
        """What it cannot search of a valid space."""
        ...

    def suggest(self, ask: Ask) -> list[Values]:
        """One for each trial in turn; fewer when the space is searched."""
        ...


def settings_of(spec: Object) -> dict[str, str]:
    return {one["name"]: one["value"] for one in spec["algorithm"].get("algorithmSettings") or []}


def problems(spec: Object, algorithms: Sequence[Algorithm]) -> Iterator[Cause]:
    """Of the algorithm's name and settings."""
    name = spec["algorithm"]["algorithmName"]
    chosen = named(name, algorithms)
    if chosen is None:
        told = f"{name!r} is not known; choose {', '.join(one.name for one in algorithms)}"
        yield Cause(f"{WHERE}.algorithmName", told, "FieldValueNotSupported")
        return
    for index, one in enumerate(spec["algorithm"].get("algorithmSettings") or []):
        where = f"{WHERE}.algorithmSettings[{index}]"
        if one["name"] not in chosen.settings:
            known = ", ".join(chosen.settings) or "it has none"
            told = f"{one['name']!r} is no setting of {name}; known: {known}"
            yield Cause(f"{where}.name", told, "FieldValueNotSupported")
        elif not _is_whole(one["value"], chosen.settings[one["name"]]):
            least = chosen.settings[one["name"]]
            yield Cause(f"{where}.value", f"{one['value'][:64]!r} must be a whole number from {least} to {2**31 - 1}")


def named(name: str, algorithms: Sequence[Algorithm]) -> Algorithm | None:
    return next((one for one in algorithms if one.name == name), None)


def _is_whole(text: str, least: int) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 10 and least <= int(text) < 2**31
