"""Why a model server ended before it served: its own words, its exit codes, and the words of KServe's closed list."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

MODEL_NOT_FOUND = "ModelNotFound"
DOWNLOAD_FAILED = "DownloadFailed"
MODEL_TOO_LARGE = "ModelTooLarge"
WRONG_FORMAT = "WrongFormat"
LOAD_FAILED = "LoadFailed"
BAD_ARGUMENTS = "BadArguments"

EXIT_CODES = {
    MODEL_NOT_FOUND: 81,
    DOWNLOAD_FAILED: 82,
    MODEL_TOO_LARGE: 83,
    WRONG_FORMAT: 84,
    LOAD_FAILED: 85,
    BAD_ARGUMENTS: 86,
}
_REASONS = {code: reason for reason, code in EXIT_CODES.items()}


@dataclass(frozen=True)
class Failure:
    """One failed container. `reason` is the model server's word or the kubelet's (OOMKilled)."""

    reason: str
    message: str
    pod: str
    at: str | None = None
    exit_code: int | None = None

    @property
    def kserve_reason(self) -> str:
        """The word out of KServe's closed list."""
        if self.reason == BAD_ARGUMENTS:
            return "InvalidPredictorSpec"
        return "ModelLoadFailed" if self.reason in EXIT_CODES else "RuntimeUnhealthy"

    def info(self, revision: str) -> dict[str, Any]:
        told = {
            "location": self.pod,
            "reason": self.kserve_reason,
            "message": f"{self.reason}: {self.message}",
            "modelRevisionName": revision,
            "time": self.at,
            "exitCode": self.exit_code,
        }
        return {key: value for key, value in told.items() if value is not None}


def read_container(pod: str, status: dict[str, Any], log_tail: str = "") -> Failure | None:
    """The failure of a container that ran and ended, if its status tells of one; `log_tail` helps where there is no
    message. What keeps a container from running at all is no failure yet: see services.serving.domain.starting."""
    state, last = status.get("state") or {}, status.get("lastState") or {}
    for ended in (state.get("terminated"), last.get("terminated")):
        if ended and ended.get("exitCode") not in (None, 0) and not status.get("ready"):
            return _of_exit(pod, ended, log_tail)
    return None


def _of_exit(pod: str, ended: dict[str, Any], log_tail: str) -> Failure:
    code, at = ended["exitCode"], ended.get("finishedAt")
    told = _last_word(ended.get("message") or "") or _last_word(log_tail)
    if told:
        return Failure(told["reason"], told["message"], pod, at, code)
    if code in _REASONS:
        return Failure(_REASONS[code], f"the model server ended with exit code {code}", pod, at, code)
    reason = ended.get("reason") or "Error"
    last = next((line for line in reversed(log_tail.splitlines()) if line.strip()), "")
    return Failure(reason, (last or f"the model server ended with exit code {code}")[:1000], pod, at, code)


def _last_word(text: str) -> dict[str, str] | None:
    """The model server's one JSON line, wherever in the text it stands last."""
    for line in reversed(text.splitlines()):
        try:
            word = json.loads(line[line.index("{") :])
        except ValueError:
            continue
        if isinstance(word, dict) and word.get("reason") in EXIT_CODES:
            return {"reason": word["reason"], "message": str(word.get("message", ""))}
    return None
