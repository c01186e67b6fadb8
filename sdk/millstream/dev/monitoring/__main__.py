"""`python -m millstream.dev.monitoring [--check]`: writes the dashboards and docs/metrics.md, or tells which drifted.

--check changes nothing, prints a line for each file that is not what the code says, and ends with 1 if any is.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from millstream.dev.monitoring.boards import BOARDS
from millstream.dev.monitoring.catalogue import catalogue
from millstream.dev.monitoring.panels import render

COMPONENT = Path("deploy") / "components" / "monitoring"


def pages() -> dict[Path, str]:
    """Every generated file as it should be, by its path in the repository."""
    boards = {COMPONENT / f"{name}.json": render(board) for name, board in BOARDS.items()}
    return {**boards, Path("docs") / "metrics.md": catalogue()}


def main(arguments: Sequence[str], root: Path) -> int:
    if list(arguments) not in ([], ["--check"]):
        print(__doc__)
        return 2
    drifted = [path for path, text in pages().items() if _read(root / path) != text]
    for path in drifted:
        if arguments:
            print(f"{path} is not what the code says: run `make golden`")
        else:
            (root / path).write_text(pages()[path])
            print(f"wrote {path}")
    return 1 if drifted and arguments else 0


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Path.cwd()))
