"""Has another process written? Two `stat` calls tell for SQLite, without a thread hop; else the table is asked."""

from pathlib import Path

from libs.store.engines import Database


class Presence:
    """Remembers how the database's files looked."""

    def __init__(self, where: Database) -> None:
        self._files = () if where.path is None else (where.path, where.path.with_name(where.path.name + "-wal"))
        self._seen: tuple[tuple[int, int], ...] = ()
        self._sure = False

    async def moved(self) -> bool:
        """True when there may be news. File times are coarse, so the look after a difference always says True too."""
        if not self._files:
            return True
        now = tuple(_look(path) for path in self._files)
        same, self._seen = now == self._seen, now
        moved, self._sure = not (same and self._sure), same
        return moved


def _look(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return (0, 0)
    return (stat.st_mtime_ns, stat.st_size)
