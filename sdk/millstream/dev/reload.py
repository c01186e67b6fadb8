"""Runs a command and runs it anew when a file below a folder changes; one file, standard library only.

It goes into a pod beside code that a developer's tools keep in step, so it must not assume that anything of ours can be
imported. `python reload.py FOLDER -- COMMAND...`; it ends with its command's code when it is told to end.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from types import FrameType

LOOK_S = 0.15
SETTLE_S = 0.05
"""A change often comes as several files; the command starts again when no more have come for this long."""
GRACE_S = 3.0
SKIPPED = ("__pycache__", ".git")


def stamps(folder: str) -> dict[str, tuple[int, int]]:
    """Path -> (time of change in ns, size) of every file that may matter."""
    found: dict[str, tuple[int, int]] = {}
    waiting = [folder]
    while waiting:
        try:
            entries = list(os.scandir(waiting.pop()))
        except OSError:  # replaced this very moment
            continue
        for entry in entries:
            try:
                if entry.is_dir(follow_symlinks=False):
                    if entry.name not in SKIPPED:
                        waiting.append(entry.path)
                elif not entry.name.endswith(".pyc"):
                    stat = entry.stat()
                    found[entry.path] = (stat.st_mtime_ns, stat.st_size)
            except OSError:
                continue
    return found


class Reloader:
    """One command under watch."""

    def __init__(self, folder: str, command: list[str]) -> None:
        self._folder, self._command = folder, command
        self._child: subprocess.Popen[bytes] | None = None
        self._ending = False

    def run(self) -> int:
        """Until SIGTERM or SIGINT. A command that ends by itself is started again by the next change, not before."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        seen = stamps(self._folder)
        self._start()
        told = False
        while not self._ending:
            time.sleep(LOOK_S)
            now = stamps(self._folder)
            if now != seen:
                seen, told = self._settled(now), False
                self._say(f"something below {self._folder} changed, starting again")
                self._stop()
                self._start()
            elif not told and self._child is not None and self._child.poll() is not None and not self._ending:
                told = True
                self._say(f"the command ended with {self._child.returncode}; waiting for a change")
        return self._stop()

    def _settled(self, now: dict[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
        while True:
            time.sleep(SETTLE_S)
            later = stamps(self._folder)
            if later == now:
                return now
            now = later

    def _start(self) -> None:
        if not self._ending:
            self._child = subprocess.Popen(self._command)

    def _stop(self) -> int:
        """Ends the command, by force after the grace; its exit code."""
        child = self._child
        if child is None:
            return 0
        if child.poll() is None:
            child.terminate()
            try:
                child.wait(GRACE_S if not self._ending else None)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        return child.returncode

    def _end(self, number: int, frame: FrameType | None) -> None:
        self._ending = True

    def _say(self, line: str) -> None:
        print(f"reload: {line}", file=sys.stderr, flush=True)


def main(words: list[str]) -> int:
    if "--" not in words or words.index("--") != 1 or len(words) < 3:
        print("usage: python reload.py FOLDER -- COMMAND...", file=sys.stderr)
        return 2
    return Reloader(words[0], words[2:]).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
