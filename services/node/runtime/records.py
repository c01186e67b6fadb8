"""Starts and exits of containers on disk, so that no exit code is lost; it must not assume that a write completes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from services.node.runtime.paths import HomePaths, safe

Record = dict[str, Any]
FLAGS = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC


def write(path: Path, record: Record) -> None:
    """Atomic: a reader sees the old record or the new one, also after a kill at any instruction, for it is one write of
    less than a page over the whole of the old. A new file in its place, at each start and end, costs the disk more."""
    try:
        fd = os.open(path, FLAGS, 0o640)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, FLAGS, 0o640)
    try:
        os.pwrite(fd, json.dumps(record).encode().ljust(os.fstat(fd).st_size), 0)
    finally:
        os.close(fd)


def read(path: Path) -> Record | None:
    try:
        return json.loads(path.read_text())  # type: ignore[no-any-return]
    except (OSError, ValueError):
        return None


def attempt_path(paths: HomePaths, record: Record) -> Path:
    return paths.records(record["pod"]) / f"{safe(record['name'])}.{record['attempt']}.json"


def attempts(paths: HomePaths) -> Iterator[Record]:
    """All attempts on disk; one without `finished_at` was running when it was last written."""
    for path in sorted(paths.pods.glob("*/records/[!.]*.json")):
        record = read(path)
        if record is not None:
            yield record
