"""Compiles one pipeline of a Python file with the user's own kfp; runs in the user's interpreter, so kfp and the
standard library alone may be imported. kfp is imported by its name: the platform's environment never has it.

python _compile.py FILE.py NAME TARGET.yaml     NAME may be empty when the file defines one pipeline
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from pathlib import Path

WORDS = 2
"""Exit status for what the user has to change; the message is on stderr."""


def refuse(message: str) -> None:
    print(message, file=sys.stderr)
    raise SystemExit(WORDS)


def loaded(path: str) -> types.ModuleType:
    """The file as a module, with its own folder first on the path as if it had been started."""
    sys.path.insert(0, str(Path(path).resolve().parent))
    name = Path(path).stem
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None, f"{path} is no Python file"
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def pipelines_of(module: types.ModuleType) -> dict[str, object]:
    """What `@dsl.pipeline` made in this module, by its Python name; what it imported from elsewhere counts last."""
    kind = importlib.import_module("kfp.dsl.graph_component").GraphComponent
    found = {name: value for name, value in vars(module).items() if isinstance(value, kind)}
    own = {
        name: value
        for name, value in found.items()
        if getattr(getattr(value, "pipeline_func", None), "__module__", module.__name__) == module.__name__
    }
    return own or found


def chosen(found: dict[str, object], name: str, path: str) -> object:
    if not found:
        refuse(f"{path} defines no pipeline: mark a function with @kfp.dsl.pipeline")
    if name:
        titles = {getattr(value, "name", ""): value for value in found.values()}
        if name not in found and name not in titles:
            refuse(f"{path} defines no pipeline {name!r}; there are {', '.join(sorted(found))}")
        return found.get(name) or titles[name]
    if len(found) > 1:
        refuse(f"{path} defines {len(found)} pipelines: choose one with --pipeline {' | '.join(sorted(found))}")
    return next(iter(found.values()))


def main(path: str, name: str, target: str) -> None:
    try:
        compiler = importlib.import_module("kfp.compiler")
    except ImportError:
        refuse(f"{sys.executable} has no kfp: `pip install kfp` there, or say --python with one that has it")
    pipeline = chosen(pipelines_of(loaded(path)), name, path)
    compiler.Compiler().compile(pipeline, target)


if __name__ == "__main__":
    main(*sys.argv[1:4])
