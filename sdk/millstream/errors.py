"""What the client and the command raise: one line that names what is wrong and what to do."""

from __future__ import annotations

from typing import Any


class ClientError(Exception):
    """A request was refused or could not be made.

    `code` is the HTTP status (0 when there was no answer) and `status` the Kubernetes Status object if one was sent.
    """

    def __init__(self, message: str, code: int = 0, status: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.status = status or {}


class NotThere(ClientError):
    """The object asked for does not exist."""
