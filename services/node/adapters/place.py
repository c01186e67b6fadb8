"""One node per home: its lock, its /16 of loopback addresses, and where others find it."""

import fcntl
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path

FIRST, LAST, PORT = 10, 250, 6443


class Taken(Exception):
    """Another node runs in this home."""


class Place:
    """The node's claim on its home; given up by the operating system when the process ends."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._run = home / "run"
        self._run.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = os.open(self._run / "node.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def claim(self) -> None:
        """Raises Taken while another node lives."""
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Taken(str(self.home)) from error

    def second(self, draw: Callable[[], int]) -> int:
        """The A of 127.A.0.0/16: the one of last time, or a free one beginning at a drawn number."""
        kept = self._run / "subnet"
        if kept.exists():
            return int(kept.read_text())
        size = LAST - FIRST + 1
        start = draw() % size
        for step in range(size):
            second = FIRST + (start + step) % size
            if _free(second):
                kept.write_text(str(second))
                return second
        raise OSError(f"no 127.A.0.1:{PORT} is free for A in {FIRST}..{LAST}")

    def announce(self, url: str) -> None:
        """Tells other programs of this home where the node answers."""
        part = self._run / "node.json.part"
        part.write_text(json.dumps({"url": url, "pid": os.getpid()}))
        part.replace(self._run / "node.json")

    def leave(self) -> None:
        """Gives the claim up, in a process that lives on."""
        os.close(self._lock)

    def living_url(self) -> str | None:
        """Where the node that holds the claim answers."""
        try:
            return str(json.loads((self._run / "node.json").read_text())["url"])
        except (OSError, ValueError, KeyError):
            return None


def _free(second: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((f"127.{second}.0.1", PORT))
        except OSError:
            return False
    return True
