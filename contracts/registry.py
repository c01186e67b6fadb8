"""Which message types exist: found by walking contracts.events and contracts.commands, so adding one is one edit."""

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from functools import cache
from types import MappingProxyType, ModuleType

from contracts.messages import Command, Event

PACKAGES = ("contracts.events", "contracts.commands")


def _version_modules(package_name: str) -> Iterator[ModuleType]:
    package = importlib.import_module(package_name)
    for found in pkgutil.walk_packages(package.__path__, f"{package_name}."):
        if not found.ispkg:
            yield importlib.import_module(found.name)


def _spoken_in(module: ModuleType) -> Iterator[type[Event] | type[Command]]:
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, Event | Command) and value.__module__ == module.__name__:
            yield value


@cache
def registry() -> Mapping[str, type[Event] | type[Command]]:
    """Every message type by its name on the wire, in the order of the names. Raises ValueError if two share a name."""
    found: dict[str, type[Event] | type[Command]] = {}
    for package in PACKAGES:
        for module in _version_modules(package):
            for message in _spoken_in(module):
                if message.type in found:
                    raise ValueError(f"{message.type} is defined by both {found[message.type]!r} and {message!r}")
                found[message.type] = message
    return MappingProxyType(dict(sorted(found.items())))
