"""The launcher's files as one zip that any Python runs: the same bytes for the same files, so its digest names it."""

from __future__ import annotations

import importlib.util
import io
import marshal
import zipfile
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "workloads" / "launcher"
PACKAGE = "millstream_launcher"
BEGIN = "import sys\n\nfrom millstream_launcher.__main__ import main\n\nsys.exit(main())\n"
LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip can tell: the bytes shall not depend on when they were packed."""


@cache
def launcher() -> bytes:
    """What a step's pod runs with `python3 launcher.pyz`.

    A Python of this one's version finds it compiled already, which saves each step 20 ms; any other takes the source.
    """
    files = sorted(FOLDER.glob("*.py"))
    if not files:
        raise FileNotFoundError(f"{FOLDER} is not there: without the launcher no step can run")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        _add(archive, "__main__.py", BEGIN.encode())
        for file in files:
            source, name = file.read_bytes(), f"{PACKAGE}/{file.name}"
            _add(archive, name, source)
            _add(archive, f"{name}c", _compiled(source, name))
    return packed.getvalue()


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    told = zipfile.ZipInfo(name, LONG_AGO)
    told.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(told, content)


def _compiled(source: bytes, name: str) -> bytes:
    """A .pyc as PEP 552 has it, by the source's hash and not to be checked: it lies beside that very source."""
    code = compile(source, f"launcher.pyz/{name}", "exec", dont_inherit=True)
    flags = (1).to_bytes(4, "little")
    return importlib.util.MAGIC_NUMBER + flags + importlib.util.source_hash(source) + marshal.dumps(code)
