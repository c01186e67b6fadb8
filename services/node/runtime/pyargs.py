"""Which Python command lines a warm fork can run exactly; it must not assume anything: in doubt the answer is None."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

# Read by the interpreter or the C libraries before user code runs, and honoured by pyrun after the fork.
HONOURED = {"PYTHONPATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PYTHONUSERBASE", "PYTHONASYNCIODEBUG"}
EARLY_PREFIXES = ("PYTHON", "LD_", "MALLOC_", "GLIBC_", "KMP_", "MKL_", "GOMP_", "OPENBLAS_", "NPY_", "COVERAGE_")


class Program(NamedTuple):
    """`kind` module|script|code|stdin, `target` its name, path or text, `argv` the future sys.argv."""

    kind: str
    target: str
    argv: list[str]
    unbuffered: bool = False
    no_bytecode: bool = False


def parse(arguments: Sequence[str]) -> Program | None:
    """Reads what follows the interpreter's name: `-u -B -m -c script -`. Other options are left to a cold start."""
    rest, flags = list(arguments), set()
    while rest and rest[0].startswith("-") and rest[0] != "-":
        word = rest.pop(0)
        for at, letter in enumerate(word[1:], start=1):
            if letter in "uB":
                flags.add(letter)
            elif letter in "mc":
                return _targeted(letter, word[at + 1 :], rest, flags)
            else:
                return None
    if not rest or rest[0] == "-":
        return _program("stdin", "-", rest[:1] or [""], rest[1:], flags)
    return _program("script", rest[0], rest[:1], rest[1:], flags)


def _targeted(letter: str, attached: str, rest: list[str], flags: set[str]) -> Program | None:
    words = ([attached] if attached else []) + rest
    if not words:
        return None
    kind, shown = ("module", "-m") if letter == "m" else ("code", "-c")
    return _program(kind, words[0], [shown], words[1:], flags)


def _program(kind: str, target: str, head: list[str], rest: list[str], flags: set[str]) -> Program:
    return Program(kind, target, head + rest, "u" in flags, "B" in flags)


def forkable(environment: Mapping[str, str]) -> bool:
    """False if a variable must be there before the interpreter starts."""
    return not any(name.startswith(EARLY_PREFIXES) and name not in HONOURED for name in environment)


def python_script(path: str) -> bool:
    """True for a console script, whose first line names some Python."""
    try:
        with open(path, "rb") as file:
            first = file.readline(512)
    except OSError:
        return False
    return first.startswith(b"#!") and b"python" in first.rsplit(b"/", 1)[-1]
