"""How the launcher begins, in its zip and in a fork server: its modules come in one piece, compiled, where that can be.

One by one from the zip they would cost each step six times as much, and twice, as zipimport reads every module two
times. Like the launcher it assumes a Python of 3.8 or later and nothing else.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import MAGIC_NUMBER
from marshal import loads
from types import CodeType, ModuleType
from typing import Any

PACKAGE = "millstream_launcher"
COMPILED = "compiled"
SOURCES = ""
"""In a zip: the digest of the sources that it holds. A package that was imported ahead has one, too."""


class Compiled:
    """Finds modules among `codes`, by their full names; `source` answers their text, for tracebacks."""

    def __init__(self, codes: Mapping[str, CodeType], source: Callable[[str], str | None]) -> None:
        self._codes, self.get_source = codes, source

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name not in self._codes:
            return None
        spec = ModuleSpec(name, self, origin=self._codes[name].co_filename, is_package=name == PACKAGE)  # type: ignore[arg-type]
        spec.has_location = True
        return spec

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        exec(self._codes[module.__name__], vars(module))


def make_ready(loader: Any) -> None:
    """Lets the package be found in the zip that `loader` reads; nothing where it is here already, of the same sources.
    Another one that is here goes."""
    if getattr(sys.modules.get(PACKAGE), "SOURCES", "") == SOURCES:
        return
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]
    told = loader.get_data(COMPILED)
    if told.startswith(MAGIC_NUMBER):
        sys.meta_path.insert(0, Compiled(loads(told[len(MAGIC_NUMBER) :]), loader.get_source))  # type: ignore[arg-type]


def run() -> None:
    """It neither looks for garbage nor tidies up: what it has to say is said, and its memory goes with it."""
    launcher = import_module(f"{PACKAGE}.__main__")
    gc.disable()
    code = launcher.main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    make_ready(__loader__)
    run()
