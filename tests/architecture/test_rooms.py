"""What import rules cannot see: modules stay small, say what they are for, and are used by somebody."""

from __future__ import annotations

import ast
import fnmatch
import re
from statistics import median

import yaml

from tests.architecture.tree import DOTTED, PARTS, ROOT, mentions, module_of, python_files, relative, tracked, tree_of

LONGEST = 500
MEDIAN_MAX = 120

BUILT = ("deploy/base/", "deploy/components/", "deploy/overlays/")

FOUND_BY_PATTERN = {
    "contracts/events/*/v*.py": "contracts.registry looks for versions",
    "contracts/commands/*/v*.py": "contracts.registry looks for versions",
    "contracts/kinds/*.py": "the golden files look for kinds",
    "*/migrations/*.py": "Alembic looks for revisions",
    "sdk/millstream/dev/reload.py": "the Tiltfile puts it into pods, as a file",
    "services/*/adapters/ahead.py": "a laptop's fork server looks for what it may import ahead",
    "services/trainer/plugins/programs/*.py": "plugins put these into pods, as files",
    "benchmarks/*.py": "python -m benchmarks runs every module of the folder",
}


def test_no_module_is_longer_than_one_room() -> None:
    long = {relative(p): n for p in python_files() if (n := len(p.read_text().splitlines())) > LONGEST}
    assert not long, f"split these by purpose: {long}"


def test_the_median_module_is_small() -> None:
    lengths = [n for p in python_files() if (n := len(p.read_text().splitlines())) > 3]
    assert median(lengths) <= MEDIAN_MAX


def test_every_module_says_what_it_is_for() -> None:
    silent = [relative(p) for p in python_files() if p.read_text().strip() and not ast.get_docstring(tree_of(p))]
    assert not silent, f"open these modules with one sentence: {silent}"


def test_every_module_is_imported_by_somebody_or_is_an_entry_point() -> None:
    used = _used()
    dead = [
        relative(path)
        for path in python_files(*PARTS, "benchmarks")
        if path.name not in ("__init__.py", "__main__.py")
        and not any(fnmatch.fnmatch(relative(path), pattern) for pattern in FOUND_BY_PATTERN)
        and module_of(path) not in used
    ]
    assert not dead, f"nobody imports these modules, so take them out: {dead}"


def _used() -> set[str]:
    """Every module that code mentions (not itself); tests count for libs.testing, which is there for them."""
    used = {name for path in python_files(*PARTS, "benchmarks") for name in mentions(path) if name != module_of(path)}
    used |= {name for path in python_files("tests") for name in mentions(path) if name.startswith("libs.testing")}
    texts = [name for name in tracked() if name.endswith((".yaml", ".toml")) or name in ("Makefile", "Tiltfile")]
    return used | {name for text in texts for name in DOTTED.findall((ROOT / text).read_text())}


def test_every_pattern_by_which_modules_are_found_still_finds_one() -> None:
    empty = [pattern for pattern in FOUND_BY_PATTERN if not fnmatch.filter(tracked(), pattern)]
    assert not empty, f"these exceptions match nothing any more: {empty}"


def test_every_manifest_of_the_deployment_is_named_by_its_kustomization() -> None:
    lost = []
    for name in (n for n in tracked() if n.startswith(BUILT) and not n.endswith("kustomization.yaml")):
        path = ROOT / name
        built = yaml.safe_load((path.parent / "kustomization.yaml").read_text())
        if path.name not in re.findall(r"[\w.-]+", str(built)):
            lost.append(name)
    assert not lost, f"no kustomization names these files: {lost}"


def test_no_file_names_a_registry_or_a_machine_path() -> None:
    words = (
        "py" + "pi.org",
        "npm" + "js.org",
        "deb." + "debian.org",
        "/wo" + "rk/main",
        "/ro" + "ot/",
        "/opt/" + "wheels",
    )
    hits = []
    for name in tracked():
        if not name.endswith((".png", ".pt2", ".onnx")):
            text = (ROOT / name).read_text(errors="replace")
            hits += [f"{name}: {word}" for word in words if word in text]
    assert not hits, hits
