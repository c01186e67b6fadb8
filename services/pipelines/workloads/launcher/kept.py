"""The end of what a step prints, kept in a file of bounded size."""

from __future__ import annotations

import os

HALF_BYTES = 8 << 20
LINE_BYTES = 4096


class Kept:
    """At least the last HALF_BYTES of what was written, at most twice as much."""

    def __init__(self, path: str, half_bytes: int = HALF_BYTES) -> None:
        self.path, self._older, self._half = path, f"{path}.older", half_bytes
        self._file = open(path, "wb")
        self._errors = b""

    def write(self, data: bytes, *, error: bool = False) -> None:
        """`error` tells that it was meant for stderr."""
        if error:
            self._errors = (self._errors + data)[-LINE_BYTES:]
        if self._file.tell() + len(data) > self._half and self._file.tell():
            self._file.close()
            os.replace(self.path, self._older)
            self._file = open(self.path, "wb")
        self._file.write(data)

    def close(self) -> int:
        """One file from now on; its size in bytes."""
        self._file.close()
        if os.path.exists(self._older):
            with open(self._older, "ab") as older, open(self.path, "rb") as newer:
                while chunk := newer.read(1 << 20):
                    older.write(chunk)
            os.replace(self._older, self.path)
        return os.path.getsize(self.path)

    def last_line(self) -> str:
        """The last line of stderr with something in it: of a Python program that failed, the exception."""
        lines = [line.strip() for line in self._errors.decode("utf-8", "replace").splitlines()]
        return next((line for line in reversed(lines) if line), "")[:500]
