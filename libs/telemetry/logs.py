"""Log lines on stderr: one JSON object each for machines, or plain lines for people; no secret leaves through them."""

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

from libs.telemetry.redact import HIDDEN, is_secret, redact
from libs.telemetry.tracing import trace_id

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
# These say at INFO what a service says better itself, once per request or per connection.
_CHATTY = ("uvicorn.access", "httpx", "httpcore", "aiosqlite", "asyncio", "alembic", "nats")


def configure_logs(service: str, *, level: str = "info", form: str = "json", stream: TextIO | None = None) -> None:
    """Sends all log lines to `stream` (stderr); `form` is `json` or `console`. Calling again replaces the setup."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines(service) if form == "json" else ConsoleLines(service))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers = []


class JsonLines(logging.Formatter):
    """`{"at", "level", "service", "logger", "message", ...}`; fields given as `extra=` stand beside them."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "level": record.levelname.lower(),
            "service": self._service,
            "logger": record.name,
            "message": redact(record.getMessage()),
            **_extras(record),
        }
        if trace := trace_id():
            line["trace_id"] = trace
        if record.exc_info:
            line["error"] = redact(self.formatException(record.exc_info))
        return json.dumps(line, default=lambda value: redact(str(value)), ensure_ascii=False)


class ConsoleLines(logging.Formatter):
    """`10:00:00.123 INFO trainer libs.bus: message key=value`."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created).strftime("%H:%M:%S.%f")[:-3]
        extras = "".join(f" {name}={value}" for name, value in _extras(record).items())
        text = f"{at} {record.levelname} {self._service} {record.name}: {redact(record.getMessage())}{extras}"
        return f"{text}\n{redact(self.formatException(record.exc_info))}" if record.exc_info else text


def _extras(record: logging.LogRecord) -> Mapping[str, Any]:
    given = {name: value for name, value in vars(record).items() if name not in _STANDARD}
    return {name: HIDDEN if is_secret(name) else _clean(value) for name, value in given.items()}


def _clean(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): HIDDEN if is_secret(str(name)) else _clean(v) for name, v in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(v) for v in value]
    return value if isinstance(value, int | float | bool | type(None)) else redact(str(value))
