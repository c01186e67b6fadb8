"""What import rules cannot see: imports have no effects, modules stay small, time and chance come from libs.base."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("contracts", "libs", "services", "sdk/millstream")
LONGEST = 500
MEDIAN_MAX = 120

# Programs for workloads and generated files import what only their own image has, or what only runs there.
NOT_IMPORTED = ("workloads", "_pb2", "__main__", "demo/train", "migrations", "/plugins/")

# Modules that may look at the clock or draw random numbers themselves, and why.
CLOCK_HOMES = {
    "libs/base/clock.py": "the clock's home",
    "libs/base/ids.py": "the home of ids",
    "services/node/runtime": "processes of the machine run on the machine's time",
    "services/serving/workloads": "a program inside a pod, not a service",
    "services/trainer/workloads": "a program inside a pod, not a service",
    "sdk/millstream": "a command in a terminal, not a service",
    "libs/testing": "tests run in real time",
}
CLOCK_CALLS = {
    ("time", "time"),
    ("time", "monotonic"),
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("random", "random"),
}


def sources() -> Iterator[Path]:
    for part in PARTS:
        yield from sorted((ROOT / part).rglob("*.py"))


def _relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_no_module_is_longer_than_one_room() -> None:
    written = [path for path in sources() if "_pb2" not in path.name]
    long = {_relative(p): n for p in written if (n := len(p.read_text().splitlines())) > LONGEST}
    assert not long, f"split these by purpose: {long}"


def test_the_median_module_is_small() -> None:
    lengths = [n for p in sources() if "_pb2" not in p.name and (n := len(p.read_text().splitlines())) > 3]
    assert median(lengths) <= MEDIAN_MAX


def test_every_module_says_what_it_is_for() -> None:
    silent = [_relative(p) for p in sources() if "_pb2" not in p.name and p.read_text().strip() and not _docstring(p)]
    assert not silent, f"open these modules with one sentence: {silent}"


def _docstring(path: Path) -> str | None:
    return ast.get_docstring(ast.parse(path.read_text()))


def test_services_take_time_and_chance_as_arguments() -> None:
    found = []
    for path in sources():
        if any(_relative(path).startswith(home) for home in CLOCK_HOMES):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner = node.func.value
                name = owner.id if isinstance(owner, ast.Name) else getattr(owner, "attr", "")
                if (name, node.func.attr) in CLOCK_CALLS:
                    found.append(f"{_relative(path)}:{node.lineno} {name}.{node.func.attr}()")
    assert not found, f"use libs.base.clock.Clock / libs.base.ids.Ids instead: {found}"


def test_every_clock_exception_still_exists() -> None:
    gone = [home for home in CLOCK_HOMES if not (ROOT / home).exists()]
    assert not gone, f"these exceptions match nothing any more: {gone}"


PROBE = """
import importlib, os, socket, sys, threading
class Refused(Exception): pass
def refuse(*a, **k): raise Refused("a socket was opened on import")
before = threading.active_count()
import asyncio, concurrent.futures, ssl, multiprocessing  # the standard library's own habits are not ours
socket.socket.connect = refuse; socket.socket.bind = refuse
names = sys.argv[1:]
for name in names:
    importlib.import_module(name)
assert threading.active_count() == before, threading.enumerate()
"""


@pytest.mark.timeout(180)
def test_importing_any_module_opens_no_socket_and_starts_no_thread() -> None:
    names = []
    for path in sources():
        relative = _relative(path)
        if any(word in relative for word in NOT_IMPORTED):
            continue
        parts = Path(relative.removeprefix("sdk/")).with_suffix("").parts
        names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    done = subprocess.run([sys.executable, "-c", PROBE, *names], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def test_no_file_names_a_registry_or_a_machine_path() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    words = (
        "py" + "pi.org",
        "npm" + "js.org",
        "deb." + "debian.org",
        "/wo" + "rk/main",
        "/ro" + "ot/",
        "/opt/" + "wheels",
    )
    hits = []
    for name in listed:
        path = ROOT / name
        if not path.exists() or path.suffix in (".png", ".pt2", ".onnx"):
            continue
        text = path.read_text(errors="replace")
        hits += [f"{name}: {word}" for word in words if word in text]
    assert not hits, hits
