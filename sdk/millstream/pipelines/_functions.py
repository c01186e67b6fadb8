"""Calls a pipeline's Python functions in the user's own interpreter and terminal, one after another, as another process
tells it; kfp and the standard library alone may be imported.

python _functions.py READ_FD WRITE_FD PDB [FILE.py]      PDB is 1 to stop in the debugger where a function fails
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import inspect
import json
import os
import pdb
import sys
import textwrap
import traceback
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

Function = Callable[..., Any]


def loaded(path: str, name: str) -> types.ModuleType:
    """The file as a module, with its own folder first on the path as if it had been started."""
    sys.path.insert(0, str(Path(path).resolve().parent))
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None, f"{path} is no Python file"
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def functions() -> dict[str, list[Function]]:
    """The functions behind all components that the file and what it imports defined, by their names."""
    kind = importlib.import_module("kfp.dsl.python_component").PythonComponent
    found: dict[str, list[Function]] = {}
    for value in gc.get_objects():
        if isinstance(value, kind):
            found.setdefault(value.python_func.__name__, []).append(value.python_func)
    return found


def is_from(function: Function, source: str) -> bool:
    """Whether the compiled program holds this very function."""
    try:
        text = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        return False
    body = text[text.index("def ") :]
    return body.strip() in source


def function_of(name: str, source: str, folder: str, known: dict[str, list[Function]]) -> Function:
    """The one of the user's file, so that breakpoints there hold; else the compiled program as a file of its own."""
    for function in known.get(name, []):
        if is_from(function, source):
            return function
    file = Path(folder) / f"{name}.py"
    file.write_text(source)
    found: Function = getattr(loaded(str(file), f"_compiled_{name}"), name)
    return found


def call(request: dict[str, Any], known: dict[str, list[Function]], debug: bool) -> dict[str, Any]:
    before = dict(os.environ)
    os.environ.update(request["env"])
    try:
        executor = importlib.import_module("kfp.dsl.executor")
        function = function_of(request["function"], request["source"], request["folder"], known)
        written = executor.Executor(executor_input=request["executor_input"], function_to_execute=function).execute()
        output = json.loads(Path(written).read_text()) if written and Path(written).exists() else {}
        return {"ok": True, "output": output}
    except Exception as error:
        traceback.print_exc()
        if debug:
            pdb.post_mortem(error.__traceback__)
        return {"ok": False, "error": f"{type(error).__name__}: {error}"}
    finally:
        os.environ.clear()
        os.environ.update(before)
        sys.stdout.flush()


def main(read_fd: str, write_fd: str, debug: str, file: str = "") -> None:
    if file:
        with warnings.catch_warnings():  # what the compiler said of the file, it said once
            warnings.simplefilter("ignore")
            loaded(file, Path(file).stem)
    known = functions()
    with os.fdopen(int(read_fd)) as orders, os.fdopen(int(write_fd), "w") as answers:
        for line in orders:
            answers.write(json.dumps(call(json.loads(line), known, debug == "1")) + "\n")
            answers.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
