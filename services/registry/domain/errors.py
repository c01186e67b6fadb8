"""What the registry refuses, as its REST API words it: an HTTP code and a sentence."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class RegistryError(Exception):
    """Answered as `{"code": "<code>", "message": message}`."""

    code: int
    message: str


def bad_request(message: str) -> RegistryError:
    return RegistryError(400, message)


def not_found(what: str) -> RegistryError:
    return RegistryError(404, f"{what} not found")


def duplicate(what: str) -> RegistryError:
    return RegistryError(409, f"{what} already exists")
