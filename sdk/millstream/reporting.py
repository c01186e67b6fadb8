"""Tells the trainer how far a training program is, from a thread of its own: no step waits for the platform.

It must not assume that anybody listens: outside of a TrainJob nothing is sent, and a silent trainer fails no training.
"""

from __future__ import annotations

import atexit
import faulthandler
import json
import os
import platform
import sys
import threading
import time
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

REPORT_EVERY_S = 1.0
REPORT_TIMEOUT_S = 5.0
FLUSH_TRIES = 5
DUMP_AT = 0.8
"""Of the hang timeout: the stacks must be in the log before the platform ends the pod."""


def rank() -> int:
    for name in ("RANK", "PET_NODE_RANK", "JOB_COMPLETION_INDEX"):
        if os.environ.get(name, "").isdigit():
            return int(os.environ[name])
    return 0


def is_heard() -> bool:
    return rank() == 0 and bool(os.environ.get("KUBEFLOW_TRAINER_SERVER_URL"))


class Reporter:
    """The latest state, and when it was last sent: at most once in REPORT_EVERY_S, and always before the end."""

    def __init__(self) -> None:
        self._lock, self._sending = threading.Lock(), threading.Lock()
        self._state: dict[str, Any] = {}
        self._metrics: dict[str, str] = {}
        self._more: dict[str, Any] = {}
        self._news = threading.Event()
        self._thread: threading.Thread | None = None
        self._dirty = self._warned = False

    def note(self, state: Mapping[str, Any], metrics: Mapping[str, float], more: Mapping[str, Any]) -> None:
        """`state` are fields of upstream's TrainerStatus, `more` what Millstream adds to it."""
        with self._lock:
            self._metrics.update({name: str(_plain(value)) for name, value in metrics.items()})
            self._state |= {**state, "lastUpdatedTime": datetime.now(UTC).isoformat().replace("+00:00", "Z")}
            self._more |= more
            self._dirty = True
            if self._thread is None or not self._thread.is_alive():
                self._begin()
        self._news.set()

    def flush(self) -> None:
        """The last state is worth waiting for a restarting trainer."""
        self._send(FLUSH_TRIES)

    def _begin(self) -> None:
        if self._thread is None:
            atexit.register(self.flush)
        self._thread = threading.Thread(target=self._run, name="millstream-progress", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while self._news.wait():
            self._news.clear()
            self._send(tries=1)
            time.sleep(REPORT_EVERY_S)

    def _send(self, tries: int) -> None:
        """One at a time, each with all that was known when it left: none overtakes another."""
        with self._sending:
            for left in range(tries - 1, -1, -1):
                with self._lock:
                    if not self._dirty:
                        return
                    body, self._dirty = self._body(), False
                try:
                    _post(body)
                except (OSError, ValueError) as error:
                    self._failed(error, left)

    def _failed(self, error: Exception, left: int) -> None:
        with self._lock:
            self._dirty = True
        if not left and not self._warned:
            self._warned = True
            print(f"millstream: progress could not be reported: {error}", file=sys.stderr)
        time.sleep(min(left, 2))

    def _body(self) -> dict[str, Any]:
        metrics = [{"name": name, "value": value} for name, value in self._metrics.items()]
        return {"trainerStatus": {**self._state, "metrics": metrics}, "environment": _environment(), **self._more}


class HangWatch:
    """Writes the stacks of all threads to the log when nothing was reported for most of the job's hang timeout."""

    def __init__(self) -> None:
        self._armed_at = float("-inf")

    def alive(self) -> None:
        timeout_s = float(os.environ.get("MILLSTREAM_HANG_TIMEOUT") or 0)
        if timeout_s and time.monotonic() - self._armed_at >= min(REPORT_EVERY_S, timeout_s / 10):
            self._armed_at = time.monotonic()
            faulthandler.dump_traceback_later(DUMP_AT * timeout_s, file=sys.__stderr__ or sys.stderr)


reporter, watch = Reporter(), HangWatch()


def _post(body: dict[str, Any]) -> None:
    token = Path(os.environ.get("KUBEFLOW_TRAINER_SERVER_TOKEN", "")).read_text().strip()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    url = os.environ.get("KUBEFLOW_TRAINER_SERVER_URL", "")
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=REPORT_TIMEOUT_S) as answer:
        answer.read()


def _environment() -> dict[str, str]:
    torch = sys.modules.get("torch")
    told = {"python": platform.python_version(), "platform": platform.platform()}
    return {**told, "torch": str(torch.__version__)} if torch and hasattr(torch, "__version__") else told


def _plain(value: Any) -> float:
    """Tensors and numpy numbers too."""
    return float(value.item() if hasattr(value, "item") else value)
