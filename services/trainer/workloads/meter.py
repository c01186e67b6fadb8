"""Lines that tell how far a download is, a few seconds apart; it must not slow the download down."""

from collections.abc import Callable
from threading import Lock

EVERY_S = 5.0


class Meter:
    """Counts what arrives, from any thread. Totals are 0 while nobody knows them."""

    def __init__(self, part: str, monotonic: Callable[[], float], say: Callable[[str], None]) -> None:
        self._part, self._monotonic, self._say = part, monotonic, say
        self._lock = Lock()
        self._began = self._said = monotonic()
        self.bytes = self.files = 0
        self.total_bytes = self.total_files = 0

    def expect(self, files: int, size: int) -> None:
        with self._lock:
            self.total_files, self.total_bytes = files, size

    def came(self, size: int) -> None:
        with self._lock:
            self.bytes += size
            if self._monotonic() - self._said >= EVERY_S:
                self._said = self._monotonic()
                self._say(self.line())

    def file_done(self) -> None:
        with self._lock:
            self.files += 1

    def line(self) -> str:
        """`dataset: 1.2 GiB of 3.4 GiB (35 %), 3 of 12 files, 80.0 MiB/s`."""
        elapsed = max(self._monotonic() - self._began, 1e-3)
        share = (
            f" of {readable(self.total_bytes)} ({100 * self.bytes // self.total_bytes} %)" if self.total_bytes else ""
        )
        files = f"{self.files} of {self.total_files} files" if self.total_files else f"{self.files} files"
        return f"{self._part}: {readable(self.bytes)}{share}, {files}, {readable(self.bytes / elapsed)}/s"


def readable(size: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
