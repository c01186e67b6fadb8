"""The launcher's files as one zip that any Python runs: the same bytes for the same files, so its digest names it."""

from __future__ import annotations

import io
import zipfile
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "workloads" / "launcher"
PACKAGE = "millstream_launcher"
BEGIN = "import sys\n\nfrom millstream_launcher.main import main\n\nsys.exit(main())\n"
LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip can tell: the bytes shall not depend on when they were packed."""


@cache
def launcher() -> bytes:
    """What a step's pod runs with `python3 launcher.pyz`."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("__main__.py", LONG_AGO), BEGIN)
        for file in sorted(FOLDER.glob("*.py")):
            archive.writestr(zipfile.ZipInfo(f"{PACKAGE}/{file.name}", LONG_AGO), file.read_bytes())
    return packed.getvalue()
