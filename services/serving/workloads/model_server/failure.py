"""How a model server ends before it serves: an exit code and one JSON line that the controller reads back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from services.serving.domain.failures import (
    BAD_ARGUMENTS,
    DOWNLOAD_FAILED,
    EXIT_CODES,
    LOAD_FAILED,
    MODEL_NOT_FOUND,
    MODEL_TOO_LARGE,
    WRONG_FORMAT,
)

__all__ = [
    "BAD_ARGUMENTS",
    "DOWNLOAD_FAILED",
    "LOAD_FAILED",
    "MODEL_NOT_FOUND",
    "MODEL_TOO_LARGE",
    "WRONG_FORMAT",
    "StartFailure",
    "leave_word",
]


@dataclass
class StartFailure(Exception):
    """The model cannot be served; `reason` is a key of EXIT_CODES, `message` is for the owner of the model."""

    reason: str
    message: str

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.reason]

    def line(self) -> str:
        """One line of at most about 2 KiB, so that a termination message (4 KiB) keeps it whole."""
        return json.dumps({"reason": self.reason, "message": self.message[:2000]})


def leave_word(failure: StartFailure, path: Path) -> None:
    """Write the termination message where Kubernetes looks for it; a pod without that file reads the log instead."""
    try:
        path.write_text(failure.line() + "\n")
    except OSError:
        return
