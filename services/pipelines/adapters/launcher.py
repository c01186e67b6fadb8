"""The launcher's files as one zip that any Python runs: the same bytes for the same files, so its digest names it."""

from __future__ import annotations

import importlib.util
import io
import marshal
import sys
import zipfile
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from types import CodeType

from services.pipelines.adapters import begin

FOLDER = Path(__file__).resolve().parents[1] / "workloads" / "launcher"
LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip can tell: the bytes shall not depend on when they were packed."""


@cache
def launcher() -> bytes:
    """What a step's pod runs with `python3 launcher.pyz`.

    A Python of this one's version finds it compiled already, which saves each step 25 ms; any other takes the source.
    """
    sources = _sources()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        main = Path(begin.__file__).read_text().replace('SOURCES = ""', f'SOURCES = "{_digest(sources)}"', 1).encode()
        _add(archive, "__main__.py", main)
        _add(archive, "__main__.pyc", _header(main) + marshal.dumps(_code(main, "__main__.py")))
        for name, source in sources.items():
            _add(archive, name, source)
        _add(archive, begin.COMPILED, importlib.util.MAGIC_NUMBER + marshal.dumps(_codes(sources)))
    return packed.getvalue()


def import_ahead() -> None:
    """Imports the launcher under the name that it has in its zip. A fork of this process that is told to run a zip of
    the same sources need not read them: 5 ms of each step."""
    sources = _sources()
    at = {_module(name): name for name in sources}
    finder = begin.Compiled(_codes(sources), lambda module: sources[at[module]].decode())
    sys.meta_path.insert(0, finder)  # type: ignore[arg-type]
    try:
        importlib.import_module(f"{begin.PACKAGE}.__main__")
    finally:
        sys.meta_path.remove(finder)  # type: ignore[arg-type]
    vars(sys.modules[begin.PACKAGE])["SOURCES"] = _digest(sources)
    sys.modules[f"{begin.PACKAGE}.packages"].distributions()  # of the folders that most steps look into


def _sources() -> dict[str, bytes]:
    """By their names in the zip."""
    files = sorted(FOLDER.glob("*.py"))
    if not files:
        raise FileNotFoundError(f"{FOLDER} is not there: without the launcher no step can run")
    return {f"{begin.PACKAGE}/{file.name}": file.read_bytes() for file in files}


def _digest(sources: Mapping[str, bytes]) -> str:
    return sha256(
        b"".join(b"%s %d\n%s" % (name.encode(), len(text), text) for name, text in sources.items())
    ).hexdigest()


def _codes(sources: Mapping[str, bytes]) -> dict[str, CodeType]:
    return {_module(name): _code(source, name) for name, source in sources.items()}


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    told = zipfile.ZipInfo(name, LONG_AGO)
    told.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(told, content)


def _module(name: str) -> str:
    return name.removesuffix(".py").replace("/", ".").removesuffix(".__init__")


def _code(source: bytes, name: str) -> CodeType:
    return compile(source, f"launcher.pyz/{name}", "exec", dont_inherit=True)


def _header(source: bytes) -> bytes:
    """Of a .pyc as PEP 552 has it, by the source's hash and not to be checked: it lies beside that very source."""
    return importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little") + importlib.util.source_hash(source)
