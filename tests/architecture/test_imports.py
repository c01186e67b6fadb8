"""Importing a module does nothing: it opens no socket, reads no environment and starts no thread."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.architecture.tree import ROOT, module_of, python_files, relative

# Not imported here, and why. Every word must match a file.
NOT_IMPORTED = {
    "/__main__": "a program: importing it runs it",
    "/migrations/": "Alembic runs these inside its own context",
    "demo/train": "a program inside a pod",
    "millstream/tune/": "a program inside a pod, in an environment of its own (requirements/llm.txt)",
    "millstream/components/": "compiled by kfp, in a client's own environment",
    "/sitecustomize": "Python's own hook inside a pod: it is there to act on import",
}

PROBE = '''
import importlib, os, socket, sys, threading
import asyncio, concurrent.futures, ssl, multiprocessing  # the standard library's own habits are not ours

root, parts, names = sys.argv[1], tuple(sys.argv[2].split(",")), sys.argv[3:]
DETOURS = (os.__file__, "<frozen os>", "<frozen _collections_abc>")
OURS = tuple(f"{root}/{part}/" for part in parts)

def asks() -> str:
    """The file that reads the environment: the first caller outside of the standard library's own detours."""
    frame = sys._getframe(2)
    while frame and frame.f_code.co_filename in DETOURS:
        frame = frame.f_back
    return frame.f_code.co_filename

class Watched(type(os.environ)):
    def __init__(self, real):
        self.__dict__ = real.__dict__
    def __getitem__(self, key):
        if asks().startswith(OURS):
            raise AssertionError(f"{asks()} reads the variable {key} on import")
        return super().__getitem__(key)
    def __iter__(self):
        if asks().startswith(OURS):
            raise AssertionError(f"{asks()} reads the environment on import")
        return super().__iter__()

def refuse(*a, **k):
    raise OSError("a socket was used on import")

os.environ = Watched(os.environ)
socket.socket.connect = refuse
socket.socket.listen = refuse
before = threading.active_count()
for name in names:
    importlib.import_module(name)
    assert threading.active_count() == before, f"{name} starts {threading.enumerate()}"
'''


def _probe(*names: str, root: str = str(ROOT), parts: str = "contracts,libs,services,sdk") -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", PROBE, root, parts, *names], cwd=root, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stderr[-3000:]


@pytest.mark.timeout(180)
def test_importing_any_module_opens_no_socket_reads_no_environment_and_starts_no_thread() -> None:
    names = [module_of(p) for p in python_files() if not any(word in relative(p) for word in NOT_IMPORTED)]
    code, told = _probe(*names)
    assert code == 0, told


@pytest.mark.parametrize(
    "habit",
    [
        "import os; os.environ.get('HOME')",
        "from os import environ; environ['HOME']",
        "import os; os.getenv('HOME')",
        "import os; dict(os.environ)",
        "import socket; socket.create_connection(('127.0.0.1', 9))",
        "import threading, time; threading.Thread(target=time.sleep, args=(1,), daemon=True).start()",
    ],
)
def test_the_probe_sees_a_module_that_does_something(habit: str, tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "libs").mkdir()
    (tmp_path / "libs" / "busy.py").write_text(habit)
    code, _ = _probe("libs.busy", root=str(tmp_path))
    assert code != 0


def test_every_exception_still_matches_a_file() -> None:
    named = [relative(path) for path in python_files()]
    gone = [word for word in NOT_IMPORTED if not any(word in name for name in named)]
    assert not gone, f"these exceptions match nothing any more: {gone}"
