"""What a caller did wrong, once for all protocols: an HTTP code, its gRPC name and a sentence."""

from __future__ import annotations

from dataclasses import dataclass

GRPC_NAMES = {400: "INVALID_ARGUMENT", 404: "NOT_FOUND", 413: "RESOURCE_EXHAUSTED", 415: "INVALID_ARGUMENT",
              503: "UNAVAILABLE"}  # fmt: skip


@dataclass
class RequestError(Exception):
    """A refused request. `message` names the field and the value and is shown to the caller."""

    message: str
    code: int = 400

    @property
    def grpc_name(self) -> str:
        return GRPC_NAMES[self.code]


def unknown_model(name: str) -> RequestError:
    return RequestError(f"Model with name {name} does not exist.", 404)


def unknown_version(name: str, version: str) -> RequestError:
    return RequestError(f"Model {name} has no version {version}.", 404)


def not_ready(name: str) -> RequestError:
    return RequestError(f"Model with name {name} is not ready.", 503)
