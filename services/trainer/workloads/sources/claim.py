"""pvc://claim/path: copied from a claim of the job's namespace, which is mounted read-only into this pod."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from services.trainer.workloads.failure import no_such
from services.trainer.workloads.task import Task

FOLDER_ENV = "SOURCE_FOLDER"
"""Where the claim is mounted; the trainer says so."""
NAMES_SHOWN = 10


def fetch(task: Task) -> None:
    """A file lands under its own name, a folder with all that is in it. Links that leave the claim are not followed."""
    root = Path(task.environ[FOLDER_ENV]).resolve()
    where = urlsplit(task.uri)
    start = (root / unquote(where.path).strip("/")).resolve()
    if not start.is_relative_to(root) or not start.exists():
        there = sorted(entry.name for entry in root.iterdir())[:NAMES_SHOWN]
        raise no_such(task.uri, f"the claim {where.netloc} holds {', '.join(there) or 'nothing'}")
    chosen = [(file, name) for file, name in _files(start, root) if task.wants(name)]
    if not chosen:
        raise no_such(task.uri, "no file that IGNORE_PATTERNS leaves")
    task.meter.expect(len(chosen), sum(file.stat().st_size for file, _ in chosen))
    for file, name in chosen:
        _copy(task, file, name)


def _files(start: Path, root: Path) -> Iterator[tuple[Path, str]]:
    if start.is_file():
        yield start, start.name
        return
    for folder, _, names in os.walk(start):
        for name in sorted(names):
            file = Path(folder) / name
            if file.is_file() and file.resolve().is_relative_to(root):
                yield file, file.relative_to(start).as_posix()


def _copy(task: Task, file: Path, name: str) -> None:
    """Skips what an earlier attempt copied whole: the copy gets the time of its source last."""
    target, size = task.target(name), file.stat().st_size
    known = target.stat() if target.exists() else None
    if known is None or (known.st_size, known.st_mtime_ns) != (size, file.stat().st_mtime_ns):
        shutil.copyfile(file, target)
        shutil.copystat(file, target)
        target.chmod(0o666)
    task.meter.file_done()
    task.meter.came(size)
