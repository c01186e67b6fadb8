"""What is done in the user's own interpreter, the one with kfp: a file's pipeline is compiled, or its functions called.

kfp and the standard library alone may be imported, kfp by its name: the platform's environment never has it.

python _interpreter.py compile FILE.py NAME TARGET.yaml     NAME may be empty when the file defines one pipeline
python _interpreter.py call READ_FD WRITE_FD PDB [FILE.py]  PDB is 1 to stop in the debugger where a function fails
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

WORDS, INTERRUPTED = 2, 130
"""Exit status: TARGET holds in words what the user has to change; the user pressed Ctrl-C."""

Function = Callable[..., Any]


class Refused(Exception):
    """What the user has to change."""


def begin(file: str) -> None:
    """The path as if the user had started the file: its own folder comes first. Our folder, which Python has put there,
    goes: its modules would be found in place of the user's."""
    ours = Path(__file__).resolve().parent
    sys.path[:] = [folder for folder in sys.path if Path(folder).resolve() != ours]
    if file:
        sys.path.insert(0, str(Path(file).resolve().parent))


def loaded(path: str, name: str) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(name, str(Path(path).resolve()))
    assert spec is not None and spec.loader is not None, f"{path} is no Python file"
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def trace_of(error: BaseException) -> str:
    """The traceback as far as it is the user's: without our lines, kfp's and those that import a file."""
    told = traceback.TracebackException.from_exception(error)
    kfp = importlib.util.find_spec("kfp")
    foreign = ("<frozen importlib", __file__, *((kfp.submodule_search_locations or ()) if kfp else ()))
    own = [frame for frame in told.stack if not frame.filename.startswith(tuple(foreign))]
    if own or isinstance(error, SyntaxError):
        told.stack = traceback.StackSummary.from_list(own)
    return "".join(told.format()).rstrip()


# compile


def compile_file(path: str, name: str, target: str) -> int:
    try:
        _compile(path, name, target)
    except Refused as error:
        Path(target).write_text(str(error))
    except SystemExit:
        words = 'ends the program while it is read: put that below `if __name__ == "__main__":`'
        Path(target).write_text(f"{path} {words}")
    except Exception as error:
        Path(target).write_text(f"{path} could not be compiled:\n{trace_of(error)}")
    else:
        return 0
    return WORDS


def _compile(path: str, name: str, target: str) -> None:
    spec = importlib.util.find_spec("kfp")
    if spec is None or spec.origin is None:  # packages that only add to kfp leave a folder without a program
        remedy = "`pip install kfp` there, or say --python with one that has it"
        raise Refused(f"{sys.executable} has no kfp: {remedy}")
    module = loaded(path, Path(path).stem)
    compiler = importlib.import_module("kfp.compiler")
    compiler.Compiler().compile(chosen(pipelines_of(module), name, path), target)


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
        raise Refused(f"{path} defines no pipeline: mark a function with @kfp.dsl.pipeline")
    if name:
        titles = {getattr(value, "name", ""): value for value in found.values()}
        if name not in found and name not in titles:
            raise Refused(f"{path} defines no pipeline {name!r}; there are {', '.join(sorted(found))}")
        return found.get(name) or titles[name]
    if len(found) > 1:
        raise Refused(f"{path} defines {len(found)} pipelines: choose one with --pipeline {' | '.join(sorted(found))}")
    return next(iter(found.values()))


# call


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
        print(trace_of(error), file=sys.stderr, flush=True)
        if debug:
            pdb.post_mortem(error.__traceback__)
        return {"ok": False, "error": f"{type(error).__name__}: {error}"}
    finally:
        os.environ.clear()
        os.environ.update(before)
        sys.stdout.flush()


def serve(read_fd: str, write_fd: str, debug: str, file: str = "") -> int:
    if file:
        with warnings.catch_warnings():  # what the compiler said of the file, it said once
            warnings.simplefilter("ignore")
            loaded(file, Path(file).stem)
    known = functions()
    try:
        with os.fdopen(int(read_fd)) as orders, os.fdopen(int(write_fd), "w") as answers:
            for line in orders:
                answers.write(json.dumps(call(json.loads(line), known, debug == "1")) + "\n")
                answers.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def main(verb: str, *words: str) -> int:
    begin(words[0] if verb == "compile" else "".join(words[3:]))
    return compile_file(*words) if verb == "compile" else serve(*words)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
