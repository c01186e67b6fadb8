"""Starts and exits of containers on disk, so that no exit code is lost; it must not assume that a write completes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from services.node.runtime.paths import HomePaths, safe

Record = dict[str, Any]


def write(path: Path, record: Record) -> None:
    """Atomic: a reader sees the old record or the new one, also after a kill at any instruction."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(json.dumps(record))
    beside.replace(path)


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
