"""What the repository consists of, for the tests of its architecture, by git's list of files."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("contracts", "libs", "services", "sdk/millstream")
DOTTED = re.compile(r"[a-z_]+(?:\.[a-z_0-9]+)+")


@cache
def tracked() -> tuple[str, ...]:
    """Every file of the repository, new ones that nobody has added yet included."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return tuple(sorted({name for name in listed if (ROOT / name).is_file()}))


def python_files(*parts: str) -> list[Path]:
    """The Python files below `parts` (by default: what is shipped), written by people."""
    below = tuple(f"{part}/" for part in parts or PARTS)
    return [ROOT / name for name in tracked() if name.endswith(".py") and name.startswith(below) and "_pb2" not in name]


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def module_of(path: Path) -> str:
    """The name under which a file is imported."""
    parts = Path(relative(path).removeprefix("sdk/")).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def mentions(path: Path) -> frozenset[str]:
    """Every dotted name that a file imports, or writes as a text (`python -m ...`, a registry line)."""
    return frozenset(_mentions(path))


def _mentions(path: Path) -> Iterator[str]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(path, node)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from DOTTED.findall(node.value)
            if path.name == "__init__.py" and node.value.isidentifier():
                yield f"{module_of(path)}.{node.value}"  # a line of a plugin registry names its module


def _absolute(path: Path, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = module_of(path).split(".")
    package = package[: len(package) - node.level + (path.name == "__init__.py")]
    return ".".join([*package, *([node.module] if node.module else [])])
