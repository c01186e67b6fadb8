"""Turns a forked server process into a fresh interpreter's `__main__`; it must not assume that user code is kind."""

from __future__ import annotations

import atexit
import builtins
import gc
import importlib
import io
import os
import random
import runpy
import signal
import site
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import SourceFileLoader
from types import ModuleType, TracebackType
from typing import Any, BinaryIO, TypedDict, cast

from services.node.runtime import linux
from services.node.runtime.pyargs import Program


class Layout(TypedDict):
    """The environment to be: its interpreter, prefix, and site folders that go before the platform's."""

    executable: str
    prefix: str
    sites: list[str]


C_LOCALES = {"C", "POSIX", "C.UTF-8", "C.utf8", "UTF-8"}

_BASE_PATH: list[str] = []
_KEPT: list[Any] = []


def remember_start(fresh_path: Sequence[str]) -> None:
    """Called once by the fork server: sys.path as this interpreter begins with it, but for the program's own folder."""
    _BASE_PATH[:] = fresh_path
    _forget_folders()


def become(program: Program, arguments: Sequence[str], environment: Mapping[str, str], layout: Layout) -> None:
    """Makes sys, os, stdio and random state those of a new process for `program`, given as `arguments`."""
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    _fresh_streams(program.unbuffered or bool(environment.get("PYTHONUNBUFFERED")), _errors(environment))
    sys.dont_write_bytecode = program.no_bytecode or bool(environment.get("PYTHONDONTWRITEBYTECODE"))
    sys.executable, sys.prefix, sys.exec_prefix = layout["executable"], layout["prefix"], layout["prefix"]
    sys.argv = list(program.argv)
    sys.orig_argv = [layout["executable"], *arguments]
    named = dict.fromkeys([*_extra_path(environment), *_site_path(layout["sites"])])  # each once, as `site` has it
    sys.path[:] = [*_first_entry(program), *named]
    if site.PREFIXES and layout["sites"]:
        site.PREFIXES.insert(0, layout["prefix"])
        site.USER_BASE, site.USER_SITE = layout["prefix"], layout["sites"][0]
    _forget_folders()
    _fresh_state(environment)
    _fresh_main()


def _forget_folders() -> None:
    """What the server knows of the interpreter's own folders stays, as they have not changed or else show it by their
    time: to read all their names again takes longer than most imports."""
    for folder in sys.path_importer_cache.keys() - set(_BASE_PATH):
        del sys.path_importer_cache[folder]


def _errors(environment: Mapping[str, str]) -> str:
    """As PEP 538: in the locales that are C or stand in for it, undecodable bytes pass through."""
    locale = next((environment[name] for name in ("LC_ALL", "LC_CTYPE", "LANG") if environment.get(name)), "C")
    return "surrogateescape" if locale in C_LOCALES else "strict"


def _fresh_streams(unbuffered: bool, errors: str) -> None:
    _KEPT.extend((sys.stdin, sys.stdout, sys.stderr))  # closing them would not hurt, their handlers might still write
    sys.stdin = sys.__stdin__ = io.TextIOWrapper(_raw(0, "rb", -1), "utf-8", errors)  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = _writer(1, errors, unbuffered, False)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _writer(2, "backslashreplace", unbuffered, True)  # type: ignore[misc]
    for stream, name in ((sys.stdin, "<stdin>"), (sys.stdout, "<stdout>"), (sys.stderr, "<stderr>")):
        buffer = stream.buffer
        setattr(getattr(buffer, "raw", buffer), "name", name)  # noqa: B010 (typed as read-only)


def _raw(fd: int, mode: str, buffering: int) -> BinaryIO:
    return cast(BinaryIO, open(fd, mode, buffering=buffering, closefd=False))


def _writer(fd: int, errors: str, unbuffered: bool, by_line: bool) -> io.TextIOWrapper:
    raw = _raw(fd, "wb", 0 if unbuffered else -1)
    return io.TextIOWrapper(raw, "utf-8", errors, line_buffering=by_line, write_through=unbuffered)


def _first_entry(program: Program) -> list[str]:
    if program.kind == "module":
        return [os.getcwd()]
    if program.kind == "script":
        real = os.path.realpath(program.target)
        return [real if os.path.isdir(real) or program.target.endswith((".zip", ".pyz")) else os.path.dirname(real)]
    return [""]


def _extra_path(environment: Mapping[str, str]) -> list[str]:
    return [os.path.abspath(entry) for entry in environment.get("PYTHONPATH", "").split(os.pathsep) if entry]


def _site_path(sites: Sequence[str]) -> list[str]:
    at = next((n for n, entry in enumerate(_BASE_PATH) if entry.endswith("site-packages")), len(_BASE_PATH))
    below = site.getsitepackages([sys.base_prefix])[:1] if sites else []  # as their pyvenv.cfg says
    return [*_BASE_PATH[:at], *sites, *_BASE_PATH[at:], *(folder for folder in below if os.path.isdir(folder))]


def _fresh_state(environment: Mapping[str, str]) -> None:
    """What must differ between two children of one server, and what libraries read when they were loaded."""
    random.seed()
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed()  # the legacy global generator is seeded at import
    if "multiprocessing.process" in sys.modules:
        sys.modules["multiprocessing.process"].current_process().authkey = os.urandom(32)
    threads = environment.get("OMP_NUM_THREADS", "").split(",")[0]
    if threads.isdigit() and int(threads) > 0 and "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(int(threads))
    gc.enable()


def _fresh_main() -> None:
    main = ModuleType("__main__")
    vars(main).update(__builtins__=builtins, __annotations__={}, __loader__=importlib.machinery.BuiltinImporter)
    _KEPT.append(sys.modules["__main__"])
    sys.modules["__main__"] = main


def run(program: Program) -> int:
    """Runs user code to its end and everything that follows it in a plain interpreter; returns the exit code.

    Ends the process itself by SIGINT on KeyboardInterrupt, as CPython does.
    """
    code = _guarded(lambda: _main(program))
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    code = _flush(code)
    _forget_main()
    _flush(0)
    linux.flush_c_streams()
    return code


def _main(program: Program) -> None:
    if program.kind == "module":
        if not hasattr(sys.modules.get(program.target), "__path__"):
            sys.modules.pop(program.target, None)  # what this server had imported would be warned about
        runpy._run_module_as_main(program.target)  # type: ignore[attr-defined]
    elif program.kind == "script":
        _run_script(program.target)
    else:
        source = program.target if program.kind == "code" else sys.stdin.read()
        name = "<string>" if program.kind == "code" else "<stdin>"
        exec(compile(source, name, "exec"), vars(sys.modules["__main__"]))


def _run_script(target: str) -> None:
    path = os.path.abspath(target)
    if os.path.isdir(path) or path.endswith((".zip", ".pyz")):
        runpy._run_module_as_main("__main__", False)  # type: ignore[attr-defined]
        return
    try:
        with open(path, "rb") as file:
            source = file.read()
    except OSError as error:
        sys.stderr.write(f"{sys.executable}: can't open file {path!r}: {_reason(error)}\n")
        raise SystemExit(2) from None
    space = vars(sys.modules["__main__"])
    space.update(__file__=path, __cached__=None, __loader__=SourceFileLoader("__main__", path))
    exec(compile(source, path, "exec"), space)


def _reason(error: OSError) -> str:
    return f"[Errno {error.errno}] {error.strerror}"


def _guarded(body: Callable[[], None]) -> int:
    try:
        body()
    except SystemExit as leave:
        return _exit_code(leave.code)
    except BaseException as error:
        shown = error.with_traceback(_without_us(error.__traceback__))
        sys.last_type, sys.last_value, sys.last_traceback = type(shown), shown, shown.__traceback__
        sys.excepthook(type(shown), shown, shown.__traceback__)
        if isinstance(error, KeyboardInterrupt):
            return -signal.SIGINT
        return 1
    return 0


def _without_us(trace: TracebackType | None) -> TracebackType | None:
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    return trace


def _exit_code(code: object) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    sys.stderr.write(f"{code}\n")
    return 1


def _flush(code: int) -> int:
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        return code or 120  # as Py_FinalizeEx: output that could not be written fails the run
    return code


def _forget_main() -> None:
    """Open files, temporary folders and the like that only globals hold end as they would in finalization."""
    vars(sys.modules["__main__"]).clear()
    gc.collect()


def end(code: int) -> None:
    """Leaves without the server's own finalization: the pages it shares stay shared."""
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code & 0xFF)
