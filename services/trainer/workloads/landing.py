"""A folder that is there whole or not at all: filled beside its place, then renamed; a second run finds it done.

Beside `dataset` lie `.dataset.partial` while it is filled and `.dataset.json`, which says of what it was made. All of
it must be on one file system, and one process at a time fills it: an init container is one.
"""

import json
import shutil
from pathlib import Path
from typing import Any

from services.trainer.workloads.failure import Failure


class Landing:
    """`recipe` is everything that decides what ends up in the folder; another recipe begins anew."""

    def __init__(self, folder: Path, recipe: dict[str, Any]) -> None:
        self.folder = folder
        self.partial = folder.with_name(f".{folder.name}.partial")
        self._note = folder.with_name(f".{folder.name}.json")
        self._recipe = recipe

    def is_done(self) -> bool:
        """Whether the folder holds this recipe's result; finishes what was killed between its last two steps."""
        if self._read().get("done") != self._recipe:
            return False
        if self.partial.exists():
            self._swap()
        return self.folder.exists()

    def open(self) -> Path:
        """The folder to fill, with what an earlier attempt of the same recipe left in it."""
        self._refuse_strangers()
        if self._read().get("filling") != self._recipe:
            shutil.rmtree(self.partial, ignore_errors=True)
        self._write({"filling": self._recipe})
        self.partial.mkdir(parents=True, exist_ok=True)
        return self.partial

    def close(self) -> None:
        """The folder is whole: it takes its place."""
        self._write({"done": self._recipe})
        self._swap()

    def _refuse_strangers(self) -> None:
        if not self._read() and self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
            remedy = "mount that volume elsewhere, or leave the initializer out"
            raise Failure(str(self.folder), "holds files that no initializer brought", remedy)

    def _swap(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.partial.rename(self.folder)

    def _read(self) -> dict[str, Any]:
        try:
            return dict(json.loads(self._note.read_text()))
        except (OSError, ValueError):
            return {}

    def _write(self, note: dict[str, Any]) -> None:
        part = self._note.with_name(f"{self._note.name}.part")
        part.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(note))
        part.replace(self._note)
