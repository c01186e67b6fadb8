"""Runs a component's function through kfp's own executor in this process, as `python3 -m kfp.dsl.executor_main` would.

Used in a fork alone: it changes everything that a new interpreter would have otherwise, and never returns.
"""

from __future__ import annotations

import atexit
import gc
import os
import random
import runpy
import shutil
import site
import sys
import threading
import traceback

from .commands import Function
from .environments import Environment

EXECUTOR = "kfp.dsl.executor_main"


def possible(environment: Environment | None) -> bool:
    """Whether a fork of this interpreter would be the one that kfp starts: the `python3` of the path, and nothing
    imported here that the environment brings along in another version."""
    python = shutil.which("python3") or ""
    if os.path.dirname(python) != os.path.dirname(sys.executable) or "kfp" in sys.modules:
        return False
    if threading.active_count() > 1:
        return False
    names = {name for folder in (environment.sites if environment else []) for name in os.listdir(folder)}
    return not any(name.split(".")[0] in sys.modules for name in names if not name.endswith((".dist-info", ".pth")))


def run(function: Function, environment: Environment | None, variables: dict[str, str]) -> None:
    """Ends the process with the exit code that the executor would have had."""
    code = 1
    try:
        _become(environment, variables)
        path = os.path.join(_own_folder(), "ephemeral_component.py")
        with open(path, "w", encoding="utf-8") as file:
            file.write(function.source)
        sys.dont_write_bytecode = True  # nobody imports this file once more
        sys.argv = [EXECUTOR, "--component_module_path", path, *function.arguments]
        gc.enable()
        code = _guarded()
    except BaseException:
        traceback.print_exc()
    finally:
        _leave(code)


def _own_folder() -> str:
    """As `mktemp -d`: Python's own way would try first whether it may write there."""
    folder = os.path.join(os.environ.get("TMPDIR") or "/tmp", f"tmp.{os.urandom(6).hex()}")
    os.mkdir(folder, 0o700)
    return folder


def _become(environment: Environment | None, variables: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update({**variables, "_KFP_RUNTIME": "true"})
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    random.seed()
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed()
    sys.path[0] = os.getcwd()
    if environment is not None:
        before = list(sys.path)
        for folder in environment.sites:
            site.addsitedir(folder)
        added = [path for path in sys.path if path not in before]
        at = next(
            (n for n, path in enumerate(before) if path.endswith(("site-packages", "dist-packages"))), len(before)
        )
        sys.path[:] = [*before[:at], *added, *before[at:]]
        sys.executable, sys.prefix, sys.exec_prefix = environment.python, environment.prefix, environment.prefix


def _guarded() -> int:
    try:
        runpy.run_module(EXECUTOR, run_name="__main__", alter_sys=True)
    except SystemExit as leave:
        if leave.code is None or isinstance(leave.code, int):
            return (leave.code or 0) & 0xFF
        sys.stderr.write(f"{leave.code}\n")
        return 1
    except BaseException as error:
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename in (__file__, runpy.__file__, "<frozen runpy>"):
            trace = trace.tb_next
        sys.excepthook(type(error), error.with_traceback(trace), trace)
        return 1
    return 0


def _leave(code: int) -> None:
    try:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError, AttributeError):
                code = code or 120
        os._exit(code)
