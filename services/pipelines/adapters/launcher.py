"""The launcher's files as one zip that any Python runs: the same bytes for the same files, so its digest names it."""

from __future__ import annotations

import importlib.util
import io
import marshal
import zipfile
from functools import cache
from pathlib import Path
from types import CodeType

FOLDER = Path(__file__).resolve().parents[1] / "workloads" / "launcher"
PACKAGE = "millstream_launcher"
COMPILED = "compiled"
BEGIN = f"""import gc
import os
import sys
from importlib.machinery import ModuleSpec
from importlib.util import MAGIC_NUMBER
from marshal import loads


class Compiled:
    def __init__(self, codes):
        self._codes = codes

    def find_spec(self, name, path=None, target=None):
        if name not in self._codes:
            return None
        spec = ModuleSpec(name, self, origin=self._codes[name].co_filename, is_package=name == {PACKAGE!r})
        spec.has_location = True
        return spec

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        exec(self._codes[module.__name__], vars(module))

    def get_source(self, name):
        return __loader__.get_source(name)


told = __loader__.get_data({COMPILED!r})
if told.startswith(MAGIC_NUMBER):
    sys.meta_path.insert(0, Compiled(loads(told[len(MAGIC_NUMBER) :])))
from {PACKAGE}.__main__ import main

gc.disable()
code = main()
sys.stdout.flush()
sys.stderr.flush()
os._exit(code)
"""
"""Its modules come in one piece, where this interpreter can take them: one by one from the zip they cost each step six
times as much, and twice, as zipimport reads every module two times. It neither looks for garbage nor tidies up: what
it has to say is said, and its memory goes with it."""
LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip can tell: the bytes shall not depend on when they were packed."""


@cache
def launcher() -> bytes:
    """What a step's pod runs with `python3 launcher.pyz`.

    A Python of this one's version finds it compiled already, which saves each step 25 ms; any other takes the source.
    """
    files = sorted(FOLDER.glob("*.py"))
    if not files:
        raise FileNotFoundError(f"{FOLDER} is not there: without the launcher no step can run")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        _add(archive, "__main__.py", BEGIN.encode())
        _add(archive, "__main__.pyc", _header(BEGIN.encode()) + marshal.dumps(_code(BEGIN.encode(), "__main__.py")))
        codes = {}
        for file in files:
            source, name = file.read_bytes(), f"{PACKAGE}/{file.name}"
            _add(archive, name, source)
            codes[_module(file.stem)] = _code(source, name)
        _add(archive, COMPILED, importlib.util.MAGIC_NUMBER + marshal.dumps(codes))
    return packed.getvalue()


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    told = zipfile.ZipInfo(name, LONG_AGO)
    told.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(told, content)


def _module(stem: str) -> str:
    return PACKAGE if stem == "__init__" else f"{PACKAGE}.{stem}"


def _code(source: bytes, name: str) -> CodeType:
    return compile(source, f"launcher.pyz/{name}", "exec", dont_inherit=True)


def _header(source: bytes) -> bytes:
    """Of a .pyc as PEP 552 has it, by the source's hash and not to be checked: it lies beside that very source."""
    return importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little") + importlib.util.source_hash(source)
