"""What a part of this repository needs to run: the folders its imports lead to, and the distributions they come from.

It reads the code and asks the environment it runs in who owns a package, so it must be that of `make setup`; it imports
nothing that it looks at. Imports by name (a string) cannot be seen: HIDDEN says them.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution, distributions
from pathlib import Path, PurePosixPath

from packaging.requirements import Requirement

OURS = {"contracts": ".", "libs": ".", "services": ".", "millstream": "sdk"}
"""Our packages, and where each lies."""
HIDDEN = {
    "contracts": ("kubeflow-trainer-api",),  # contracts.kinds.upstream opens it by name
    "libs/store": ("aiosqlite", "asyncpg"),  # SQLAlchemy loads the driver by its URL
    "libs/service": ("httptools",),  # uvicorn loads its parser by name
    "services/serving/workloads": (
        "httptools",
        "uvloop",
        "scikit-learn",
    ),  # uvicorn's own choice; pickled models' class
}
LEFT_OUT = ("contracts/golden", "libs/testing")
OPENED_BY_NEED = {"libs/service/shell.py": ("libs/blobs",)}
"""A file that loads these libs late, and only for a service whose manifest has them in `needs`."""
BY_PIP = {"torch"}
"""Installed before the rest and by pip, with whatever it asks for itself (see Makefile)."""


class Unknown(Exception):
    """An import that no installed distribution answers; the message names the file that has it."""


@dataclass(frozen=True)
class Reach:
    """`pieces` are folders and files of this repository, `packages` distributions."""

    pieces: set[str]
    packages: set[str]


def reach(root: Path, seeds: Iterable[str], without: Collection[str] = ()) -> Reach:
    """What the files and folders `seeds` lead to, with themselves; `without` are pieces that no import may pull in.

    Raises Unknown for an import that nobody owns.
    """
    todo = sorted(seeds)
    found = Reach(set(), set())
    while todo:
        piece = todo.pop()
        if not _covered(piece, found.pieces):
            found.pieces.add(piece)
            found.packages.update(HIDDEN.get(piece, ()))
            for file in files_of(root, piece):
                following, packages = _asked_by(root, file)
                found.packages.update(packages)
                todo.extend(following - set(without))
    pieces = {piece for piece in found.pieces if not _covered(piece, found.pieces - {piece})}
    return Reach(pieces | _packages_above(root, pieces), found.packages)


@cache
def _asked_by(root: Path, file: Path) -> tuple[frozenset[str], frozenset[str]]:
    """Pieces of ours and distributions that one file imports."""
    name = file.relative_to(root).as_posix()
    pieces, packages = set(), set()
    for imported in imports(file):
        if imported.split(".")[0] in OURS:
            pieces.add(_piece_of(root, imported))
        elif imported.split(".")[0] not in sys.stdlib_module_names:
            packages.add(_owner(imported, name))
    return frozenset(pieces - set(OPENED_BY_NEED.get(name, ()))), frozenset(packages)


def _covered(piece: str, pieces: set[str]) -> bool:
    return not pieces.isdisjoint({piece, *(parent.as_posix() for parent in PurePosixPath(piece).parents)})


def _packages_above(root: Path, pieces: set[str]) -> set[str]:
    """The `__init__.py` files that Python runs on the way to a piece."""
    above = {parent / "__init__.py" for piece in pieces for parent in PurePosixPath(piece).parents}
    return {file.as_posix() for file in above if (root / file).is_file() and not _covered(file.as_posix(), pieces)}


def files_of(root: Path, piece: str) -> Iterator[Path]:
    """The Python files of a piece, without what no image has."""
    for file in sorted((root / piece).rglob("*.py")) if (root / piece).is_dir() else [root / piece]:
        if file.suffix == ".py" and not file.relative_to(root).as_posix().startswith(LEFT_OUT):
            yield file


def imports(file: Path) -> Iterator[str]:
    """Dotted names that a file imports when it runs: `from a import b` is a.b, which may be no module."""
    waiting: list[ast.AST] = [ast.parse(file.read_text(), str(file))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            waiting.extend(node.orelse)
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        waiting.extend(ast.iter_child_nodes(node))


def _piece_of(root: Path, name: str) -> str:
    """What a module of ours brings along: all of `contracts`, a whole lib, else the very file."""
    parts = name.split(".")
    base = PurePosixPath(OURS[parts[0]])
    if parts[0] == "contracts":
        return "contracts"
    if parts[0] == "libs":
        return "/".join(parts[:2]) if (root / "libs" / parts[1]).is_dir() else "libs/__init__.py"
    for length in range(len(parts), 0, -1):
        path = base.joinpath(*parts[:length])
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if (root / file).is_file():
                return file.as_posix()
    raise Unknown(f"{name} is nowhere in {base}")


def closed(packages: Iterable[str], extras: dict[str, set[str]]) -> set[str]:
    """`packages` with all that they require here, as installed; `extras` are those asked for, by package."""
    found: set[str] = set()
    todo = [(normal(name), frozenset(extras.get(normal(name), ()))) for name in packages]
    seen = set(todo)
    while todo:
        name, wanted = todo.pop()
        found.add(name)
        for text in () if name in BY_PIP else distribution(name).requires or ():
            needed = Requirement(text)
            if needed.marker and not any(needed.marker.evaluate({"extra": extra}) for extra in ("", *wanted)):
                continue
            following = (normal(needed.name), frozenset({*needed.extras, *extras.get(normal(needed.name), ())}))
            if following not in seen and _is_installed(following[0]):
                seen.add(following)
                todo.append(following)
    return found


def normal(name: str) -> str:
    """A distribution's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _is_installed(name: str) -> bool:
    try:
        return bool(distribution(name))
    except PackageNotFoundError:
        return False


def _owner(name: str, file: str) -> str:
    """The distribution that has the longest part of a dotted name as a module."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        if owner := _owners().get("/".join(parts[:length])):
            return owner
    raise Unknown(f"{file} imports {name}, which no installed distribution has: run `make setup`")


@cache
def _owners() -> dict[str, str]:
    """Path of a module or package without its ending -> the distribution that brings it."""
    found: dict[str, str] = {}
    for each in distributions():
        name = normal(each.name)  # reads a file
        for path in each.files or ():
            if path.suffix in {".py", ".so"} and ".." not in path.parts:
                module = path.parent if path.name == "__init__.py" else path.with_name(path.name.split(".")[0])
                found.setdefault(module.as_posix(), name)
    return found
